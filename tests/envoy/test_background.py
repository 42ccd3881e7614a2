"""Pods that nobody waits for: a thread takes steps while something is wanted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import Any, cast

import pytest
from meshtest_envoy.background import Background
from meshtest_envoy.fleet import Fleet

from meshtest.errors import ProcessFailed
from meshtest.lib.wait import until
from meshtest.model.topology import Topology

PATIENCE = 60.0


class Pods:
    """As much of a Fleet as counts changes."""

    def __init__(self) -> None:
        self.changes = 0
        self._condition = threading.Condition()

    def wake(self) -> None:
        with self._condition:
            self.changes += 1
            self._condition.notify_all()

    def wait_past(self, seen: int, within: float) -> bool:
        with self._condition:
            return self._condition.wait_for(lambda: self.changes > seen, PATIENCE)


class Bench:
    def __init__(self) -> None:
        self.pods, self.changing = Pods(), threading.RLock()
        self.steps: list[Topology] = []
        self.notes: list[str] = []
        self.trouble: ProcessFailed | None = None
        self.background = Background(cast(Fleet, self.pods), self.changing, self._step, self._record)

    def _step(self, wanted: Topology, starters: Executor) -> None:
        self.steps.append(wanted)
        if self.trouble:
            raise self.trouble

    def _record(self, kind: str, **data: Any) -> None:
        self.notes.append(data["text"])

    def until_steps(self, count: int) -> None:
        until(lambda: len(self.steps) >= count, within=PATIENCE, what=lambda: f"{len(self.steps)} of {count} steps")


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.background.stop()


def test_a_step_is_taken_at_once_and_at_each_change(bench: Bench) -> None:
    wanted = Topology()
    bench.background.want(wanted)
    bench.until_steps(1)
    bench.pods.wake()
    bench.until_steps(2)
    assert bench.steps[0] is wanted


def test_what_cannot_be_started_is_told_once_and_tried_again(bench: Bench) -> None:
    bench.trouble = ProcessFailed("no such program")
    bench.background.want(Topology())
    bench.until_steps(1)
    bench.pods.wake()
    bench.until_steps(2)
    bench.background.stop()
    assert bench.notes == ["a pod could not be started: no such program"]


def test_it_rests_while_somebody_else_sees_to_the_pods(bench: Bench) -> None:
    bench.background.want(Topology())
    bench.until_steps(1)
    bench.background.rest()
    taken = len(bench.steps)
    bench.pods.wake()
    bench.background.stop()
    assert len(bench.steps) == taken
