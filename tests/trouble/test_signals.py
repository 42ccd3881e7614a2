"""A runner that is interrupted, terminated or killed under load: within a second, nothing of it is left.

Looked for in four ways: the pids in the run's events, those in the ledger of the runtime folder, a variable in the
environment of every process, and files below $TMPDIR.
"""

from __future__ import annotations

import json
import os
import random
import signal
from pathlib import Path

import pytest
from meshtest_envoy.pods import ledger, procs

from meshtest.lib.wait import until
from meshtest.model.record import RECORD
from meshtest.model.verdict import Outcome
from meshtest.run import judge_again, unfinished
from tests.conftest import GONE_WITHIN, Ground, Program, run_folder_events, unhurried
from tests.web import WEB

SEED = int(os.environ.get("TROUBLE_SEED") or random.SystemRandom().randrange(10**6))
"""Printed with every failure; TROUBLE_SEED repeats the same moments."""

UNDER_LOAD = """
import pytest

@pytest.mark.mesh_apply("web.yaml")
def test_shifts(mesh):
    with mesh.load("GET http://web/", rps=400) as load:
        while True:
            for percent in (10, 50, 100):
                mesh["web"].shift(v2=percent)
                load.until(requests=30)
"""

CODES = {signal.SIGINT: 2, signal.SIGTERM: -signal.SIGTERM, signal.SIGKILL: -signal.SIGKILL}

TRIES = [(list(CODES)[n % 3], n) for n in range(int(os.environ.get("TROUBLE_TRIES") or 6))]


def under_load(ground: Ground, requests: int) -> tuple[Program, Path]:
    """A pytest process that has had answers to so many requests, and its run folder."""
    ground.write("web.yaml", WEB)
    ground.write("test_shifts.py", UNDER_LOAD)
    program = ground.pytest("-q")

    def seen() -> int:
        return sum(path.stat().st_size // RECORD.size for path in ground.records())

    program.until(lambda: seen() >= requests, f"{requests} requests")
    (run,) = ground.runs()
    return program, run


def pids(ground: Ground, run: Path) -> set[tuple[int, int]]:
    """(pid, start time) of all that the run's events and its ledger name."""
    told = {e["data"]["pid"] for e in run_folder_events(run) if e["kind"] == "pod.start"}
    (runtime,) = ground.temporary.glob("meshtest-*/*")
    entries = ledger.read(str(runtime))
    assert entries is not None
    assert told <= set(entries.children)
    return {*entries.children.items(), entries.supervisor, *((pid, procs.start_time(pid)) for pid in told)}


def alive(named: set[tuple[int, int]]) -> list[int]:
    return [pid for pid, start in named if procs.is_same(pid, start)]


@pytest.mark.parametrize(("number", "moment"), TRIES, ids=[f"{s.name}-{n}" for s, n in TRIES])
def test_nothing_is_left_of_a_runner_that_ends_under_load(ground: Ground, number: signal.Signals, moment: int) -> None:
    print(f"TROUBLE_SEED={SEED}")  # noqa: T201 - pytest shows it with a failure
    program, run = under_load(ground, random.Random(f"{SEED}/{moment}").randrange(1, 240))
    named = pids(ground, run)
    running = {pid for pid, _ in ground.processes()}
    assert {pid for pid, _ in named} | {program.pid} <= running, "the mark reaches them all"
    program.signal(number)
    assert program.wait() == CODES[number], program
    until(
        lambda: not alive(named) and not ground.left(),
        within=unhurried(GONE_WITHIN),
        what=lambda: f"left: {alive(named)}, {ground.left()}",
    )
    told = json.loads((run / "run.json").read_text())
    if number == signal.SIGINT:
        assert told["ended"] is not None, "it ended in order"
    else:
        assert unfinished(run.parent) == [run]
        assert judge_again(run).outcome is Outcome.UNKNOWN, "and its record can be read"


def test_ctrl_c_reaches_the_whole_group_and_ends_in_order(ground: Ground) -> None:
    program, run = under_load(ground, 100)
    program.interrupt()
    assert program.wait() == 2, program
    assert "KeyboardInterrupt" in program.out
    ground.nothing_left()
    ended = [e for e in run_folder_events(run) if e["kind"] == "load.end"]
    assert len(ended) == 1
    assert not ended[0]["data"].get("error"), "the load was ended in order, not killed"


def test_the_workers_of_a_killed_xdist_run_leave_nothing(ground: Ground) -> None:
    ground.write("web.yaml", WEB)
    ground.write("test_shifts.py", UNDER_LOAD)
    ground.write("test_more_shifts.py", UNDER_LOAD)
    program = ground.pytest("-q", "-n", "2")
    program.until(lambda: len(ground.records()) == 2, "two loads")
    program.signal(signal.SIGKILL)
    program.wait()
    ground.nothing_left()
