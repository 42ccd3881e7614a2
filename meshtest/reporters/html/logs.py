"""What the pods and the proxies printed around the second of the first failure, folded.

Lines are placed by the time they begin with, if they do (ISO 8601, as loggers write it, or seconds of the epoch); a
line without one belongs to the line before. A log without any times is shown from its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from meshtest.lib.words import plural
from meshtest.reporters.html.markup import Markup, join, tag
from meshtest.reporters.html.material import Material, natural

BEFORE, AFTER = 2.0, 2.0
"""Seconds around the first failure."""
LINES = 40
LONGEST = 300
"""Characters of a line."""
BUDGET = 40_000
"""Characters of all logs together."""
TAIL = 256_000
"""Bytes read from the end of a log that is longer."""
_ISO = re.compile(r"\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:[.,](\d{1,9}))?\s?(Z|[+-]\d\d:?\d\d)?")
_EPOCH = re.compile(r"\[?(1\d{9}(?:\.\d+)?)\b")


class Excerpt(NamedTuple):
    """Some lines of a log."""

    lines: Sequence[str]
    total: int
    words: str
    """Which lines these are."""


def section(material: Material) -> Markup:
    budget = BUDGET
    parts: list[Markup] = []
    silent: list[str] = []
    for name, path in sorted(material.report.logs.items(), key=lambda item: natural(item[0])):
        found = excerpt(material, path)
        if not found.total:
            silent.append(name)
            continue
        lines = list(_within(found.lines, budget))
        budget -= sum(map(len, lines))
        parts.append(_log(name, found, lines))
    if silent:
        parts.append(
            tag("p", f"Printed nothing: {', '.join(silent[:30])}{' ...' if len(silent) > 30 else ''}.", class_="dim")
        )
    return join(parts) if parts else tag("p", "No logs were kept.", class_="empty")


def _within(lines: Sequence[str], budget: int) -> Iterator[str]:
    for line in lines:
        budget -= len(line)
        if budget < 0:
            return
        yield line


def _log(name: str, found: Excerpt, lines: Sequence[str]) -> Markup:
    words = tag("span", f"{found.words}, {len(lines)} of {plural(found.total, 'line')}", class_="dim")
    summary = tag("summary", tag("span", name, class_="reason"), words)
    body = tag("pre", tag("code", "\n".join(lines)), tabindex="0") if lines else tag("p", "None.", class_="empty")
    return tag("details", summary, body, class_="log")


def excerpt(material: Material, path: Path) -> Excerpt:
    """Around the first failure, or the end if there was none."""
    lines = _read(path)
    moment = material.moment
    start = float(material.report.about.get("wall_start") or 0.0)
    times = _times(lines, start, material.span[1] + 60)
    if moment is None or not any(at is not None for at in times):
        what = "the end" if moment is None else "its lines have no times; the end"
        return Excerpt([line[:LONGEST] for line in lines[-LINES:]], len(lines), what)
    near = [i for i, at in enumerate(times) if at is not None and moment - BEFORE <= at <= moment + AFTER]
    near.sort(key=lambda i: abs((times[i] or 0.0) - moment))
    chosen = [lines[i][:LONGEST] for i in sorted(near[:LINES])]
    return Excerpt(chosen, len(lines), f"around {moment:.3f} s")


def _read(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - TAIL, 0))
            data = file.read()
    except OSError:
        return []
    lines = data.decode("utf-8", "replace").splitlines()
    return lines[1:] if size > TAIL else lines


def _times(lines: Sequence[str], wall_start: float, end: float) -> list[float | None]:
    """Of each line its second of the run, or that of the line before."""
    found: list[float | None] = []
    for line in lines:
        read = [stamp - wall_start for stamp in _stamps(line[:60])]
        at = next((second for second in read if -60 <= second <= end), read[0] if read else None)
        found.append(at if at is not None else found[-1] if found else None)
    return found


def _stamps(line: str) -> Iterator[float]:
    """As UTC, then as local time, where the line does not say."""
    if match := _ISO.match(line):
        day, fraction, zone = match.groups()
        more = float(f"0.{fraction}") if fraction else 0.0
        try:
            if zone:
                yield datetime.fromisoformat(day + zone.replace("Z", "+00:00")).timestamp() + more
            else:
                yield datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() + more
                yield datetime.fromisoformat(day).timestamp() + more
        except (ValueError, OverflowError):
            return
    elif match := _EPOCH.match(line):
        yield float(match[1])
