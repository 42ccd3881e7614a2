"""The barrier against a worker that answers late, or not at all."""

from __future__ import annotations

import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from meshtest_envoy.barrier import Barrier

from meshtest.errors import ProviderError


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
                    self._busy(after)
                    client.sendall(f"HTTP/1.1 200 OK\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode())

    @staticmethod
    def _busy(seconds: float) -> None:
        threading.Event().wait(seconds)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def worker() -> Iterator[Callable[..., Worker]]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # short: it is the path of a socket
        made: list[Worker] = []

        def start(*answers: tuple[float, str]) -> Worker:
            made.append(Worker(Path(folder) / "s", list(answers)))
            return made[-1]

        yield start
        for one in made:
            one.close()


def test_it_asks_until_the_generation_is_served_and_once_more(worker: Callable[..., Worker]) -> None:
    one = worker((0, "1"), (0, "1"), (0, "2"), (0, "2"))
    barrier = Barrier(one.path)
    barrier.pass_(2, within=30)
    barrier.close()
    assert one.connections == 1


def test_a_late_answer_is_waited_for_on_the_same_connection(worker: Callable[..., Worker]) -> None:
    one = worker((2.2, "2"), (0, "2"))
    barrier = Barrier(one.path)
    barrier.pass_(2, within=30)
    barrier.close()
    assert one.connections == 1


def test_a_worker_that_stays_behind_is_said_so(worker: Callable[..., Worker]) -> None:
    one = worker(*[(0.01, "1")] * 1000)
    barrier = Barrier(one.path)
    with pytest.raises(ProviderError, match=r"acknowledged configuration 2, but its worker still serves 1 after 0.3 s"):
        barrier.pass_(2, within=0.3)
    barrier.close()
