"""Latencies over time, a panel a version: how many answers took how long, as shades, with the median as a line.

The axis is logarithmic. Requests without an answer have no latency; they are in the row of failures of the timeline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from math import log10, sqrt

from meshtest.lib.figures import seconds
from meshtest.lib.words import listed
from meshtest.reporters.html.canvas import Canvas, Scale, both, duration, label, log_ticks, picture, time_axis
from meshtest.reporters.html.counts import Cells, cells
from meshtest.reporters.html.markup import Markup, join, tag
from meshtest.reporters.html.material import UNKNOWN, Material, natural

PANELS = 4
"""Versions with a panel; those with most requests."""
TIPPED = 2
"""More panels than that have no tooltips: they would be most of the page."""
SHADES = 5
HEIGHT = 110
GAP = 24


def section(material: Material) -> Markup:
    if not material.slowest and material.slowest != 0:
        return tag("p", "No request was answered.", class_="empty")
    return both(partial(drawn, material))


def drawn(material: Material, canvas: Canvas) -> Markup:
    found = cells(material, material.parts(canvas.columns), coarse=_coarse(material))
    shown = sorted(found.counts, key=lambda name: -found.counts[name].total())[:PANELS]
    scale = Scale(*material.span, canvas.left, canvas.end)
    parts: list[Markup] = []
    y = 0.0
    for name in sorted(shown, key=natural):
        parts.append(_panel(material, canvas, scale, found, name, y))
        if canvas.tips and len(shown) <= TIPPED:
            parts += _tips(found.counts[name], found, scale, y + 18)
        y += HEIGHT + GAP
    parts += time_axis(canvas, scale, y - 2)
    title = "Latency over time by version, logarithmic"
    return picture(canvas, "latency", y + 22, title, _description(material, found), *parts)


def _coarse(material: Material) -> int:
    """Few answers make few rows, or they would be dust."""
    return 4 if len(material.requests) < 1000 else 2 if len(material.requests) < 20_000 else 1


def _description(material: Material, found: Cells) -> str:
    rows = (row for row in material.rows if row.version in found.counts)
    return listed((f"{r.version}: p50 {seconds(r.p50)}, p99 {seconds(r.p99)}" for r in rows), most=6)


def _panel(material: Material, canvas: Canvas, scale: Scale, found: Cells, name: str, y: float) -> Markup:
    counts, top = found.counts[name], y + 18
    height = Scale(0, found.steps, top + HEIGHT - 6, top)
    words = f"{name or UNKNOWN}, {counts.total():,} answers"
    parts = [label(canvas.left, y + 12, words, class_="strong", room=canvas.inner)]
    parts += _axis(canvas, found, height)
    parts += _shades(material.color(name), counts, found, scale, height)
    parts += _median(counts, found, scale, height)
    return join(parts)


def _axis(canvas: Canvas, found: Cells, height: Scale) -> Iterator[Markup]:
    low, high = found.latency(0), found.latency(found.steps)
    reached = float("inf")
    for value in log_ticks(low, high):
        y = height(found.steps * log10(value / low) / log10(high / low))
        yield tag("path", d=f"M{canvas.left} {y:.1f}H{canvas.end}", class_="grid")
        if reached - y >= 13:
            words = duration(value) if canvas.left > 60 else duration(value).replace(" ", "")
            yield tag("text", words, x=canvas.left - 5, y=y + 4, text_anchor="end", class_="dim")
            reached = y


def _shades(
    color: str, counts: Counter[tuple[int, int]], found: Cells, scale: Scale, height: Scale
) -> Iterator[Markup]:
    """A path a shade, of thick lines: a run of neighbours of one shade is one line. In units of cells, to be short."""
    most = max(counts.values())
    lines: dict[int, list[str]] = {}
    for (part, row), length, shade in _runs(counts, most):
        lines.setdefault(shade, []).append(f"M{part} {row}h{length}")
    column = (scale(found.start + found.width * found.parts) - scale(found.start)) / found.parts
    place = f"translate({scale(found.start):.2f} {height(0.5):.2f}) scale({column:.4f} {height(1) - height(0):.4f})"
    shades = (
        tag("path", d="".join(paths), stroke_opacity=f"{0.2 + 0.8 * shade / SHADES:.2f}")
        for shade, paths in sorted(lines.items())
    )
    yield tag("g", *shades, class_=f"heat {color}", transform=place)


def _runs(counts: Counter[tuple[int, int]], most: int) -> Iterator[tuple[tuple[int, int], int, int]]:
    """((part, row), length, shade), by row. The root of a count, so that a few are seen beside many."""
    cells = sorted((row, part, _shade(count, most)) for (part, row), count in counts.items())
    first, length = None, 0
    for row, part, shade in cells:
        if first and first[0] == row and first[1] + length == part and first[2] == shade:
            length += 1
            continue
        if first:
            yield (first[1], first[0]), length, first[2]
        first, length = (row, part, shade), 1
    if first:
        yield (first[1], first[0]), length, first[2]


def _shade(count: int, most: int) -> int:
    return min(int(sqrt(count / most) * SHADES) + 1, SHADES)


def _by_part(counts: Counter[tuple[int, int]]) -> dict[int, list[tuple[int, int]]]:
    """Of each part of the time: (row, count), the fastest first."""
    found: dict[int, list[tuple[int, int]]] = {}
    for (part, row), count in sorted(counts.items()):
        found.setdefault(part, []).append((row, count))
    return found


def _quantile(column: Sequence[tuple[int, int]], p: float) -> int:
    """The row in which it lies."""
    left = p * sum(count for _, count in column)
    for row, count in column:
        left -= count
        if left <= 1e-9:
            return row
    return column[-1][0]


def _median(counts: Counter[tuple[int, int]], found: Cells, scale: Scale, height: Scale) -> Iterator[Markup]:
    """A line, broken where nobody answered."""
    path, before = [], -9
    for part, column in _by_part(counts).items():
        x = scale(found.start + (part + 0.5) * found.width)
        path.append(f"{'L' if part - before <= 3 else 'M'}{x:.1f} {height(_quantile(column, 0.5) + 0.5):.1f}")
        before = part
    if len(path) > 1:
        yield tag("path", tag("title", "median"), d="".join(path), class_="median")


def _tips(counts: Counter[tuple[int, int]], found: Cells, scale: Scale, y: float) -> Iterator[Markup]:
    for part, column in _by_part(counts).items():
        start = found.start + part * found.width
        x, right = scale(start), scale(start + found.width)
        p50, p99 = (seconds(found.latency(_quantile(column, p) + 0.5)) for p in (0.5, 0.99))
        answers = sum(count for _, count in column)
        words = f"{start:.3f} s: {answers} answers, p50 about {p50}, p99 about {p99}"
        yield tag("rect", tag("title", words), x=x, y=y, width=right - x, height=HEIGHT - 6, class_="tip")
