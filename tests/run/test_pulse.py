"""What a run has come to so far: each record looked at once, as it is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meshtest.model.record import ANSWERED, NEVER, NO_CODE, NOT_SENT, RECORD, TICK_NS, TIMEOUT
from meshtest.run import Run
from meshtest.run.pulse import DIGITS, Pulse, rounded
from meshtest.settings import Settings


class Writer:
    """Writes as a prober does."""

    def __init__(self, run: Run, name: str) -> None:
        self.records = run.directory / "requests" / f"{name}.bin"
        self.records.with_suffix(".names").write_text("web/v1/web-v1-0\nweb/v2/web-v2-0\n")

    def write(
        self, count: int = 1, *, ms: float = 1.0, status: int = 200, fate: int = ANSWERED, server: int = 1
    ) -> None:
        done = NEVER if fate != ANSWERED else int(ms * 1e6) // TICK_NS
        row = RECORD.pack(0, 0, 3, done, done, status, server, fate, 0, 1, 1, 2, 0, 0, NO_CODE)
        self.add(row * count)

    def add(self, data: bytes) -> None:
        with self.records.open("ab") as file:
            file.write(data)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with Run("pulse", Settings(reports=tmp_path / "reports"), seed=1) as made:
        yield made


class TestPulse:
    def test_before_anything_was_sent(self, run: Run) -> None:
        beat = Pulse(run.directory, clock=lambda: 0.0).look()
        assert beat == (0.0, 0, 0, 0.0, None, {}, "")

    def test_requests_failures_and_who_served_them(self, run: Run) -> None:
        pulse, writer = Pulse(run.directory), Writer(run, "load-1")
        writer.write(3)
        writer.write(2, status=503, server=2)
        writer.write(1, fate=TIMEOUT, status=0, server=0)
        beat = pulse.look()
        assert (beat.requests, beat.failed) == (6, 3)
        assert beat.versions == {"web/v1": 3, "web/v2": 2, "(unknown)": 1}

    def test_what_never_left_has_not_failed(self, run: Run) -> None:
        pulse = Pulse(run.directory)
        Writer(run, "load-1").write(1, fate=NOT_SENT, status=0, server=0)
        assert pulse.look().failed == 0

    def test_a_second_look_adds_what_is_new(self, run: Run) -> None:
        pulse, writer = Pulse(run.directory), Writer(run, "load-1")
        writer.write(3)
        assert pulse.look().requests == pulse.look().requests == 3
        writer.write(2)
        assert pulse.look().requests == 5

    def test_half_a_record_waits_for_the_rest(self, run: Run) -> None:
        pulse, writer = Pulse(run.directory), Writer(run, "load-1")
        writer.write(2)
        data = writer.records.read_bytes()
        writer.add(data[:7])
        assert pulse.look().requests == 2
        writer.add(data[7 : RECORD.size])
        assert pulse.look().requests == 3

    def test_a_name_that_comes_later_is_found(self, run: Run) -> None:
        pulse, writer = Pulse(run.directory), Writer(run, "load-1")
        writer.write()
        pulse.look()
        with writer.records.with_suffix(".names").open("a") as file:
            file.write("web/v3/web-v3-0\n")
        writer.write(server=3)
        assert pulse.look().versions == {"web/v1": 1, "web/v3": 1}

    def test_of_one_load_all_its_processes_and_no_other(self, run: Run) -> None:
        for name, count in (("load-1", 1), ("load-1+1", 10), ("load-2", 100)):
            Writer(run, name).write(count)
        assert Pulse(run.directory, "load-1").look().requests == 11
        assert Pulse(run.directory).look().requests == 111

    def test_the_p99_is_within_one_percent(self, run: Run) -> None:
        writer = Writer(run, "load-1")
        for ms in range(1, 101):
            writer.write(ms=ms)
        assert Pulse(run.directory).look().p99 == pytest.approx(0.099, rel=0.01)

    def test_the_rate_is_that_of_the_last_two_seconds(self, run: Run) -> None:
        now = [0.0]
        pulse, writer = Pulse(run.directory, clock=lambda: now[0]), Writer(run, "load-1")
        for _ in range(10):
            now[0] += 0.5
            writer.write(50)
            pulse.look()
        assert pulse.look().rate == pytest.approx(100.0)
        now[0] += 5.0
        assert pulse.look().rate < 50

    def test_the_step_that_is_under_way(self, run: Run) -> None:
        pulse = Pulse(run.directory)
        run.record("step.start", "outer")
        run.record("step.start", "inner")
        assert pulse.look().step == "inner"
        run.record("step.end", "inner")
        assert pulse.look().step == "outer"
        run.record("step.end", "outer")
        assert pulse.look().step == ""


@pytest.mark.parametrize("ticks", [0, 1, 127, 128, 129, 12_345, 2**32 - 2])
def test_rounded_keeps_the_leading_digits(ticks: int) -> None:
    assert 0 <= ticks - rounded(ticks) <= ticks / 2 ** (DIGITS - 1)
    assert rounded(rounded(ticks)) == rounded(ticks)
