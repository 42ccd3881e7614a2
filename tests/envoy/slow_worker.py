"""A proxy's worker that takes its time: it answers each request after so many seconds, on a unix socket."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path


class Worker:
    """Answers each request after a while, and counts who came."""

    def __init__(self, path: Path, answers: list[tuple[float, str]]) -> None:
        self.path, self.connections = path, 0
        self._answers = iter(answers)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with client:
                while client.recv(4096):
                    after, text = next(self._answers)
                    time.sleep(after)  # busy
                    client.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode())

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
