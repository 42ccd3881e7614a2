"""A Prometheus whose clock goes faster than ours: what is asked there reads what production would tell."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from meshtest_telemetry import prometheus_clock, prometheus_scraper
from meshtest_telemetry.prometheus import Prometheus
from meshtest_telemetry.prometheus_clock import LONGEST, Clock

from meshtest.errors import UsageError
from meshtest.model.series import NO_DATA, Vector
from meshtest.settings import Settings
from meshtest.spi.telemetry import Asking
from tests.conftest import PATIENCE

from .conftest import Endpoint, Notes, Wall, needs_prometheus

SPEED = 60.0
ERROR = 1e-6
"""Relative, of what is asked when there was a scrape just now; Prometheus itself reckons in milliseconds."""


class TestClock:
    clock = Clock(1_700_000_000.0, 20.0)

    def test_at_the_speed_of_the_wall_it_is_the_wall_clock(self) -> None:
        clock = Clock(1000.0)
        assert (clock.at(5.0), clock.second(1005.0), clock.at_wall(1234.5)) == (1005.0, 5.0, 1234.5)
        assert clock.worth("calls_total", {}) is None

    def test_twenty_times_as_fast_and_back(self) -> None:
        assert self.clock.at(3.0) - self.clock.at(0.0) == pytest.approx(60.0)
        assert self.clock.second(self.clock.at(3.0)) == pytest.approx(3.0)

    def test_it_does_not_overtake_the_wall_clock_within_the_longest_run(self) -> None:
        assert self.clock.at(LONGEST) == pytest.approx(self.clock.wall_start + LONGEST)

    @pytest.mark.parametrize(
        ("name", "kind", "worth"),
        [
            ("calls_total", {"calls_total": "counter"}, 140),
            ("calls", {"calls": "counter"}, 140),
            ("calls_total", {"calls_total": "untyped"}, 140),
            ("seconds_bucket", {"seconds": "histogram"}, 140),
            ("seconds_sum", {"seconds": "summary"}, 140),
            ("seconds_count", {}, 140),
            ("seconds", {"seconds": "summary"}, 7),
            ("threads_count", {"threads_count": "gauge"}, 7),
            ("temperature", {}, 7),
            ("last_success_timestamp_seconds", {"last_success_timestamp_seconds": "gauge"}, 7),
        ],
    )
    def test_what_seven_are_worth(self, name: str, kind: dict[str, str], worth: float) -> None:
        meaning = self.clock.worth(name, kind)
        assert (meaning(7.0) if meaning else 7.0) == worth

    def test_a_moment_of_the_wall_clock_is_the_same_moment_on_this_one(self) -> None:
        meaning = self.clock.worth("process_start_time_seconds", {"process_start_time_seconds": "gauge"})
        assert meaning
        now = self.clock.at(9.0)
        assert now - meaning(self.clock.wall_start + 6.0) == pytest.approx(60.0), "it has run for a minute"

    def test_a_slower_one_is_refused(self) -> None:
        with pytest.raises(UsageError, match=r"speed 0.5: how many times as fast as the wall clock, 1 or more"):
            Clock(0.0, 0.5)

    def test_a_prometheus_of_others_has_its_own_clock(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"cannot go 20 times as fast: leave the setting prometheus empty"):
            Prometheus(_asking(tmp_path, speed=20.0, prometheus="http://127.0.0.1:9/"))


def _asking(folder: Path, *targets: str, speed: float, began: float = 0.0, prometheus: str = "") -> Asking:
    settings = Settings(start_timeout=PATIENCE, prometheus=prometheus)
    return Asking(folder=folder, settings=settings, wall_start=began, targets=targets, record=Notes(), speed=speed)


RATE, FAILING, SLOW = 200.0, 0.02, 0.05
"""Requests a second; the shares of them that fail, and that take 0.1 to 0.5 s."""
SECONDS = 5
"""Of ours, which are five minutes of the clock."""


def told(sent: float, began: float) -> str:
    """By an application that has been sent so many."""
    return (
        f'# TYPE calls_total counter\ncalls_total{{code="200"}} {sent * (1 - FAILING)}\n'
        f'calls_total{{code="503"}} {sent * FAILING}\n'
        f'# TYPE took_seconds histogram\ntook_seconds_bucket{{le="0.1"}} {sent * (1 - SLOW)}\n'
        f'took_seconds_bucket{{le="0.5"}} {sent}\ntook_seconds_bucket{{le="+Inf"}} {sent}\n'
        f"took_seconds_sum {sent * 0.1}\ntook_seconds_count {sent}\n"
        f"# TYPE threads gauge\nthreads 12\n"
        f"# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {began}\n"
        + ("# TYPE rare_total counter\nrare_total 5\n" if sent > 4.5 * RATE else "")
    )


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, module_endpoint: Endpoint) -> Iterator[Prometheus]:
    """Scraped every 5 s of its clock for five minutes of it; nobody waits for them, the wall clock is the test's."""
    began = float(int(time.time()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prometheus_scraper, "FAST_INTERVAL", PATIENCE * 1000)
        patch.setattr(prometheus_clock, "time", wall := Wall(began))
        module_endpoint.text, module_endpoint.down = told(0.0, began), False
        made = Prometheus(_asking(tmp_path_factory.mktemp("run"), module_endpoint.url, speed=SPEED, began=began))
        for scrape in range(1, SECONDS * 12 + 1):
            wall.now = began + scrape / 12
            module_endpoint.text = told(RATE * scrape / 12, began)
            made.refresh(0.0)
        yield made
        made.close()


@needs_prometheus
class TestAMinuteASecond:
    @pytest.mark.parametrize(
        ("query", "value", "error"),
        [
            ("sum(rate(calls_total[1m]))", RATE, ERROR),
            ("sum(increase(calls_total[1m]))", 60 * RATE, ERROR),
            ("sum(rate(calls_total[1m] offset 2m))", RATE, ERROR),
            ("avg_over_time(sum(rate(calls_total[30s]))[1m:10s])", RATE, ERROR),
            ("sum(calls_total)", SECONDS * SPEED * RATE, ERROR),
            ('sum(rate(calls_total{code!~"5.*"}[1m])) / sum(rate(calls_total[1m])) * 100', 98.0, ERROR),
            ("histogram_quantile(0.99, sum(rate(took_seconds_bucket[1m])) by (le))", 0.42, ERROR),
            ("rate(took_seconds_sum[1m]) / rate(took_seconds_count[1m])", 0.1, ERROR),
            ("increase(rare_total[1m])", 5 * SPEED, ERROR),
            ("threads", 12.0, 0.0),
            ("time() - process_start_time_seconds", SECONDS * SPEED, ERROR),
            ("count_over_time(threads[1m])", 13.0, 0.0),
        ],
    )  # fmt: skip
    def test_it_reads_what_was_sent(self, asked: Prometheus, query: str, value: float, error: float) -> None:
        assert float(_vector(asked, query)) == pytest.approx(value, rel=error)

    def test_a_window_ends_at_its_second(self, asked: Prometheus) -> None:
        """The first minute of the clock is the first second of the run; before there is nothing."""
        assert float(_vector(asked, "sum(increase(calls_total[1m]))", 1.0)) == pytest.approx(60 * RATE, rel=ERROR)
        half = float(_vector(asked, "sum(increase(calls_total[1m]))", 0.5))
        assert half == pytest.approx(30 * RATE, rel=0.1), "Prometheus extrapolates by half a scrape"
        assert _vector(asked, "sum(rate(calls_total[1m]))", -0.1) == NO_DATA

    def test_times_of_answers_are_seconds_of_the_run(self, asked: Prometheus) -> None:
        (sample,) = _vector(asked, "threads")
        assert sample.at == SECONDS
        (series,) = asked.query_range("threads", 1.0, 2.0, 0.25)
        assert [at for at, _ in series.points] == [1.0, 1.25, 1.5, 1.75, 2.0]


def _vector(asked: Prometheus, query: str, at: float | None = None) -> Vector:
    answer = asked.query(query, at)
    assert isinstance(answer, Vector)
    return answer
