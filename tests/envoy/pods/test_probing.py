"""When probes run and what they mean, on a virtual clock."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from meshtest_envoy.pods.backoff import BackOff
from meshtest_envoy.pods.order import Handler, Probe
from meshtest_envoy.pods.probing import Probes, quick, watch

Run = Callable[[Coroutine[Any, Any, Any]], Any]

HTTP = Handler("http", "/ready", 8080)


class Container:
    """Answers probes as the test says: {probe: seconds from which it succeeds, and until}."""

    def __init__(self, up: dict[Probe, list[tuple[float, float]]], accepts_from: float = 0.0) -> None:
        self._up, self._accepts_from = up, accepts_from
        self.asked: list[tuple[Probe | None, float]] = []
        self.told: list[tuple[float, bool, str]] = []

    async def check(self, probe: Probe) -> str:
        now = asyncio.get_running_loop().time()
        self.asked.append((probe, round(now, 3)))
        return "" if any(begin <= now < end for begin, end in self._up.get(probe, [])) else "answered 503"

    async def accepts(self) -> str:
        now = asyncio.get_running_loop().time()
        self.asked.append((None, now))
        return "" if now >= self._accepts_from else "refused"

    def ready(self, now: bool, why: str) -> None:
        self.told.append((round(asyncio.get_running_loop().time(), 2), now, why))

    def watch_for(self, probes: Probes, seconds: float) -> Coroutine[Any, Any, str]:
        async def watching() -> str:
            try:
                async with asyncio.timeout(seconds):
                    return await watch(probes, self, self.ready)
            except TimeoutError:
                return ""

        return watching()


def test_quick_polls_start_at_once_and_never_pause_longer_than_the_period() -> None:
    assert list(itertools.islice(quick(10), 7)) == [0.002, 0.004, 0.008, 0.016, 0.032, 0.05, 0.05]
    assert set(itertools.islice(quick(0.001), 5)) == {0.001}


def test_without_a_readiness_probe_a_pod_is_ready_when_its_port_accepts(virtually: Run) -> None:
    container = Container({}, accepts_from=0.3)
    virtually(container.watch_for(Probes(), 100))
    ((at, now, why),) = container.told
    assert at == pytest.approx(0.31, abs=0.05)
    assert (now, why) == (True, "")
    assert container.asked[-1][1] < 0.4, "the port is not asked any more once it accepted"


def test_readiness_is_polled_fast_until_the_first_success_and_by_its_period_afterwards(virtually: Run) -> None:
    probe = Probe(HTTP, initial_delay=5, period=10)
    container = Container({probe: [(1.0, 1e9)]})
    virtually(container.watch_for(Probes(readiness=probe), 32))
    asked = [at for _, at in container.asked]
    assert asked[0] == 0.0
    ((first, now, _),) = container.told
    assert first == pytest.approx(1.0, abs=0.06)
    assert now is True
    assert asked[-3:] == pytest.approx([first + 10, first + 20, first + 30], abs=0.01)


def test_a_pod_becomes_unready_after_the_failure_threshold_and_ready_after_the_success_threshold(
    virtually: Run,
) -> None:
    probe = Probe(HTTP, period=1, failure_threshold=3, success_threshold=2)
    container = Container({probe: [(0, 4.5), (9.5, 1e9)]})
    virtually(container.watch_for(Probes(readiness=probe), 20))
    assert container.told == [
        (0, True, ""),
        (7, False, "readiness probe failed: answered 503"),
        (11, True, ""),
    ]


def test_one_failed_probe_among_good_ones_changes_nothing(virtually: Run) -> None:
    probe = Probe(HTTP, period=1)
    container = Container({probe: [(0, 4.5), (5.5, 8.5), (10.5, 1e9)]})
    virtually(container.watch_for(Probes(readiness=probe), 20))
    assert container.told == [(0, True, "")]


def test_liveness_waits_for_its_delay_and_kills_after_its_threshold(virtually: Run) -> None:
    probe = Probe(HTTP, initial_delay=5, period=2, failure_threshold=3)
    container = Container({probe: [(0, 8)]})
    assert virtually(container.watch_for(Probes(liveness=probe), 60)) == "liveness probe failed: answered 503"
    assert [at for who, at in container.asked if who] == [5, 7, 9, 11, 13]


def test_the_startup_probe_gates_the_others(virtually: Run) -> None:
    startup, liveness = Probe(HTTP, period=1, failure_threshold=30), Probe(Handler("tcp"), period=1)
    container = Container({startup: [(10, 1e9)], liveness: [(0, 1e9)]})
    virtually(container.watch_for(Probes(startup=startup, liveness=liveness), 15))
    assert min(at for who, at in container.asked if who != startup) == pytest.approx(10, abs=0.06)
    assert container.told[0][0] == pytest.approx(10, abs=0.06)


def test_a_container_that_does_not_start_in_time_is_killed(virtually: Run) -> None:
    startup = Probe(HTTP, initial_delay=2, period=1, failure_threshold=3)
    container = Container({})
    assert virtually(container.watch_for(Probes(startup=startup), 60)) == "startup probe failed: answered 503"
    assert container.asked[-1][1] == pytest.approx(5, abs=0.06)
    assert container.told == []


def test_restarts_wait_as_in_kubernetes() -> None:
    back_off = BackOff()
    assert [back_off.after(1) for _ in range(8)] == [0, 10, 20, 40, 80, 160, 300, 300]
    assert back_off.after(601) == 0, "ten good minutes are forgiven"
    assert back_off.after(1) == 10
