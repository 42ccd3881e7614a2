"""What several processes say, put together; and when a load admits that it was the bottleneck."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.loads.figures import quantile, summary
from meshtest.loads.tally import Tally
from meshtest.model.record import NEVER, NO_CODE, NOT_SENT, RECORD
from meshtest.model.request import Fate
from meshtest.model.sends import largest_gap
from meshtest.spi.load import Place, RecordedLoad
from meshtest.spi.provider import Entrance

if TYPE_CHECKING:
    from meshtest.loads.tally import Figures

SECOND = 10**9


def figures(late: list[tuple[int, int]], **more: Any) -> Figures:
    """A quiet prober that ran for ten seconds; lateness in ms."""
    sent = sum(count for _, count in late)
    fates = [sent] + [0] * (len(Fate) - 1)
    ticks = [(ms * 10_000, count) for ms, count in late]
    known: Any = {
        "fates": fates, "idle_closed": 1, "sent": sent, "first": 0, "last": 10 * SECOND, "gap": SECOND // 100,
        "late": ticks, "wall": 10 * SECOND, "cpu": SECOND, "queued": SECOND // 10, "unsent": "",
        "troubles": {}, "error": "",
    }  # fmt: skip
    return known | more  # type: ignore[no-any-return]


def test_the_parts_of_a_load_are_one() -> None:
    both = summary([figures([(0, 990), (5, 10)]), figures([(0, 1000)], first=SECOND)], asked=200.0, gap=0.004)
    assert (both.sent, both.fates, both.idle_closed) == (2000, {Fate.ANSWERED: 2000}, 2)
    assert (both.max_gap, both.late_p50, both.late_p99) == (0.004, 0.0, 0.0)
    assert round(both.rate, 1) == 199.9
    assert both.saturated == ""


def test_lateness_of_all_parts_is_counted_together() -> None:
    late = summary([figures([(0, 100)]), figures([(3, 100)])], asked=None)
    assert (late.late_p50, late.late_p99) == (0.0, 0.003)


def test_the_gap_is_that_of_all_sends_together(tmp_path: Path) -> None:
    def records(*sends: int) -> bytes:
        rest = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NO_CODE)
        return b"".join(RECORD.pack(at * 1000, 0, 0, *rest) for at in sends)

    unsent = RECORD.pack(50_000, 0, NEVER, NEVER, 0, 0, 0, NOT_SENT, 0, 0, 0, 0, 0, 0, NO_CODE)
    load = RecordedLoad(Place(name="load", entrance=Entrance("127.0.0.1", 1, False), directory=tmp_path))
    load.claim()
    parts = {"load": records(0, 20, 40, 90) + unsent, "load+1": records(10, 30, 60) + b"cut"}
    assert largest_gap(load.requests()) == 0.0
    for name, data in parts.items():
        (tmp_path / "requests" / f"{name}.names").touch()
        (tmp_path / "requests" / f"{name}.bin").write_bytes(data)
    assert largest_gap(load.requests()) == 30e-6


class TestSaturated:
    def test_the_pauses_of_a_busy_machine_are_no_shortfall(self) -> None:
        assert summary([figures([(0, 900), (8, 50), (60, 50)])], asked=100.0).saturated == ""

    def test_an_open_loop_that_waited_for_a_cpu_and_was_on_time_is_none(self) -> None:
        assert summary([figures([(0, 100)], queued=6 * SECOND)], asked=10.0).saturated == ""

    def test_a_few_late_sends_of_a_short_load_are_none(self) -> None:
        assert summary([figures([(0, 20), (700, 4)])], asked=10.0).saturated == ""

    def test_a_tail_that_left_late_is_told_with_its_figures(self) -> None:
        told = summary([figures([(0, 960), (620, 40)])], asked=100.0).saturated
        assert told == (
            "40 requests of 1000 left more than 500 ms late, p99 620 ms; asked for 100 a second, sent 100 "
            "(the prober used 10% of a CPU and waited for one 1% of the time)"
        )

    def test_many_that_left_a_little_late_are(self) -> None:
        assert (
            "200 requests of 1000 left more than 100 ms late"
            in summary([figures([(0, 800), (120, 200)])], asked=None).saturated
        )

    def test_what_was_never_sent_is_with_the_reason(self) -> None:
        fates = [100, 0, 0, 0, 0, 0, 3, 0]
        assert fates[Fate.NOT_SENT] == 3
        told = summary([figures([(0, 100)], fates=fates, unsent="Too many open files")], asked=10.0).saturated
        assert told.startswith("3 requests not sent: Too many open files (")
        told = summary([figures([(0, 100)], fates=fates)], asked=10.0).saturated
        assert "not sent: they were due and had not left at the end" in told

    def test_a_closed_loop_that_waited_for_a_cpu_is(self) -> None:
        told = summary([figures([(0, 100)], queued=6 * SECOND)], asked=None, closed=True).saturated
        assert told.startswith("it waited for a CPU 60% of the time")


def test_a_tally_keeps_lateness_to_one_percent() -> None:
    tally = Tally()
    tally.begin()
    for number, late in enumerate((3, 4000, 123_456, 4_000_000_000)):
        tally.count_send(1000 + number * 500, late)
    known = tally.figures()
    assert [count for _, count in known["late"]] == [1] * 4
    assert [
        abs(kept - late) / late < 0.01
        for (kept, _), late in zip(known["late"], (3, 4000, 123_456, 4_000_000_000), strict=True)
    ] == [True] * 4
    assert (known["gap"], known["sent"], known["first"], known["last"]) == (500, 4, 1000, 2500)


def test_a_quantile_is_the_nearest_rank() -> None:
    assert [quantile([(10, 1), (20, 99)], p) for p in (0.01, 0.5, 1.0)] == [1e-6, 2e-6, 2e-6]
    assert quantile([], 0.5) == 0.0
