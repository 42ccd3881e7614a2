"""RollingUpdate, step by step: never more pods than the surge allows, never fewer ready ones than agreed."""

from __future__ import annotations

import itertools

import pytest
from meshtest_envoy.rolling import Counts, Step, limits, next_step


def test_a_first_start_starts_all_replicas() -> None:
    counts = Counts(desired=3, new=0, new_ready=0, old=0, old_ready=0)
    assert next_step(counts, surge=1, unavailable=0) == Step(start=3, stop=0)


def test_percentages_round_as_kubernetes_rounds_them() -> None:
    assert limits("25%", "25%", 3) == (1, 0)
    assert limits("25%", "25%", 10) == (3, 2)
    assert limits(0, 0, 5) == (0, 1)


def test_one_surge_pod_must_be_ready_before_an_old_one_goes() -> None:
    waiting = Counts(desired=2, new=1, new_ready=0, old=2, old_ready=2)
    assert next_step(waiting, surge=1, unavailable=0) == Step(0, 0)
    ready = Counts(desired=2, new=1, new_ready=1, old=2, old_ready=2)
    assert next_step(ready, surge=1, unavailable=0) == Step(0, 1)


def test_old_pods_that_are_not_ready_go_first() -> None:
    counts = Counts(desired=2, new=0, new_ready=0, old=2, old_ready=1)
    assert next_step(counts, surge=1, unavailable=1) == Step(1, 1)


def test_surplus_pods_go() -> None:
    assert next_step(Counts(desired=1, new=3, new_ready=3, old=0, old_ready=0), surge=1, unavailable=0) == Step(0, 2)


@pytest.mark.parametrize(("desired", "surge", "unavailable"), [*itertools.product((1, 2, 5, 10), (0, 1, 3), (0, 1, 2))])
def test_every_rollout_ends_and_stays_within_its_limits(desired: int, surge: int, unavailable: int) -> None:
    surge, unavailable = limits(surge, unavailable, desired)
    new = new_ready = 0
    old = desired
    for _ in range(100):
        counts = Counts(desired=desired, new=new, new_ready=new_ready, old=old, old_ready=old)
        step = next_step(counts, surge=surge, unavailable=unavailable)
        assert new + old + step.start <= desired + surge
        assert new_ready + old - step.stop >= desired - unavailable
        new, old, new_ready = new + step.start, old - step.stop, new
        if new == new_ready == desired and old == 0:
            return
    pytest.fail("the rollout does not end")
