"""A rehearsal on a terminal, tick by tick."""

from __future__ import annotations

import io

import pytest

from meshtest.cli.rehearse_table import Table
from meshtest.cli.terminal import Terminal
from tests.reporters.canary_rehearsals import rolled_back
from tests.rollouts.podinfo import podinfo


def shown(columns: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = io.StringIO()
    table = Table(Terminal(stream), podinfo(), 20.0)
    for row in rolled_back().ticks:
        table(row)
    return stream.getvalue().splitlines()


@pytest.mark.parametrize("columns", [72, 80, 100, 200])
def test_no_line_is_longer_than_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert max(map(len, shown(columns, monkeypatch))) <= columns


def test_what_is_said_stands_beside_the_row_or_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    wide, narrow = shown(100, monkeypatch), shown(80, monkeypatch)
    assert any("90/10" in line and "Advance" in line for line in wide)
    (row,) = [number for number, line in enumerate(narrow) if line.split()[:1] == ["2"]]
    assert narrow[row + 1].startswith("      Advance web.shop canary weight 10")
