"""A rehearsal as a person reads it while it lasts: a line a tick, then what came of it."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from meshtest.cli.terminal import Terminal
from meshtest.model.rehearsal import Rehearsal, TickRow
from meshtest.model.verdict import Verdict
from meshtest.rollouts.canary.spec import Canary
from meshtest.rollouts.canary.surprises import SURPRISES

HEAD = "tick   after  phase             routes          fails"
LEAST = 40
"""Columns of what is said beside a row; a narrower terminal gets it below."""
BELOW = " " * 6


class Table:
    """Its head comes with the first tick: until then there may be something to complain about."""

    def __init__(self, terminal: Terminal, canary: Canary, speed: float) -> None:
        self._terminal, self._canary, self._speed = terminal, canary, speed
        self._begun = False

    def __call__(self, row: TickRow) -> None:
        if not self._begun:
            self._begun = True
            self._terminal.say(f"{self._title}\n\n{HEAD}")
        failed = str(row.failed_checks or "")
        head = f"{row.number:>4}  {clock(row.after):>6}  {row.phase:<16}  {row.routes or '-':<14}  {failed:>5}  "
        text = "; ".join(said(row, self._canary)) or "-"
        if self._terminal.width < len(head) + LEAST:
            self._terminal.say(head.rstrip())
            self._say(BELOW + text, indent=BELOW)
        else:
            self._say(head + text, indent=" " * len(head))

    @property
    def _title(self) -> str:
        canary, interval = self._canary, self._canary.analysis.interval
        pace = f"every {clock(interval)}, here every {clock(interval / self._speed)}"
        return f"{canary.full_name}: {canary.analysis.strategy} on {canary.provider}, {pace}"

    def end(self, found: Rehearsal, verdict: Verdict, run: Path) -> None:
        self._terminal.say()
        for note in found.notes:
            self._say(f"note: {note}")
        for code in dict.fromkeys(code for row in found.ticks for code in row.surprises):
            self._say(f"{code}: {SURPRISES[code].says}")
        for finding in verdict.findings:
            self._say(f"{finding.outcome.name}: {finding.check}: {finding.sentence}")
        self.summary(found)
        self._terminal.say(f"  look  meshtest report {run}")

    def summary(self, found: Rehearsal) -> None:
        self._terminal.say()
        self._say(str(found), indent="")
        if found.unproven:
            self._say(f"  do    {found.remedy}", indent="        ")

    def _say(self, text: str, indent: str = "  ") -> None:
        for line in textwrap.wrap(text, self._terminal.width, subsequent_indent=indent, break_on_hyphens=False):
            self._terminal.say(line)


def said(row: TickRow, canary: Canary) -> Iterator[str]:
    """The metrics with the requests they rest on, then the events, then the codes of surprises."""
    yield from (f"{one.name} {one.value:.4g} ({one.requests})" for one in row.metrics if one.value is not None)
    names = "|".join(re.escape(name) for name in (canary.full_name, canary.workload))
    for event in row.events:
        yield re.sub(rf" (?:for )?(?:{names})(?![\w.-])", "", event.partition(" ")[2])
    if row.unproven:
        yield f"proves nothing: {row.unproven}"
    yield from row.surprises


def clock(value: float) -> str:
    """`0s`, `1m30s`, `2h`; parts of a second only below a minute."""
    if value < 60:
        return f"{round(value, 2):g}s"
    whole = round(value)
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount)
