"""Which runs are kept, whatever is done to the clock meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meshtest.webhook.retention import DAY, Retention
from meshtest.webhook.runs import RunState, StoredRun
from meshtest.webhook.store import Store
from tests.webhook.cheap import key


class Site:
    """A store, a clock that people set, and one that they cannot."""

    def __init__(self, folder: Path) -> None:
        self.wall = self.steady = 0.0
        self.store = Store(folder, self._now)
        self.retention = Retention(self.store, folder, keep=2, days=30, now=self._now, steady=lambda: self.steady)

    def _now(self) -> float:
        return 1e9 + self.wall

    def days_pass(self, days: float) -> None:
        self.wall += days * DAY
        self.steady += days * DAY

    def over(self, revision: str, canary: str = "checkout") -> StoredRun:
        run, _ = self.store.accept(key(revision=revision, canary=canary), {})
        return self.store.settle(run.id, RunState.FAILED, "")

    def kept(self) -> list[str]:
        self.retention.tidy()
        return [run.key.revision for run in self.store.runs()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.store.close()


def test_the_newest_and_those_of_the_latest_revision_of_each_canary(site: Site) -> None:
    site.over("a", canary="other")
    for revision in "abcd":
        site.over(revision)
    assert site.kept() == ["a", "c", "d"]


def test_none_for_longer_than_its_days(site: Site) -> None:
    site.over("a")
    site.days_pass(20)
    site.over("b")
    site.days_pass(10)
    assert site.kept() == ["b"]


def test_a_run_that_is_not_over_stays_however_old(site: Site) -> None:
    site.store.accept(key(revision="a"), {})
    site.days_pass(99)
    assert site.kept() == ["a"]


@pytest.mark.parametrize("days", [-99, -1, 1, 99])
def test_a_clock_that_is_set_makes_nothing_older(site: Site, days: float) -> None:
    """A verdict that is forgotten while its rollout goes on would be a hook that starts its suite again."""
    site.over("a")
    site.wall += days * DAY
    site.over("b")
    assert site.kept() == ["a", "b"]
