"""Durations and percentages as Go reads and writes them."""

from __future__ import annotations

import pytest

from meshtest.manifests.quantities import duration, is_percent, seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7s", 7.0),
        ("1m30s", 90.0),
        ("250ms", 0.25),
        ("1h", 3600.0),
        ("1.5s", 1.5),
        ("10us", 1e-5),
        ("0", 0.0),
        ("", None),
        ("5", None),
        ("s", None),
        ("5 s", None),
        ("5sec", None),
        ("-1s", None),
    ],
)
def test_durations_as_go_reads_them(text: str, value: float | None) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("value", "text"), [(7.0, "7s"), (0.25, "250ms"), (0.0, "0s"), (1.5, "1.5s"), (0.0005, "0.5ms")]
)
def test_durations_as_we_write_them(value: float, text: str) -> None:
    assert duration(value) == text
    assert seconds(text) == value


@pytest.mark.parametrize(("text", "yes"), [("25%", True), ("0%", True), ("%", False), ("25", False), ("x%", False)])
def test_percentages(text: str, yes: bool) -> None:
    assert is_percent(text) is yes
