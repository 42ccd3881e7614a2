"""The page of a run that is under way, on loopback: for `meshtest up`, `meshtest demo --live`, `pytest --mesh-live`.

browser ── http://127.0.0.1:PORT ──► a socket of the runner, listening ──► a process of its own, from the first visit on
                                                                           (live_server.py), reads the run's folder

The runner works out no page: that takes seconds for a million requests, in which a shift would have to wait. Nothing
runs before somebody looks, and what goes wrong there is no trouble of the run.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from meshtest.errors import UsageError

LOOPBACK = "127.0.0.1"
BACKLOG = 16
END = 5.0
"""Seconds for the process to end; it has nothing to finish."""


class LivePage:
    """Serves from `with` to the end of the block. `folder` is that of a run, or one of runs: then the newest of this
    process is shown."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        """UsageError if the port is taken; 0 is any that is free."""
        self._folder = folder
        self._listener = _listening(port)
        self.port: int = self._listener.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._woken, self._waker = socket.socketpair()
        self._thread = threading.Thread(target=self._await_visitor, name="live-page", daemon=True)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Safe to call twice."""
        self._waker.close()
        if self._thread.ident is not None:
            self._thread.join()
        self._listener.close()
        self._woken.close()
        if self._process is not None:
            _end(self._process)

    def _await_visitor(self) -> None:
        """Whoever connects waits in the backlog until the process is there to accept."""
        ready, _, _ = select.select([self._listener, self._woken], [], [])
        if self._woken not in ready:
            with contextlib.suppress(OSError):  # no page; the run goes on
                self._process = self._serve()

    def _serve(self) -> subprocess.Popen[bytes]:
        """In a session of its own, so that Ctrl-C in the terminal does not reach it; it ends when its stdin does, which
        also a runner that is killed cannot keep open."""
        words = ["-m", "meshtest.run.live_server", str(self._listener.fileno()), str(self._folder.absolute())]
        return subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[self._listener.fileno()],
            start_new_session=True,
        )


def _listening(port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        listener.close()
        raise UsageError(
            f"the live page cannot have port {port}: {_why(error)}; leave it out to get a free one"
        ) from None
    return listener


def _why(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "ports go up to 65535"


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(END)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
