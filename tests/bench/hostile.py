"""The prober against servers that misbehave: each of 100,000 requests has exactly the fate that the server dealt it.

A case is one transport on one lane. Its server does to request i what its script says, and keeps book; then the load's
records are compared with the book, request by request. What the server never saw must be on record as lost on a
connection that it had ended.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshtest.loads import Load, LoadSpec
from meshtest.model.request import Fate, Request, Requests
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance
from tests.loads import hostile

TOTAL = 100_000
CLOSED = {"concurrency": 200, "connections": 200}
"""As fast as the server deals: one of threads must not be asked for more, or it stalls where it was not told to."""
TIMEOUT = 4.0


@dataclass(frozen=True, kw_only=True)
class Case:
    """A server is given a script of acts, has a `port` and a `log` of (number, act), and is a context manager."""

    name: str
    fates: Mapping[Any, tuple[Fate, int]]
    """Act to the fate and status that the client must record."""
    server: Callable[[Sequence[Any]], AbstractContextManager[Any]]
    request: str = "http://web/"
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of LoadSpec.of."""
    requests: int = 0
    """0: an even share of TOTAL."""


def early(script: Sequence[hostile.Act]) -> hostile.HostileServer:
    return hostile.HostileServer(script, early=True)


CASES = [
    Case(
        name="http1 keepalive",
        fates=hostile.FATES,
        server=hostile.HostileServer,
        options={"lanes": ["keepalive"]} | CLOSED,
    ),
    Case(name="http1 fresh", fates=hostile.FATES, server=hostile.HostileServer, options={"lanes": ["fresh"]} | CLOSED),
    Case(
        name="http1 open loop",
        fates=hostile.FATES,
        server=hostile.HostileServer,
        options={"rate": 300.0},
        requests=9_000,
    ),
    Case(
        name="http1 early answer",
        fates=hostile.EARLY,
        server=early,
        request="POST http://web/",
        options={"body": b"x" * 1_000_000, "rate": 50.0},
        requests=1_000,
    ),
]


def judge(case: Case, requests: int) -> tuple[Counter[Fate], list[str]]:
    """How many of each fate there were, and what differs from the server's book."""
    script = list(case.fates)
    with tempfile.TemporaryDirectory() as directory:
        with case.server(script) as server:
            spec = LoadSpec.of(case.request, requests=requests, **({"timeout": TIMEOUT} | dict(case.options)))
            entrance = Entrance("127.0.0.1", server.port, False)
            load = Load(spec, Place(name="load", entrance=entrance, directory=Path(directory)))
            load.start()
            while load.running:
                time.sleep(0.2)
            load.stop()
        recorded = list(_requests(Path(directory)))
    return Counter(r.fate for r in recorded), [*differences(case, script, dict(server.log), recorded, requests)]


def differences(
    case: Case, script: Sequence[Any], dealt: Mapping[int, Any], recorded: Sequence[Request], requests: int
) -> list[str]:
    found = []
    if sorted(r.index for r in recorded) != list(range(requests)):
        found.append(f"{len(recorded)} records of {requests} requests")
    for r in recorded:
        if r.index not in dealt:
            if not (r.reused and r.fate in (Fate.RESET, Fate.CLOSED)):
                found.append(f"{r.index}: the server never saw it, recorded {r.fate.name}")
        elif (r.fate, r.status) != case.fates[dealt[r.index]]:
            found.append(f"{r.index}: {dealt[r.index].__name__} recorded as {r.fate.name} {r.status}")
    return found


def _requests(folder: Path) -> Requests:
    file = folder / "requests" / "load.bin"
    return Requests.of_loads([("load", file.read_bytes(), file.with_suffix(".names").read_text().splitlines())])


def main() -> None:
    shared = [case for case in CASES if not case.requests]
    rest = TOTAL - sum(case.requests for case in CASES)
    wrong = 0
    for case in CASES:
        requests = case.requests or rest // len(shared) + (case is shared[0]) * (rest % len(shared))
        fates, found = judge(case, requests)
        wrong += len(found)
        counts = ", ".join(f"{fate.name.lower()} {count}" for fate, count in sorted(fates.items()))
        print(f"{case.name:<22} {requests:>7} requests  {len(found)} wrong  ({counts})", flush=True)
        for line in found[:5]:
            print(f"    {line}")
    print(f"{TOTAL} requests, {wrong} with another fate than they were dealt")
    if wrong:
        sys.exit(1)
