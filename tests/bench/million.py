"""A million requests: what opening a stored run of them costs, each check, its page, and how much memory is kept.

The records are those of two lanes (neighbours swapped, so they have to be sorted), 10 % to a second version, latencies
spread exponentially, a few failed. Seconds are CPU seconds of this one process.
"""

from __future__ import annotations

import random
import resource
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from meshtest.checks import judge, latency, no_downtime, reached, split
from meshtest.model.history import Event, History
from meshtest.model.record import NO_CODE, RECORD
from meshtest.reporters.console import summary
from meshtest.reporters.html import page
from meshtest.run import folder
from meshtest.run.pulse import Pulse
from meshtest.run.report import report_of
from meshtest.run.stored import StoredRun
from meshtest.spi.check import Check

MILLION = 1_000_000
AIMS = {"seconds": 2.0, "bytes": 60.0}
"""Of CPU for opening, judging and summing up; kept of a request."""
BODY = (2, 0, 0, NO_CODE)
"""Size, target, transport and code of a record."""
NAMES = b"web/v1/a\nweb/v2/b\n"


def written(directory: Path, swapped: int) -> StoredRun:
    """A run folder; each request ends before the one that was intended just before it if `swapped` is 1."""
    requests = directory / folder.REQUESTS
    requests.mkdir(parents=True)
    (requests / "load.names").write_bytes(NAMES)
    draw = random.Random(4)
    (requests / "load.bin").write_bytes(b"".join(_row(i, swapped, draw) for i in range(MILLION)))
    return StoredRun(directory, {"name": "million", "start_ns": 0, "wall_start": 0.0, "ended": 1.0})


def _row(i: int, swapped: int, draw: random.Random) -> bytes:
    status, server = 200 + 303 * (not i % 100_003), 1 + (not i % 10)
    done = 5_000 + int(draw.expovariate(1 / 10_000))
    return RECORD.pack((i ^ swapped) * 100_000, i, 3, 5_000, done, status, server, 0, i % 2, 1, 1, *BODY)


def measure(run: StoredRun) -> None:
    requests, opened = timed(lambda: run.history().requests)
    total = opened
    print(f"  open         {opened:.2f} s")
    shares = {"web.default": {"v1": 90, "v2": 10}}
    applied = Event(-2.0, "config.apply", data={"number": 1, "shares": shares})
    history = History([applied, Event(-1.0, "config.ack", data={"number": 1})], requests, start=-10.0)
    checks: list[Check] = [
        no_downtime(),
        split(host="web"),
        latency(below=1.0),
        reached(host="web", exactly=("v1", "v2")),
    ]
    for check in checks:
        _, seconds = timed(lambda check=check: check.judge(history))
        total += seconds
        print(f"  {check.name:<12} {seconds:.2f} s")
    verdict = judge(history, checks)
    _, seconds = timed(lambda: summary(history, verdict))
    print(f"  summary      {seconds:.2f} s")
    print(f"  in all       {total + seconds:.2f} s of CPU: {verdict.outcome.name}   aim <= {AIMS['seconds']:g}")


def paged(run: StoredRun) -> None:
    text, seconds = timed(lambda: page(report_of(run)))
    print(f"  its page     {seconds:.2f} s, {len(text.encode()) / 1000:.0f} kB")


def followed(run: StoredRun) -> None:
    """As the progress line does while they come in."""
    _, seconds = timed(lambda: Pulse(run.path).look())
    print(f"  followed     {seconds:.2f} s")


def memory(run: StoredRun) -> None:
    kept, peak = _kept(run, [no_downtime(), split(host="web"), latency(below=1.0)])
    print(f"  memory       {kept:.0f} bytes a request kept, {peak:.0f} at most   aim <= {AIMS['bytes']:g} kept")


def _kept(run: StoredRun, checks: list[Check]) -> tuple[float, float]:
    """Bytes a request: after everything was asked, and at most. A mapped file is the kernel's and does not count."""
    tracemalloc.start()
    history = run.history()
    for check in checks:
        check.judge(history)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept / MILLION, peak / MILLION


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    before = time.process_time()
    result = work()
    return result, time.process_time() - before


def main() -> None:
    for swapped, order in ((0, "in order of time"), (1, "neighbours swapped")):
        with tempfile.TemporaryDirectory() as directory:
            print(f"a million records, {order}:")
            run = written(Path(directory) / "run", swapped)
            measure(run)
            paged(run)
            followed(run)
            memory(run)
    print(f"peak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
