"""What was measured, as rows of Markdown, and the aims that do not hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    what: str
    aim: str
    cells: Mapping[str, str]
    """Tool to figure; a tool that is not there has none."""
    holds: bool | None = None
    """None: there is no aim, or it could not be measured."""
    why: str = field(default="", compare=False)
    """If it does not hold, the figure that says so."""


def markdown(rows: Sequence[Row], tools: Sequence[str], missing: Mapping[str, str]) -> str:
    """A column a tool. A tool that is not installed says why in its first row, and leaves the others empty."""
    lines = [_line(["what", "aim", *tools]), _line(["---"] * (2 + len(tools)))]
    for number, row in enumerate(rows):
        excuses = missing if number == 0 else {}
        lines.append(_line([row.what, row.aim, *(row.cells.get(tool, excuses.get(tool, "")) for tool in tools)]))
    return "\n".join(lines)


def unmet(rows: Sequence[Row]) -> list[str]:
    return [f"{row.what}: {row.why or 'measured otherwise'}, aim {row.aim}" for row in rows if row.holds is False]


def unmeasured(rows: Sequence[Row]) -> list[str]:
    return [f"{row.what}: {row.why}" for row in rows if row.holds is None and row.why]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def count(number: float) -> str:
    return f"{number:,.0f}"


def micro(seconds: float) -> str:
    """us below 1 ms."""
    return f"{seconds * 1e6:.0f} us" if seconds < 1e-3 else f"{seconds * 1e3:.3g} ms"


def share(part: float | None) -> str:
    if part is None:
        return "-"
    return f"{100 * part:.0f} %" if part in (0.0, 1.0) or 0.01 <= part <= 0.99 else f"{100 * part:.1f} %"
