"""One request from end to end: its spans if it was traced, else what the proxies wrote down, which is always there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from meshtest.lib.figures import seconds
from meshtest.lib.words import plural
from meshtest.model.history import Hop
from meshtest.model.request import REQUEST_ID
from meshtest.model.span import Span
from meshtest.reporters.html.canvas import Canvas, Scale, both, fitted, label, nice, picture, took, width
from meshtest.reporters.html.markup import Markup, join, tag
from meshtest.reporters.html.material import Failure, Material, named

ROW = 24
MOST = 40
"""Rows; the others are counted."""


class Work(NamedTuple):
    """A row: someone worked on the request for a while."""

    start: float
    seconds: float
    who: str
    what: str
    color: str
    failed: bool
    depth: int = 0


def section(material: Material) -> Markup:
    """The first that failed, and the slowest of those that were answered."""
    parts = []
    if material.lost:
        failure = material.told(material.lost[0])
        parts.append(_request(material, "first-failed", "The first request that failed", failure))
    slowest = material.slowest
    if slowest is not None and slowest not in material.lost[:1]:
        parts.append(_request(material, "slowest", "The slowest request", material.told(slowest)))
    return join(parts) if parts else tag("p", "No request was recorded.", class_="empty")


def _request(material: Material, key: str, heading: str, told: Failure) -> Markup:
    rows, source = works(material, told)
    request = told.request
    fate = told.kind if request.failed or told.flags else f"answered {request.status}"
    after = f" after {seconds(request.latency)}" if request.latency is not None else ""
    tries = f", {plural(request.attempts, 'attempt')}" if request.attempts > 1 else ""
    line = f"{request.id}, due at {request.at:.3f} s: {fate}{after}{tries}. {source}"
    chart = both(partial(drawn, key, heading, rows[:MOST], line))
    more = tag("p", f"and {len(rows) - MOST} more rows", class_="dim") if len(rows) > MOST else Markup()
    return tag("div", tag("h3", heading), tag("p", line, class_="about"), chart, more, class_="trace")


def works(material: Material, told: Failure) -> tuple[list[Work], str]:
    """The rows, and where they are from. Seconds count from when the request was due."""
    request = told.request
    length = request.latency or 0.0
    client = Work(request.late or 0.0, max(length - (request.late or 0.0), 0.0), "client", told.kind, "client",
                  request.failed)  # fmt: skip
    spans = spans_of(material, request.id)
    if spans:
        return [client, *_of_spans(material, spans, request.at)], f"From {plural(len(spans), 'span')} of its trace."
    hops = material.history.hops_of(request.id)
    if hops:
        return [client, *_of_hops(material, hops, request.at)], "From the access logs of the proxies."
    return [client], "No proxy has written of it."


# From spans.


def spans_of(material: Material, request_id: str) -> list[Span]:
    """All traces in which some span names the request: where headers were dropped there are several."""
    spans = material.history.spans
    traces = {span.trace for span in spans if span.attributes.get(REQUEST_ID) == request_id}
    return [span for span in spans if span.trace in traces] if traces else []


def _of_spans(material: Material, spans: Sequence[Span], zero: float) -> Iterator[Work]:
    """Depth first, as who caused whom; spans whose cause is missing stand as roots, and so do circles."""
    known = {span.id for span in spans}
    ordered = sorted(spans, key=lambda s: s.start)
    children: dict[str, list[Span]] = {}
    for span in ordered:
        children.setdefault(span.parent, []).append(span)
    seen: set[str] = set()
    for root in (*(s for s in ordered if s.parent not in known), *ordered):
        stack = [(root, 1)]
        while stack:
            span, depth = stack.pop()
            if span.id not in seen:
                seen.add(span.id)
                yield _of_span(material, span, zero, depth)
                stack += [(child, depth + 1) for child in reversed(children.get(span.id, ()))]


def _of_span(material: Material, span: Span, zero: float, depth: int) -> Work:
    version = span.version or _version_of_pod(material, span.pod)
    kind = "" if span.kind == "internal" else f" ({span.kind})"
    who = named(span.service, version)
    failed = span.status == "error"
    return Work(span.start - zero, span.seconds, who, span.name + kind, material.color(version), failed, depth)


def _version_of_pod(material: Material, pod: str) -> str:
    started = (e for e in material.history.of("pod.start") if e.subject == pod)
    return next((str(e.data.get("version") or "") for e in started), "")


# From hops.

WORDS = {"outbound": "to", "gateway": "gateway to", "inbound": "in"}
ROUGH = 0.0015
"""Seconds; proxies write whole milliseconds."""


def _of_hops(material: Material, hops: Sequence[Hop], zero: float) -> Iterator[Work]:
    """In order of time, each one in the last before it that had not ended."""
    open_: list[Hop] = []
    for hop in sorted(hops, key=lambda h: (h.at, -h.seconds)):
        while open_ and hop.at + hop.seconds > open_[-1].at + open_[-1].seconds + ROUGH:
            open_.pop()
        yield _hop(material, hop, zero, len(open_) + 1)
        open_.append(hop)


def _hop(material: Material, hop: Hop, zero: float, depth: int) -> Work:
    owner = hop.proxy.rpartition("/")[2]
    server = named(hop.server.service, hop.server.version)
    who = hop.server.pod or owner if hop.direction == "inbound" else owner
    flags = "" if hop.flags in ("-", "") else f" {hop.flags}"
    aim = "" if hop.direction == "inbound" else f" → {server or hop.authority}"
    tries = f", {hop.attempts} attempts" if hop.attempts > 1 else ""
    what = f"{hop.method} {hop.path}{aim} {hop.status or 'no answer'}{flags}{tries}"
    failed = hop.status >= 500 or hop.status == 0
    return Work(hop.at - zero, hop.seconds, who, what, material.color(hop.server.version), failed, depth)


# Drawing.


def drawn(key: str, heading: str, rows: Sequence[Work], description: str, canvas: Canvas) -> Markup:
    left = 170 if not canvas.names_above else 8
    step = ROW if not canvas.names_above else ROW + 16
    low = min(min(row.start for row in rows), 0.0)
    high = max(row.start + row.seconds for row in rows)
    scale = Scale(low, max(high, low + 1e-4), left, canvas.end)
    parts = list(_grid(scale, left, canvas, len(rows) * step))
    for number, row in enumerate(rows):
        parts.append(_row(canvas, scale, row, number * step, left))
    return picture(canvas, key, len(rows) * step + 26, heading, description, *parts)


def _grid(scale: Scale, left: float, canvas: Canvas, height: float) -> Iterator[Markup]:
    for tick in nice(scale.low, scale.high, int((canvas.end - left) // 90)):
        x = scale(tick)
        words = seconds(tick) if tick else "0"
        half = width(words) / 2
        yield tag("path", d=f"M{x:.1f} 0V{height + 6:.0f}", class_="grid")
        yield tag(
            "text", words, x=min(max(x, half), canvas.width - half), y=height + 19, class_="dim", text_anchor="middle"
        )


def _row(canvas: Canvas, scale: Scale, row: Work, y: float, left: float) -> Markup:
    start, end = scale(row.start), max(scale(row.start + row.seconds), scale(row.start) + 2)
    indent = min(row.depth * 8, 64)
    parts = []
    if canvas.names_above:
        words = f"{row.who}: {row.what}"
        parts.append(label(left + indent, y + 12, words, room=canvas.end - left - indent - 60, class_="dim"))
        y += 16
    else:
        parts.append(label(4 + indent, y + 16, row.who, room=left - indent - 12, class_="dim"))
    color = "failed" if row.failed else row.color
    ground = "lost" if row.failed else row.color
    title = tag("title", f"{row.who}: {row.what}; {took(row.seconds)} from {seconds(row.start)}")
    parts.append(tag("rect", title, x=start, y=y + 3, width=end - start, height=ROW - 7, rx=2, class_=f"area {ground}"))
    if row.failed and end - start > 16:
        parts.append(tag("rect", x=end - 12, y=y + 3, width=12.0, height=ROW - 7, class_="area failed"))
    words = took(row.seconds) if canvas.names_above else f"{row.what}, {took(row.seconds)}"
    parts.append(_words(canvas, words, start, end, y + 16, color, left))
    return join(parts)


def _words(canvas: Canvas, words: str, start: float, end: float, y: float, color: str, left: float) -> Markup:
    """In the bar, right of it, or left of it: where there is room."""
    if width(words) <= end - start - 8:
        return label(start + 4, y, words, class_=f"on {color}")
    if width(words) <= canvas.end - end - 6 or canvas.end - end >= start - left:
        return label(end + 5, y, words, room=canvas.end - end - 6)
    if width(words) <= start - left - 6 or start - left > end - start:
        shown = fitted(words, start - left - 6)
        return label(start - 5, y, shown, anchor="end")
    return label(start + 4, y, words, room=end - start - 8, class_=f"on {color}")
