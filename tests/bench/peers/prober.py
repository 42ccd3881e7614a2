"""Our own prober, as a scenario uses it: every request is on record, whatever is measured."""

from __future__ import annotations

import tempfile
import time
from math import inf
from pathlib import Path

from meshtest.loads import Load, LoadSpec
from meshtest.model.request import Fate, Request, Requests
from meshtest.spi.load import Place, Summary
from meshtest.spi.provider import Entrance
from tests.bench.peers.machine import TOOL_CORE, on_core
from tests.bench.peers.tool import TIMEOUT, Order, Row, Running, Told, what

LANES = ("keepalive", "fresh")
_ERRORS = {Fate.REFUSED: "refused", Fate.TIMEOUT: "timeout"}


class Prober:
    """`lanes`: by default every second request has a connection of its own, as in a scenario that says nothing."""

    name = "prober"
    paced = True
    most = inf

    def __init__(self, lanes: tuple[str, ...] = ("keepalive",)) -> None:
        self.lanes = lanes

    def missing(self) -> str:
        return ""

    def start(self, order: Order, folder: Path) -> Running:
        return _Probing(order, Path(tempfile.mkdtemp(dir=folder, prefix="prober-")), self.lanes)


class _Probing:
    def __init__(self, order: Order, folder: Path, lanes: tuple[str, ...]) -> None:
        spec = LoadSpec.of(
            "GET http://web/",
            rate=order.rate,
            concurrency=None if order.rate else order.users,
            requests=order.requests,
            seconds=None if order.requests else order.seconds,
            lanes=lanes,
            timeout=TIMEOUT,
            unreachable="record",
        )
        entrance = Entrance("127.0.0.1", order.port, False)
        self.load = Load(spec, Place(name=spec.name, entrance=entrance, directory=folder))
        self.summary: Summary | None = None
        self._order = order
        with on_core(TOOL_CORE):
            self.spawned = time.monotonic_ns()
            self.load.start()

    @property
    def pid(self) -> int:
        return self.load.pid

    def finish(self) -> Told:
        deadline = time.monotonic() + self.load.longest()
        while self.load.running and time.monotonic() < deadline:
            time.sleep(0.05)
        self.kill()
        return told(self.load.records, calls=self._order.requests)

    def kill(self) -> None:
        self.summary = self.load.stop()


def told(records: Path, *, calls: int | None = None) -> Told:
    """By the records of a load, in one file or several, on the machine's own clock: 0 is that of CLOCK_MONOTONIC.

    What did not leave because the load was over was done to nobody."""
    files = [records, *sorted(records.parent.glob(f"{records.stem}+*.bin"))]
    names = [file.with_suffix(".names").read_text().splitlines() for file in files]
    raw = [file.read_bytes() for file in files]
    requests = Requests.of_loads([(records.stem, *part) for part in zip(raw, names, strict=True)])
    rows = [row(request) for request in requests if request.fate is not Fate.NOT_SENT]
    return Told.of_rows(rows, calls=len(rows) if calls is None else calls, sheet=sum(map(len, raw)))


def row(request: Request) -> Row:
    seconds = request.latency or 0.0
    after_send = seconds - (request.late or 0.0)
    error = _ERRORS.get(request.fate, "")
    return Row(round(request.at * 1e9), seconds, what(request.status, error, after_send), request.late or 0.0)
