"""Which lines of a log are shown: those of the seconds around the first failure, by the times that lines begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshtest.reporters.html.logs import LINES, excerpt
from meshtest.reporters.html.material import Material
from tests.reporters.html import samples

START = 1_795_397_412
"""2026-11-23 01:30:12 UTC"""


def failed_at_half_a_second() -> Material:
    material = Material(samples.report(samples.cut().history, about={"wall_start": START + 0.0}))
    assert material.moment == pytest.approx(0.79, abs=0.05)
    return material


def lines_of(tmp_path: Path, text: str, material: Material | None = None) -> tuple[list[str], str]:
    path = tmp_path / "x.log"
    path.write_text(text)
    found = excerpt(material or failed_at_half_a_second(), path)
    return list(found.lines), found.words


@pytest.mark.parametrize(
    ("near", "far"),
    [
        ("2026-11-23T01:30:12.900Z", "2026-11-23T01:30:30.000Z"),
        ("2026-11-23 02:30:13,250+01:00", "2026-11-23 01:30:13,250+01:00"),
        ("[2026-11-23 01:30:12.900][12][info]", "[2026-11-23 01:30:29.900][12][info]"),
        (f"{START}.9", f"{START + 30}.1"),
    ],
    ids=["iso", "zone", "envoy", "epoch"],
)
def test_lines_are_placed_by_their_time(tmp_path: Path, near: str, far: str) -> None:
    lines, words = lines_of(tmp_path, f"{far} far\n{near} near\n  at Main.java:7\n{far} far\n")
    assert lines == [f"{near} near", "  at Main.java:7"]
    assert words.startswith("around 0.79")


def test_a_log_without_times_is_shown_from_its_end(tmp_path: Path) -> None:
    lines, words = lines_of(tmp_path, "".join(f"line {i}\n" for i in range(100)))
    assert lines == [f"line {i}" for i in range(100 - LINES, 100)]
    assert words == "its lines have no times; the end"


def test_without_a_failure_it_is_the_end(tmp_path: Path) -> None:
    lines, words = lines_of(tmp_path, "one\ntwo\n", Material(samples.good()))
    assert (lines, words) == (["one", "two"], "the end")


def test_times_that_are_none_and_files_that_are_gone_are_no_trouble(tmp_path: Path) -> None:
    assert lines_of(tmp_path, "2026-99-99T01:30:12 x\n")[0] == ["2026-99-99T01:30:12 x"]
    assert excerpt(failed_at_half_a_second(), tmp_path / "gone").total == 0


def test_of_a_large_log_only_the_end_is_read(tmp_path: Path) -> None:
    lines, _ = lines_of(tmp_path, "x" * 99 + "\n" + ("y" * 99 + "\n") * 10_000)
    assert len(lines) == LINES
    assert set(lines) == {"y" * 99}
