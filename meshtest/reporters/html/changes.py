"""What each change of the configuration changed; the one in force at the failing step is open, the others folded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from meshtest.lib.figures import seconds
from meshtest.lib.words import plural
from meshtest.model.report import Change
from meshtest.reporters.html.markup import Markup, join, tag
from meshtest.reporters.html.material import Material

LINES = 200
"""Lines of a diff that are shown; the folder of the run has all."""
LONGEST = 400
"""Characters of a line."""
BUDGET = 40_000
"""Characters of all diffs together, for the page must stay small; what was at fault is shown first."""
NEAR = 10
"""Changes before and after the one at fault that are listed at once."""
MOST = 150
"""Changes that are listed."""


def section(material: Material) -> Markup:
    changes = list(material.report.changes)
    if not changes:
        return tag("p", "No change of the configuration was recorded.", class_="empty")
    guilty, budget = material.guilty, BUDGET
    order = sorted(changes, key=lambda change: change is not guilty)
    shown: dict[int, Markup] = {}
    for change in order[:MOST]:
        body, used = _diff(change, budget)
        budget -= used
        shown[change.number] = _change(material, change, body, change is guilty)
    listed = [change for change in changes if change.number in shown]
    parts = list(_folded(shown, listed, listed.index(guilty) if guilty else 0))
    if len(changes) > MOST:
        parts.append(
            tag("p", f"and {plural(len(changes) - MOST, 'more change')} in the folder of the run", class_="dim")
        )
    return join(parts)


def _folded(shown: Mapping[int, Markup], listed: Sequence[Change], at: int) -> Iterator[Markup]:
    """Those near the one at fault; the others behind one line, if they are many."""
    bodies = [shown[change.number] for change in listed]
    low, high = max(at - NEAR, 0), at + NEAR + 1
    low, high = (0, len(bodies)) if len(bodies) <= 2 * NEAR + 4 else (low, high)
    for part, words in ((bodies[:low], "earlier"), (bodies[low:high], ""), (bodies[high:], "later")):
        if words and part:
            yield tag("details", tag("summary", f"{len(part)} {words} changes"), tag("div", *part))
        else:
            yield from part


def _change(material: Material, change: Change, body: Markup, guilty: bool) -> Markup:
    lines = change.diff.splitlines()
    more = sum(line.startswith("+") and not line.startswith("+++") for line in lines)
    less = sum(line.startswith("-") and not line.startswith("---") for line in lines)
    note = _note(material) if guilty else ""
    summary = tag(
        "summary", tag("span", f"#{change.number}", class_="number"), tag("span", change.reason, class_="reason"),
        tag("span", _when(material, change.number), class_="dim"),
        tag("span", tag("span", f"+{more}", class_="plus"), " ", tag("span", f"−{less}", class_="minus")),
        tag("span", note, class_="flag" if material.failures else "dim") if note else Markup(),
    )  # fmt: skip
    return tag("details", summary, body, class_="change", open=guilty)


def _note(material: Material) -> str:
    return "the last before the first failure" if material.failures else "the last"


def _when(material: Material, number: int) -> str:
    asked, acked = material.applied.get(number), material.acked.get(number)
    if asked is None:
        return ""
    took = f", in force after {seconds(acked.at - asked.at)}" if acked else ", not acknowledged"
    return f"at {asked.at:.3f} s{took}"


def _diff(change: Change, budget: int) -> tuple[Markup, int]:
    """Coloured; also the signs at the beginning of the lines tell. And how much of the budget it took."""
    lines = [line[:LONGEST] for line in change.diff.splitlines()]
    if not lines:
        return tag("p", "Nothing changed in the documents.", class_="empty"), 0
    kept: list[Markup] = []
    used = 0
    for line in lines[:LINES]:
        used += len(line) + 30
        if used > budget:
            break
        kept.append(_line(line))
    left = len(lines) - len(kept)
    parts = [tag("pre", tag("code", *kept), class_="diff", tabindex="0")] if kept else []
    if left:
        parts.append(tag("p", f"{plural(left, 'more line')} in config/{change.number:03}.diff", class_="dim"))
    return join(parts), used


def _line(line: str) -> Markup:
    kind = next(_kinds(line), None)
    return tag("span", line + "\n", class_=kind)


def _kinds(line: str) -> Iterator[str]:
    for start, kind in (("+++", "file"), ("---", "file"), ("@@", "place"), ("+", "plus"), ("-", "minus")):
        if line.startswith(start):
            yield kind
