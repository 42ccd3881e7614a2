"""When requests are due: exact integrals, on no clock at all."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from meshtest.errors import UsageError
from meshtest.loads.pacing import intended
from meshtest.loads.shape import Burst, Hold, Ramp, Stage, check_shape, parse_stage, steps


def times(stages: Sequence[Stage], count: int | None = None, **more: Any) -> list[int]:
    return list(itertools.islice(intended([stage.order() for stage in stages], **more), count))


def test_an_even_rate_does_not_drift() -> None:
    (last,) = itertools.islice(intended([Hold(3).order()]), 150_000, 150_001)
    assert last == 50_000 * 10**9


def test_a_stage_begins_where_the_one_before_ended_in_the_middle_of_a_period() -> None:
    # 2.5 requests fit into the first second; the fourth is due half a period into the second stage
    assert times([Hold(2.5, 1), Hold(10, 0.2)]) == [0, 400_000_000, 800_000_000, 1_050_000_000, 1_150_000_000]


@pytest.mark.parametrize(("start", "end"), [(50, 500), (500, 50), (0, 100), (100, 0)])
def test_on_a_ramp_each_request_is_where_the_integral_of_the_rate_says(start: float, end: float) -> None:
    due = times([Ramp(start, end, seconds=10)])
    assert len(due) == (start + end) / 2 * 10
    for number, ns in enumerate(due):
        t = ns / 1e9
        assert start * t + (end - start) / 20 * t * t == pytest.approx(number, abs=1e-5)


def test_a_ramp_cut_in_two_is_the_same_ramp() -> None:
    whole = times([Ramp(0, 100, seconds=4)])
    halves = times([Ramp(0, 50, seconds=2), Ramp(50, 100, seconds=2)])
    assert all(abs(a - b) <= 1 for a, b in zip(whole, halves, strict=True))


def test_a_ramp_without_a_slope_is_a_hold() -> None:
    assert times([Ramp(7, 7, seconds=2)]) == times([Hold(7, 2)])


def test_a_pause_sends_nothing() -> None:
    assert times([Hold(2, 1), Hold(0, 5), Hold(2, 1)]) == [0, 500_000_000, 6_000_000_000, 6_500_000_000]


def test_bursts_come_together_and_as_often_as_asked() -> None:
    due = times([Burst(3, every=0.5, seconds=1.2), Hold(1, 1)])
    assert Counter(due) == {0: 3, 500_000_000: 3, 1_000_000_000: 3, 1_200_000_000: 1}


def test_a_single_burst_takes_no_time() -> None:
    assert times([Hold(1, 1), Burst(2), Hold(1, 1)]) == [0, 1_000_000_000, 1_000_000_000, 1_000_000_000]


def test_a_last_stage_without_an_end_goes_on() -> None:
    assert times([Burst(1, every=2.0)], 4) == [0, 2 * 10**9, 4 * 10**9, 6 * 10**9]
    assert len(times([Ramp(1, 10, seconds=1), Hold(10)], 1000)) == 1000


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize(
    "shape", [[Hold(10, 3)], [Ramp(5, 50, 3), Burst(7), Hold(11, 1)], [Burst(10, every=0.3, seconds=1)]]
)
def test_the_parts_of_a_load_make_up_its_grid(shape: list[Stage], parts: int) -> None:
    together = sorted(itertools.chain(*(times(shape, part=part, parts=parts) for part in range(parts))))
    assert together == times(shape)


def test_poisson_arrivals_have_the_mean_and_the_spread_of_poisson() -> None:
    seconds = 2000
    due = times([Hold(10, seconds)], poisson=7)
    counts = Counter(ns // 10**9 for ns in due)
    a_second = [counts[second] for second in range(seconds)]
    mean = sum(a_second) / seconds
    variance = sum((count - mean) ** 2 for count in a_second) / seconds
    assert mean == pytest.approx(10, rel=0.02)  # seeded: always the same
    assert variance == pytest.approx(10, rel=0.1)
    assert due == sorted(due)


def test_poisson_follows_the_shape_and_the_seed() -> None:
    shape: list[Stage] = [Ramp(0, 200, 10), Burst(50)]
    due = times(shape, poisson=1)
    assert due == times(shape, poisson=1) != times(shape, poisson=2)
    assert sum(ns < 5 * 10**9 for ns in due) == pytest.approx(250, rel=0.2)
    assert Counter(due)[10 * 10**9] == 50


def test_steps_are_holds_that_reach_the_end() -> None:
    assert steps(50, 150, by=50, seconds=2) == [Hold(50, 2), Hold(100, 2), Hold(150, 2)]
    assert steps(30, 10, by=-10, seconds=1)[-1] == Hold(10, 1)
    with pytest.raises(UsageError, match="whole steps"):
        steps(10, 25, by=10, seconds=1)


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ([Hold(10), Hold(20)], "stage 1 of the shape, `hold 10`: it has no end, so nothing can follow"),
        ([Hold(-1, 5)], "a rate is 0 or above"),
        ([Hold(float("nan"), 5)], "a rate is 0 or above"),
        ([Ramp(1, 2, 0)], "a ramp takes some time"),
        ([Ramp(1, 2, -3)], "seconds is -3"),
        ([Burst(0)], "requests is 0"),
        ([Burst(2, every=-1)], "every is -1"),
        ([Hold(0, 5)], "sends nothing"),
        ([Hold(5, 1), Hold(0)], "a pause needs an end"),
        (["hold 10"], "neither Hold, Ramp nor Burst"),
    ],
)
def test_a_shape_that_makes_no_sense_says_why(shape: list[Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        check_shape(shape)


@pytest.mark.parametrize(
    ("text", "stage"),
    [
        ("hold 500 20", Hold(500, 20)),
        ("hold 500 for 20s", Hold(500, 20)),
        ("hold 50", Hold(50)),
        ("ramp 50 500 10", Ramp(50, 500, 10)),
        ("burst 100", Burst(100)),
        ("burst 100 every 1 for 10", Burst(100, 1, 10)),
    ],
)
def test_a_stage_is_written_in_words(text: str, stage: Stage) -> None:
    assert parse_stage(text) == stage
    assert parse_stage(str(stage).removesuffix(" s")) == stage


@pytest.mark.parametrize("text", ["", "hold", "ramp 1 2", "burst 1.5", "jump 3 4", "hold x 3"])
def test_a_stage_that_is_not_understood_says_what_is(text: str) -> None:
    with pytest.raises(UsageError, match="write `hold RATE SECONDS`"):
        parse_stage(text)
