"""The service graph: who called whom, how often, how well; and the table of it, which also says why an edge is missing.

From left to right in wide windows, from top to bottom in narrow ones. Every edge runs through its own words, and these
have a place of their own between two layers: they never lie on each other, nor on a node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from math import inf, log10
from typing import NamedTuple

from meshtest.lib.figures import percent
from meshtest.lib.words import plural
from meshtest.model.graph import Edge, Graph, Node
from meshtest.reporters.html.canvas import NARROW, Canvas, both, fitted, picture, took, width
from meshtest.reporters.html.layers import Layers, Slot, layered
from meshtest.reporters.html.markup import NOTHING, Markup, join, tag
from meshtest.reporters.html.material import Material
from meshtest.telemetry.graph import graph_of

MOST = 20
"""Nodes that are drawn; those with most requests. The table has all edges, up to MOST_ROWS."""
MOST_ROWS = 120
ABREAST = 3
"""Nodes beside each other in a narrow window."""
LINE = 14
"""Height of a line of words."""


class Shape(NamedTuple):
    """Sizes for one direction. `along` is from caller to callee, `across` the other way."""

    node_along: float
    node_across: float
    gap: float
    """Between layers, where the words stand."""
    pitch: float
    """Between the middles of neighbours in a layer, at least."""
    words: float
    """Room that the words of an edge need across."""
    down: bool


class Spot(NamedTuple):
    along: float
    across: float


def section(material: Material) -> Markup:
    graph = graph_of(material.history)
    if not graph.edges:
        reasons = [tag("li", missing.text) for missing in graph.missing[:20]]
        why = tag("ul", *reasons) if reasons else tag("p", "No requests, no calls.", class_="empty")
        return join((tag("p", "There is no edge to draw."), why))
    kept = _kept(graph)
    chart = both(partial(drawn, material, kept))
    return join((chart, _table(graph), _missing(graph)))


def _kept(graph: Graph) -> Graph:
    """As much of it as can be drawn."""
    weight: dict[str, int] = dict.fromkeys((node.name for node in graph.nodes), 0)
    for edge in graph.edges:
        for name in (edge.source, edge.target):
            weight[name] = weight.get(name, 0) + edge.requests
    names = set(sorted((n for n in weight if weight[n]), key=lambda n: -weight[n])[:MOST])
    edges = tuple(e for e in graph.edges if e.source in names and e.target in names)
    return Graph(tuple(n for n in graph.nodes if n.name in names), edges, (), graph.start, graph.end)


# Layout.


def _shape(canvas: Canvas, layers: int, widest: int) -> Shape:
    """Down where that fits into a narrow window; else to the right, to be scrolled if need be."""
    if canvas is NARROW and widest <= ABREAST:
        return Shape(34, min(118, (canvas.width - 16) / max(widest, 1) - 8), 64, 126, 104, True)
    room = (canvas.width - 16 - layers * 106) / max(layers - 1, 1)
    return Shape(106, 36, min(max(room, 128), 240), 56, 36, False)


def _placed(layout: Layers, shape: Shape, room: float) -> tuple[dict[Slot, Spot], float]:
    """The middle of each slot, and how far the graph reaches across."""
    sizes = [sum(_pitch(slot, shape) for slot in row) for row in layout.rows]
    across = max(*sizes, room if shape.down else 0.0)
    spots: dict[Slot, Spot] = {}
    for number, row in enumerate(layout.rows):
        at = (across - sizes[number]) / 2
        along = 8 + shape.node_along / 2 + number * (shape.node_along + shape.gap)
        for slot in row:
            spots[slot] = Spot(along, at + _pitch(slot, shape) / 2)
            at += _pitch(slot, shape)
    return spots, across


def _pitch(slot: Slot, shape: Shape) -> float:
    return shape.pitch if isinstance(slot, str) else shape.words + 4


def _label_spots(
    edges: Sequence[Edge], layout: Layers, spots: Mapping[Slot, Spot], shape: Shape, across: float
) -> dict[tuple[str, str], Spot]:
    """A place for the words of each edge in the gap before its target, none on another."""
    gaps: dict[float, list[tuple[float, tuple[str, str]]]] = {}
    for edge in edges:
        before, target = layout.ways[edge.source, edge.target][-2:]
        along = (spots[before].along + spots[target].along) / 2
        middle = spots[before].across * 0.4 + spots[target].across * 0.6
        gaps.setdefault(along, []).append((middle, (edge.source, edge.target)))
    found: dict[tuple[str, str], Spot] = {}
    for along, wanted in gaps.items():
        wanted.sort()
        for place, (_, key) in zip(_spread([at for at, _ in wanted], shape.words, across), wanted, strict=True):
            found[key] = Spot(along, place)
    return found


def _spread(wanted: Sequence[float], distance: float, room: float) -> list[float]:
    """Sorted places moved apart as little as need be: each to its nearest free place, then all back into the room."""
    places: list[float] = []
    for at in wanted:
        places.append(max(at, places[-1] + distance) if places else max(at, distance / 2))
    limit = room - distance / 2
    for i in range(len(places) - 1, -1, -1):
        if places[i] <= limit:
            break
        places[i] = limit
        limit -= distance
    return places


# Drawing.


def drawn(material: Material, graph: Graph, canvas: Canvas) -> Markup:
    edges = list({(e.source, e.target): e for e in sorted(graph.edges, key=lambda e: not e.mirrored)}.values())
    names = [node.name for node in graph.nodes]
    layout = layered(names, [(e.source, e.target) for e in edges])
    shape = _shape(canvas, len(layout.rows), max(len(row) for row in layout.rows))
    spots, across = _placed(layout, shape, canvas.width - 16)
    labels = _label_spots(edges, layout, spots, shape, across)
    length = 16 + len(layout.rows) * shape.node_along + (len(layout.rows) - 1) * shape.gap
    wide, high = (across + 16, length) if shape.down else (length, across + 16)
    most = max(edge.requests for edge in edges)
    parts = [_edge(e, layout, spots, labels[e.source, e.target], shape, most) for e in edges]
    parts += [_words(e, labels[e.source, e.target], shape) for e in edges]
    parts += [_node(material, node, spots[node.name], shape) for node in graph.nodes]
    sized = canvas._replace(width=max(int(wide) + 1, canvas.width))
    chart = picture(sized, "graph", high, "Service graph", _description(graph), *parts)
    if sized.width <= canvas.width * 1.15:
        return chart
    inner = tag("div", chart, style=f"min-width:{sized.width * 0.85:.0f}px")
    return tag("div", inner, class_="scroll", tabindex="0", role="region", aria_label="Service graph")


def _description(graph: Graph) -> str:
    """All of it is in the table."""
    worst = max(graph.edges, key=lambda e: (e.failed, e.requests))
    failed = f" Most failed from {worst.source} to {worst.target}: {worst.failed}." if worst.failed else ""
    return f"{plural(len(graph.nodes), 'node')}, {plural(len(graph.edges), 'edge')}.{failed}"


def _xy(spot: Spot, shape: Shape) -> tuple[float, float]:
    return (spot.across + 8, spot.along) if shape.down else (spot.along, spot.across + 8)


def _edge(edge: Edge, layout: Layers, spots: Mapping[Slot, Spot], words: Spot, shape: Shape, most: int) -> Markup:
    """From the source, through its stand-ins and its words, to the target."""
    way = layout.ways[edge.source, edge.target]
    half = shape.node_along / 2
    start, end = spots[way[0]], spots[way[-1]]
    sign = 1 if end.along >= start.along else -1
    flat = 0 if shape.down else sign * _longest(edge) / 2
    points = [Spot(start.along + sign * half, start.across), *(spots[slot] for slot in way[1:-1]),
              words._replace(along=words.along - flat), words._replace(along=words.along + flat),
              Spot(end.along - sign * (half + 7), end.across)]  # fmt: skip
    thick = 1 + 2.5 * log10(1 + 9 * edge.requests / most)
    kinds = " ".join(filter(None, ("edge", "failed" if edge.failed else "", "copies" if edge.mirrored else "")))
    path = tag("path", tag("title", said(edge)), d=_curve(points, shape), class_=kinds, stroke_width=f"{thick:.1f}")
    return join((path, _head(points[-1], sign, shape, failed=bool(edge.failed))))


def _curve(points: Sequence[Spot], shape: Shape) -> str:
    """Smooth, and along the direction of the graph at every point."""
    x, y = _xy(points[0], shape)
    path = [f"M{x:.1f} {y:.1f}"]
    for one, other in pairwise(points):
        middle = (one.along + other.along) / 2
        (x1, y1), (x2, y2) = (_xy(Spot(middle, p.across), shape) for p in (one, other))
        x, y = _xy(other, shape)
        path.append(f"C{x1:.1f} {y1:.1f} {x2:.1f} {y2:.1f} {x:.1f} {y:.1f}")
    return "".join(path)


def _head(tip: Spot, sign: int, shape: Shape, *, failed: bool) -> Markup:
    x, y = _xy(Spot(tip.along + sign * 6, tip.across), shape)
    back = -9 * sign
    path = f"M{x:.1f} {y:.1f}l-4.5 {back}h9z" if shape.down else f"M{x:.1f} {y:.1f}l{back} -4.5v9z"
    return tag("path", d=path, class_=f"tipped{' failed' if failed else ''}")


def _lines(edge: Edge) -> list[str]:
    """How often and how fast; what failed and how safe."""
    more = [f"✗ {edge.failed:,} failed"] if edge.failed else []
    more += ["copies"] if edge.mirrored else []
    more += ["mTLS"] if edge.mtls else []
    return [f"{_rate(edge.rate)} · {took(edge.p50)}", *([" · ".join(more)] if more else [])]


def _longest(edge: Edge) -> float:
    return max(width(line, 11) for line in _lines(edge)) + 4


def _words(edge: Edge, spot: Spot, shape: Shape) -> Markup:
    """Above the edge and below it; where edges run down, on it."""
    x, y = _xy(spot, shape)
    lines = _lines(edge)
    room = shape.words if shape.down else shape.gap - 14
    places = [y + 4 + LINE * (i - (len(lines) - 1) / 2) for i in range(2)] if shape.down else [y - 5, y + 14]
    parts = []
    for number, (line, place) in enumerate(zip(lines, places, strict=False)):
        kind = "halo small" + (" bad" if number and edge.failed else "")
        if shown := fitted(line, room, 11):
            if shape.down:
                parts.append(_ground(x, place, width(shown, 11)))
            parts.append(tag("text", shown, x=x, y=place, text_anchor="middle", class_=kind))
    return join(parts)


def _ground(x: float, y: float, wide: float) -> Markup:
    """Behind words, where an edge would run through them."""
    return tag("rect", x=x - wide / 2 - 2, y=y - 11, width=wide + 4, height=LINE, class_="ground")


def _rate(rate: float) -> str:
    return f"{rate:.3g}/s" if rate < 1000 else f"{rate:,.0f}/s"


def _node(material: Material, node: Node, spot: Spot, shape: Shape) -> Markup:
    x, y = _xy(spot, shape)
    wide, high = (shape.node_across, shape.node_along) if shape.down else (shape.node_along, shape.node_across)
    color = material.color(node.version) if node.version and node.kind == "workload" else ""
    words = node.name + (f", {plural(node.replicas, 'replica')}" if node.replicas else "")
    box = tag("rect", tag("title", words), x=x - wide / 2, y=y - high / 2, width=wide, height=high, rx=5,
              class_=f"node {color}".strip())  # fmt: skip
    return join((box, *_name(node, x, y, wide - 12)))


def _name(node: Node, x: float, y: float, room: float) -> Iterator[Markup]:
    """On one line if it fits, else the version below the service."""
    if width(node.name) <= room or not node.version:
        yield tag("text", fitted(node.name, room) or "…", x=x, y=y + 4, text_anchor="middle")
        return
    yield tag("text", fitted(node.service or node.name, room) or "…", x=x, y=y - 2, text_anchor="middle")
    yield tag("text", fitted(f"@{node.version}", room, 11), x=x, y=y + 12, text_anchor="middle", class_="dim small")


# Words.


def said(edge: Edge) -> str:
    """An edge in a sentence."""
    kind = "copies" if edge.mirrored else "requests"
    tls = {True: "mutual TLS", False: "not all by mutual TLS", None: ""}[edge.mtls]
    flags = ", ".join(f"{flag} × {count}" for flag, count in list(edge.flags.items())[:6])
    failed = f"{edge.failed:,} failed" if edge.failed else ""
    times = f"p50 {took(edge.p50)}, p99 {took(edge.p99)}"
    parts = (f"{edge.source} → {edge.target}: {edge.requests:,} {kind}", failed, times, tls, flags)
    return ", ".join(filter(None, parts))


def _table(graph: Graph) -> Markup:
    names = ("From", "To", "Requests", "Rate", "Failed", "p50", "p99", "mTLS")
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in names)))
    rows = [_row(edge, names) for edge in graph.edges[:MOST_ROWS]]
    caption = f"Calls from {graph.start:.3f} s to {graph.end:.3f} s" if graph.end != inf else "Calls"
    more = f"; {len(graph.edges) - MOST_ROWS} more are not shown" if len(graph.edges) > MOST_ROWS else ""
    table = tag("table", tag("caption", caption + more), head, tag("tbody", *rows), class_="versions calls")
    region = tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="Calls")
    return tag("details", tag("summary", f"All calls ({len(graph.edges)})"), region)


def _row(edge: Edge, names: Sequence[str]) -> Markup:
    failed = f"{edge.failed:,}" + (
        f" ({percent(edge.failed / edge.requests)})" if edge.failed and edge.requests else ""
    )
    tls = {True: "yes", False: "not all", None: "–"}[edge.mtls]
    to = edge.target + (" (copies)" if edge.mirrored else "")
    values = (to, f"{edge.requests:,}", _rate(edge.rate), failed, took(edge.p50), took(edge.p99), tls)
    cells = zip(names[1:], values, strict=True)
    bad = {"Failed": "bad"} if edge.failed else {}
    return tag("tr", tag("th", tag("span", edge.source, class_="name"), scope="row"),
               *(tag("td", value, data_name=name, class_=bad.get(name)) for name, value in cells))  # fmt: skip


def _missing(graph: Graph) -> Markup:
    if not graph.missing:
        return NOTHING
    items = [tag("li", tag("b", f"{m.source or 'anyone'} → {m.target}"), ": ", m.text) for m in graph.missing[:20]]
    more = [tag("li", f"and {len(graph.missing) - 20} more")] if len(graph.missing) > 20 else []
    return join((tag("h3", "Calls that one would expect, and that are not there"), tag("ul", *items, *more)))
