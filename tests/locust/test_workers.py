"""Locust's workers, here and elsewhere: each joins, is late and is lost in its own time, and no record with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshtest.errors import LoadError
from meshtest.lib.wait import until
from meshtest.model.record import PART_BITS, RECORD
from tests.conftest import spare_port
from tests.loads.hostile import HostileServer, ok

from .conftest import BOTH, Bench

PATIENCE = 30.0


@contextlib.contextmanager
def elsewhere(port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker as a person starts it on another machine: it knows where the master is, and nothing else."""
    path = os.pathsep.join(str(Path(__file__).parents[2] / part) for part in ("", "plugins"))
    command = [sys.executable, "-m", "meshtest_locust.worker", "--master", f"127.0.0.1:{port}"]
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": path},
            cwd=folder,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def recorded(bench: Bench) -> Counter[int]:
    """Requests on disk, by part."""
    files = bench.folder.glob("requests/users0+*.bin")
    return Counter({int(path.stem.partition("+")[2]): path.stat().st_size // RECORD.size for path in files})


def test_workers_come_late_and_die_and_all_they_sent_until_then_is_kept(bench: Bench) -> None:
    """One here, one elsewhere; a second elsewhere comes late, then the one here is killed."""
    port, began = spare_port(), time.monotonic_ns()
    bench.write(BOTH.replace("0.15", "15"))  # seconds: a time-out is no loss, but it has no version either
    with HostileServer([ok]) as server, elsewhere(port, bench.folder):
        load = bench.load(server.port, users=6, spawn_rate=100, processes=1, expect_workers=1, bind=f"127.0.0.1:{port}")
        load.start()
        load.wait(requests=30)
        with elsewhere(port, bench.folder):
            until(lambda: recorded(bench)[3] > 0, within=PATIENCE, what=lambda: str(bench.events))
            here = next(e for e in bench.told("load.worker") if e["local"])
            os.kill(here["pid"], signal.SIGKILL)
            until(lambda: any("exit" in e for e in bench.told("load.worker")), within=PATIENCE, what=str)
            killed = recorded(bench)[here["part"]]
            load.wait(requests=30)
            summary = load.stop()
    events = bench.told("load.worker")  # on a busy machine Locust also misses heartbeats of the living
    assert sorted(e["part"] for e in events if e["what"] == "joined") == [1, 2, 3]
    assert [(e["what"], e.get("exit")) for e in events if e["local"]] == [("joined", None), ("lost", -signal.SIGKILL)]
    requests, arrived = bench.requests(), {index for index, _ in server.log}
    assert recorded(bench)[here["part"]] == killed > 0
    assert {r.index for r in requests} <= arrived
    assert {index >> PART_BITS for index in requests.indices} == {1, 2, 3}
    lost = arrived - set(requests.indices)
    assert {index >> PART_BITS for index in lost} <= {here["part"]}, (
        "only what was under way, or just ended, when it died"
    )
    assert summary.sent == len(requests)
    assert [r for r in requests if r.version != "v1"] == []
    (waiting,) = bench.told("load.waiting")
    assert waiting["command"] == f"python -m meshtest_locust.worker --master 127.0.0.1:{port}"
    times_are_true(bench, began, time.monotonic_ns())


def times_are_true(bench: Bench, began: int, ended: int) -> None:
    """The clocks are one clock here, so what was estimated must be within the bound that was told."""
    bounds = [e["clock_error"] for e in bench.told("load.worker") if not e["local"]]
    assert all(0 < bound < 1 for bound in bounds)
    elsewhere = [r for r in bench.requests() if r.index >> PART_BITS in (2, 3)]
    assert all(began / 1e9 - 1 < r.at and r.ended_at < ended / 1e9 + 1 for r in elsewhere)


def test_workers_that_never_come_are_an_error_that_says_how_to_start_them(bench: Bench) -> None:
    load = bench.load(1, expect_workers=2, bind=f"127.0.0.1:{(port := spare_port())}", workers_within=0.2)
    with pytest.raises(LoadError, match=f"0 of 2 workers came within 0.2 s; start them with .*--master HOST:{port}"):
        load.start()
    assert not load.running
