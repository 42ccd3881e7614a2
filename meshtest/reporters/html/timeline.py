"""The run over time: who served how much, what failed, what was intended, and under it what happened to the mesh."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from meshtest.lib.figures import seconds
from meshtest.lib.words import listed, plural
from meshtest.reporters.html import lanes
from meshtest.reporters.html.canvas import Canvas, Scale, both, label, nice, picture, time_axis
from meshtest.reporters.html.counts import Counts, deeper_counts, entry_counts
from meshtest.reporters.html.markup import NOTHING, Markup, join, tag
from meshtest.reporters.html.material import COLORS, UNKNOWN, Material, natural

HEIGHT = 150
"""Of a panel."""
FAILED = 30
"""Of the row of failures: one in a thousand would not be seen in the panel."""
GUIDES = 30
"""More of them would be a curtain."""
HOSTS = 3
"""Panels for hosts further down."""
OTHERS = "other versions"
SMOOTH = 4
"""Parts of the time on both sides that a rate is averaged over, to draw the intended split in it."""


def section(material: Material) -> Markup:
    if not len(material.requests) and not lanes.lanes(material):
        return tag("p", "Nothing was recorded.", class_="empty")
    return join((_legend(material), both(partial(drawn, material)), lanes.legend(material)))


def drawn(material: Material, canvas: Canvas) -> Markup:
    """The whole chart."""
    scale = Scale(*material.span, canvas.left, canvas.end)
    parts: list[Markup] = []
    y = 6.0
    panels = list(_panels(material, material.parts(canvas.columns)))
    for counts in panels:
        parts.append(_panel(material, canvas, scale, counts, y))
        y += HEIGHT + 30
    if material.lost and panels:
        parts.append(_failures(canvas, scale, panels[0], y - 6))
        y += FAILED + 8
    events, bottom = lanes.drawn(material, canvas, scale, y)
    guides = _guides(material, scale, 6 + 16, bottom)
    axis = join(time_axis(canvas, scale, bottom + 4))
    title = "Requests per second by serving version, and what happened to the mesh"
    body = (_bands(material, scale, 22, bottom), *parts, guides, events, axis)
    return picture(canvas, "timeline", bottom + 28, title, _description(material, panels), *body)


def _panels(material: Material, parts: int) -> Iterator[Counts]:
    if len(material.requests):
        yield entry_counts(material, parts)
    for host in material.moved[:HOSTS]:
        counts = deeper_counts(material, host, parts)
        if counts.versions:
            yield counts


def _description(material: Material, panels: Sequence[Counts]) -> str:
    words = []
    for counts in panels:
        served = (f"{name or UNKNOWN} {sum(row)}" for name, row in counts.versions.items())
        words.append(f"{counts.host or 'The load'}: {listed(served)} requests; {sum(counts.failed)} failed.")
    words += [f"Outage from {float(o['begin']):.3f} s for {seconds(o['seconds'])}." for o in material.outages[:5]]
    words.append(
        f"{plural(len(material.applied), 'change')} of the configuration. All events are listed in a table below."
    )
    return " ".join(words)


# A panel.


def stacked(material: Material, counts: Counts) -> list[tuple[str, str, list[int]]]:
    """(name, class, counts) from the bottom up: versions with a colour, the others together, failures on top."""
    known = sorted((name for name in counts.served if name), key=natural)
    layers = [(name, material.color(name), counts.served[name]) for name in known if material.color(name) != "other"]
    others = [row for name, row in counts.served.items() if not name or material.color(name) == "other"]
    if others and any(map(any, others)):
        layers.append((OTHERS, "other", [sum(column) for column in zip(*others, strict=True)]))
    return [*layers, ("failed", "failed", counts.failed)]


def _panel(material: Material, canvas: Canvas, scale: Scale, counts: Counts, y: float) -> Markup:
    layers = stacked(material, counts)
    top = max(*counts.totals, 1) / counts.width
    ticks = nice(0, top, 4)
    height = Scale(0, max(top, ticks[-1] if ticks else top) * 1.04, y + 16 + HEIGHT - 16, y + 16)
    parts = [label(canvas.left, y + 8, f"{counts.host or 'load'}, requests/s", class_="strong", room=canvas.inner)]
    parts += _rate_axis(canvas, height, ticks)
    floor = [0.0] * len(counts.failed)
    for _, class_, row in layers:
        reached = [low + n / counts.width for low, n in zip(floor, row, strict=True)]
        parts.append(_columns(counts, scale, height, floor, reached, class_))
        floor = reached
    parts += _intended(material, counts, scale, height)
    if canvas.tips:
        parts += _tips(counts, layers, scale, y + 16, HEIGHT - 16)
    return join(parts)


def _rate_axis(canvas: Canvas, height: Scale, ticks: Sequence[float]) -> Iterator[Markup]:
    for tick in ticks:
        y = height(tick)
        yield tag("path", d=f"M{canvas.left} {y:.1f}H{canvas.end}", class_="grid" if tick else "axis")
        yield tag("text", f"{tick:g}", x=canvas.left - 6, y=y + 4, text_anchor="end", class_="dim")


def _columns(
    counts: Counts, scale: Scale, height: Scale, floor: Sequence[float], top: Sequence[float], class_: str
) -> Markup:
    """One path: neighbours of the same height are one rectangle."""
    shapes = []
    pairs = zip(floor, top, strict=True)
    at = 0
    for (low, high), group in itertools.groupby(pairs):
        length = len(list(group))
        if high > low:
            x, right = scale(counts.edge(at)), scale(counts.edge(at + length))
            y = min(height(high), height(low) - 1)
            shapes.append(f"M{x:.1f} {y:.1f}H{right:.1f}V{height(low):.1f}H{x:.1f}z")
        at += length
    return tag("path", d="".join(shapes), class_=f"area {class_}") if shapes else NOTHING


def _intended(material: Material, counts: Counts, scale: Scale, height: Scale) -> Iterator[Markup]:
    """Where the borders between the versions should be, dashed: the shares in force of the rate there was."""
    if not (splits := _splits(material, counts)):
        return
    names = [name.rpartition("/")[2] for name in sorted(filter(None, counts.served), key=natural)]
    ends = [at for at, _ in splits[1:]] + [float("inf")]
    for border in range(1, len(names)):
        points: list[tuple[float, float]] = []
        for (at, split), end in zip(splits, ends, strict=True):
            below = sum(float(split.get(name, 0.0)) for name in names[:border]) / 100
            points += _border(counts, at, end, below)
        path = "".join(f"{'L' if i else 'M'}{scale(x):.1f} {height(y):.1f}" for i, (x, y) in enumerate(points))
        if path:
            title = tag("title", f"intended border above {names[border - 1]}")
            yield tag("path", title, d=path, class_="intended")


def _splits(material: Material, counts: Counts) -> list[tuple[float, Mapping[str, float]]]:
    """Those in force, if traffic was split at all, and not among more than can be told apart."""
    splits = material.shares(counts.host) if counts.host else []
    return splits if 2 <= len({version for _, split in splits for version in split}) <= COLORS else []


def _border(counts: Counts, at: float, end: float, below: float) -> Iterator[tuple[float, float]]:
    """A line over the parts of the time in which a split was in force, on its share of the smoothed rate."""
    totals = counts.totals
    mine = [i for i in range(len(totals)) if counts.edge(i + 1) > at and counts.edge(i) < end]
    for i in mine:
        near = totals[max(i - SMOOTH, mine[0]) : min(i + SMOOTH, mine[-1]) + 1]
        level = sum(near) / len(near) / counts.width * below
        yield max(counts.edge(i), at), level
        yield min(counts.edge(i + 1), end), level


def _tips(
    counts: Counts, layers: Sequence[tuple[str, str, list[int]]], scale: Scale, y: float, height: float
) -> Iterator[Markup]:
    for i in range(len(counts.failed)):
        said = [f"{name} {row[i]}" for name, _, row in layers if row[i]]
        if said:
            x, right = scale(counts.edge(i)), scale(counts.edge(i + 1))
            words = f"{counts.edge(i):.3f}–{counts.edge(i + 1):.3f} s: {', '.join(said)}"
            yield tag("rect", tag("title", words), x=x, y=y, width=right - x, height=height, class_="tip")


# Failures, outages, changes.


def _failures(canvas: Canvas, scale: Scale, counts: Counts, y: float) -> Markup:
    """Bars of their own scale; even a single one is seen."""
    most = max(*counts.failed, 1)
    height = Scale(0, most, y + FAILED, y)
    name = {"x": canvas.left - 6, "anchor": "end"} if not canvas.names_above else {"x": 2.0}
    parts = [label(y=y + FAILED - 4, text="failed", class_="bad", **name)]
    parts.append(tag("path", d=f"M{canvas.left} {y + FAILED:.1f}H{canvas.end}", class_="axis"))
    for i, count in enumerate(counts.failed):
        if count:
            x, right = scale(counts.edge(i)), scale(counts.edge(i + 1))
            title = tag("title", f"{count} failed, {counts.edge(i):.3f}–{counts.edge(i + 1):.3f} s")
            top = min(height(count), y + FAILED - 4)
            size = {"width": max(right - x, 2.0), "height": y + FAILED - top}
            parts.append(tag("rect", title, x=x, y=top, **size, class_="area failed"))
    return join(parts)


def _bands(material: Material, scale: Scale, top: float, bottom: float) -> Markup:
    """Outages and faults as grounds behind everything."""
    bands = [(float(o["begin"]), float(o["end"]), "outage") for o in material.outages]
    bands += [(i.start, i.end, "fault") for lane in lanes.lanes(material) if lane.name == "faults" for i in lane.items]
    return join(
        tag("rect", x=scale(start), y=top, width=max(scale(end) - scale(start), 1.5), height=bottom - top,
            class_=f"band {class_}")
        for start, end, class_ in bands[:200]
    )  # fmt: skip


def _guides(material: Material, scale: Scale, top: float, bottom: float) -> Markup:
    """Faint lines up from the moments at which changes came into force; at most one for two units of the canvas."""
    low, high = material.span
    places = sorted({round(scale(e.at) / 2) * 2 for e in material.acked.values() if low <= e.at <= high})
    if not places or len(places) > GUIDES:
        return NOTHING
    return tag("path", d="".join(f"M{x} {top}V{bottom:.0f}" for x in places), class_="guide")


def _legend(material: Material) -> Markup:
    names: dict[str, tuple[str, str]] = {}
    for counts in _panels(material, 1):
        for name, class_, row in stacked(material, counts):
            if any(row) or (class_ == "failed" and material.lost):
                names.setdefault(name, (class_, name))
    items = [
        tag("li", tag("span", class_=f"swatch {class_}", aria_hidden="true"), tag("span", name, class_="name"))
        for class_, name in names.values()
    ]
    if any(_splits(material, counts) for counts in _panels(material, 1)):
        items.append(tag("li", tag("span", class_="swatch dashes", aria_hidden="true"), "intended split"))
    if material.outages:
        items.append(tag("li", tag("span", class_="swatch shade", aria_hidden="true"), "outage"))
    return tag("ul", *items, class_="legend") if items else NOTHING
