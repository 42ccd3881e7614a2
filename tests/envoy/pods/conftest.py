"""A supervisor with its events, raw connections, and asyncio on a virtual clock."""

from __future__ import annotations

import asyncio
import json
import selectors
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from meshtest_envoy.pods import ledger, procs
from meshtest_envoy.pods.client import Supervisor
from meshtest_envoy.pods.runtime import make_runtime_dir
from meshtest_envoy.pods.spec import PodEvent, PodSpec, PodStarted
from meshtest_envoy.pods.zygote import NAME

PATIENCE = 30.0
"""Seconds until a test gives up; nothing here takes more than a fraction of one on an idle machine."""


class Watched:
    """A supervisor that remembers its events."""

    def __init__(self, directory: Path, logs: Path) -> None:
        self.events: list[PodEvent] = []
        self.logs = logs
        self.supervisor = Supervisor(directory, self._on_event)
        self._changed = threading.Condition()

    def _on_event(self, event: PodEvent) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def start(self, name: str = "web-0", **fields: Any) -> PodStarted:
        defaults = {"workload": "web", "service": "web", "version": "v1", "ports": ((8080, "http"),)}
        return self.supervisor.start_pod(PodSpec(name=name, log=self.log(name), **(defaults | fields)))

    def ready(self, name: str = "web-0", **fields: Any) -> PodStarted:
        started = self.start(name, **fields)
        self.wait(name, "ready")
        return started

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def of(self, pod: str) -> list[PodEvent]:
        with self._changed:
            return [event for event in self.events if event.pod == pod]

    def kinds(self, pod: str = "web-0") -> list[str]:
        return [event.kind for event in self.of(pod)]

    def wait(self, pod: str, kind: str, *, nth: int = 1, **detail: Any) -> PodEvent:
        """The n-th event of this kind and detail."""

        def found() -> PodEvent | None:
            fitting = [e for e in self.events if (e.pod, e.kind) == (pod, kind) and detail.items() <= e.detail.items()]
            return fitting[nth - 1] if len(fitting) >= nth else None

        with self._changed:
            assert self._changed.wait_for(lambda: found() is not None, PATIENCE), f"no {kind} {detail}: {self.events}"
            event = found()
        assert event is not None
        return event


def comm(pid: int) -> str:
    """The name that a process goes by; "" if it has gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def zygotes(mesh: Watched) -> list[int]:
    """The pid of the process that stand-ins are forked from; nothing where there is none. A pod just forked may still
    have its name, but is in the ledger."""
    entries = ledger.read(str(mesh.supervisor.directory))
    assert entries is not None
    below = procs.descendants(mesh.supervisor.pid, procs.everyone())
    others = [one.pid for one in below if one.pid not in entries.children]
    return [pid for pid in others if comm(pid) == NAME]


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(make_runtime_dir(), tmp_path)
    watched.supervisor.start()
    try:
        yield watched
    finally:
        watched.supervisor.close()
        assert not watched.supervisor.directory.exists()


class Wire:
    """One connection, byte by byte."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._lines = self._socket.makefile("rb")

    def send(self, *parts: bytes) -> Wire:
        """Each part in a segment of its own."""
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            self._socket.sendall(part)
        return self

    def get(self, path: str = "/", **headers: str) -> Wire:
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        return self.send(f"GET {path} HTTP/1.1\r\nhost: web\r\n{lines}\r\n".encode())

    def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next answer."""
        status = int(self._lines.readline().split()[1])
        headers = {}
        while line := self._lines.readline().decode().strip():
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        return status, headers

    def answer(self) -> tuple[int, dict[str, str], Any]:
        """The next answer, its body as JSON."""
        status, headers = self.head()
        return status, headers, json.loads(self._lines.read(int(headers["content-length"])))

    def read(self, size: int) -> bytes:
        """So much of what follows a head."""
        return self._lines.read(size)

    def rest(self) -> bytes:
        """What comes until the other side closes."""
        return self._lines.read()

    def is_cut(self) -> bool:
        """The other side ended without a byte: closed, or reset when it had not read everything."""
        try:
            return self.rest() == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


@pytest.fixture
def connect() -> Iterator[Callable[[int], Wire]]:
    made: list[Wire] = []

    def connect(port: int) -> Wire:
        made.append(Wire(port))
        return made[-1]

    yield connect
    for wire in made:
        wire.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes only by waiting for it, and then at once."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Jump(self))

    def time(self) -> float:
        return self.now


class _Jump(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("everything waits for something that never happens")
        self._loop.now += max(timeout, 0.0)
        return super().select(0)


@pytest.fixture
def virtually() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Run a coroutine on a virtual clock."""
    loop = VirtualLoop()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return loop.run_until_complete(work)

    yield run
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            loop.run_until_complete(task)
    loop.close()
