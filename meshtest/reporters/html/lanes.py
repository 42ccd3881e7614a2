"""Lanes of events under the timeline: what happened to the mesh, in rows where no label lies on another.

Spans of time (steps, faults, changes, outages) have words in them or beside them, as far as there is room until the
next; pods have signs only, and a legend. Thousands of events become as many marks as there is room for: what is nearer
to each other than a mark is wide is one mark, with a count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from meshtest.lib.figures import seconds
from meshtest.lib.words import listed, plural
from meshtest.model.history import Event
from meshtest.reporters.html.canvas import Canvas, Scale, label, width
from meshtest.reporters.html.causes import described
from meshtest.reporters.html.markup import NOTHING, Markup, join, tag
from meshtest.reporters.html.material import Material, natural
from meshtest.reporters.html.verdict import told

ROW = 20
"""Height of a row, in units of the canvas."""
NAME = 14
"""Height of the name of a lane, where it stands above it."""
ROWS = 4
"""Rows of a lane; what does not fit into them is drawn over the last, without words."""
MANY = 60
"""Items of a lane that are drawn one by one."""
PODS = 8
"""Lanes of workloads."""
MARKS = {
    "pod.start": ("start", "M0 -5v10", "started"),
    "pod.ready": ("ready", "M-4 4L0 -4L4 4z", "ready"),
    "pod.unready": ("unready", "M0 -5L5 0L0 5L-5 0z", "unready"),
    "pod.terminate": ("term", "M-4 -4L4 -4L0 4z", "SIGTERM"),
    "pod.exit": ("exit", "M-4 -4L4 4M4 -4L-4 4", "exit"),
}
"""Kind of event to class, shape and word. Each has a shape of its own."""
OTHERS = ("proxy.starved", "spans.dropped", "undo.failed", "certificates.rotated", "load.worker", "note")


class Item(NamedTuple):
    """Something in a lane."""

    start: float
    end: float
    words: str
    class_: str
    more: str = ""
    """Of the tooltip."""


class Lane(NamedTuple):
    name: str
    items: Sequence[Item]
    marks: Sequence[Event] = ()
    """Pods: signs on a line."""


def lanes(material: Material) -> list[Lane]:
    """Those that have something in them."""
    found = [
        Lane("outages", list(_outages(material))),
        Lane("steps", list(_pairs(material, "step", lambda e: e.subject))),
        Lane("faults", list(_pairs(material, "fault", lambda e: f"{e.subject}: {described(e)}"))),
        Lane("changes", list(_changes(material))),
        *_workloads(material),
        Lane("other", [Item(e.at, e.at, "", "note", told(material, e)) for e in material.history.of(*OTHERS)]),
    ]
    shown = [_within(lane, material) for lane in found]
    return [lane for lane in shown if lane.items or lane.marks]


def _within(lane: Lane, material: Material) -> Lane:
    low, high = material.span
    items = [item for item in lane.items if item.end >= low and item.start <= high]
    return Lane(lane.name, items, [event for event in lane.marks if low <= event.at <= high])


def _outages(material: Material) -> Iterator[Item]:
    for outage in material.outages:
        words = f"{seconds(outage['seconds'])}, {outage['failed']} failed"
        bounds = f"between {seconds(outage['at_least'])} and {seconds(outage['at_most'])}"
        kinds = listed(f"{count} × {kind}" for kind, count in outage.get("kinds", {}).items())
        more = f"Outage at {outage['begin']:.3f} s: {words} ({kinds}); {bounds} long"
        yield Item(float(outage["begin"]), float(outage["end"]), words, "outage", more)


def _pairs(material: Material, what: str, words: Callable[[Event], str]) -> Iterator[Item]:
    """From `.start` to `.end` of the same subject; what has no end went on."""
    open_: dict[str, list[Event]] = {}
    for event in material.history.of(f"{what}.start", f"{what}.end"):
        if event.kind.endswith("start"):
            open_.setdefault(event.subject, []).append(event)
        elif open_.get(event.subject):
            start = open_[event.subject].pop()
            yield _item(start, event.at, what, words(start))
    for starts in open_.values():
        yield from (_item(start, material.span[1], what, words(start)) for start in starts)


def _item(start: Event, end: float, what: str, words: str) -> Item:
    return Item(start.at, end, words, what, f"{words}: {start.at:.3f} s to {end:.3f} s")


def _changes(material: Material) -> Iterator[Item]:
    rejected = {int(e.data.get("number") or 0): e for e in material.history.of("config.rejected")}
    for number, event in sorted(material.applied.items()):
        end = material.acked.get(number) or rejected.get(number)
        words = f"{number} {material.reasons.get(number, '')}"
        bad = number in rejected
        fate = "rejected" if bad else f"in force after {seconds(end.at - event.at)}" if end else "never acknowledged"
        yield Item(
            event.at, end.at if end else material.span[1], words, "rejected" if bad else "change",
            f"Change {words}: asked for at {event.at:.3f} s, {fate}",
        )  # fmt: skip


def _workloads(material: Material) -> Iterator[Lane]:
    """A lane a workload, those first that something happened to while users watched."""
    owners = {e.subject: str(e.data.get("workload") or e.subject) for e in material.history.of("pod.start")}
    low, high = material.span
    groups: dict[str, list[Event]] = {}
    for event in material.history.of(*MARKS):
        if low <= event.at <= high:
            groups.setdefault(owners.get(event.subject, event.subject), []).append(event)
    order = sorted(groups, key=lambda name: natural(name.removeprefix("default/")))
    for name in order[:PODS]:
        yield Lane(name.removeprefix("default/"), (), groups[name])
    rest = [event for name in order[PODS:] for event in groups[name]]
    if rest:
        yield Lane(plural(len(order) - PODS, "more workload"), (), sorted(rest, key=lambda e: e.at))


# Drawing.


def drawn(material: Material, canvas: Canvas, scale: Scale, top: float) -> tuple[Markup, float]:
    """All lanes from `top` on, and where they end."""
    parts, y = [], top
    for number, lane in enumerate(lanes(material)):
        part, height = _drawn(material, canvas, scale, lane, y)
        ground = tag("rect", x=canvas.left, y=y, width=canvas.inner, height=height, class_=f"lane odd{number % 2}")
        parts += [ground, part]
        y += height
    return join(parts), y


def _drawn(material: Material, canvas: Canvas, scale: Scale, lane: Lane, y: float) -> tuple[Markup, float]:
    above = NAME if canvas.names_above else 0
    if lane.marks:
        rows, body = 1, _signs(material, lane.marks, scale, y + above)
    else:
        placed = list(_rows(_merged(lane.items, scale), scale))
        rows = max(each.row for each in placed) + 1
        body = join(_span(each, y + above) for each in placed)
    if canvas.names_above:
        name = label(canvas.left + 3, y + 11, lane.name, room=canvas.inner - 4, class_="dim small")
    else:
        name = label(canvas.left - 8, y + 14, lane.name, room=canvas.left - 10, class_="dim", anchor="end")
    return join((name, body)), above + rows * ROW


def _merged(items: Sequence[Item], scale: Scale) -> list[Item]:
    """Where there are very many, neighbours together."""
    if len(items) <= MANY:
        return list(items)
    step = (scale.end - scale.start) / MANY
    groups: dict[int, list[Item]] = {}
    for item in sorted(items):
        groups.setdefault(int(scale(item.start) / step), []).append(item)
    return [_together(group) for group in groups.values()]


def _together(group: Sequence[Item]) -> Item:
    first, last = group[0], group[-1]
    if len(group) == 1:
        return first
    more = f"{len(group)} together, from {first.more or first.words} to {last.more or last.words}"
    return Item(first.start, max(item.end for item in group), f"{len(group)} ×", first.class_, more[:600])


class Placed(NamedTuple):
    """An item with its row, where it begins and ends on the canvas, and how far it may reach to both sides."""

    row: int
    item: Item
    start: float
    end: float
    before: float
    after: float


def _rows(items: Iterable[Item], scale: Scale) -> Iterator[Placed]:
    """Each in the first row where it and its words fit, else in the one that is free soonest."""
    lines: list[list[tuple[Item, float, float]]] = [[] for _ in range(ROWS)]
    reached = [float("-inf")] * ROWS
    for item in sorted(items, key=lambda item: (item.start, -item.end)):
        start, end = scale(item.start), max(scale(item.end), scale(item.start) + 2)
        row = next((r for r, at in enumerate(reached) if at <= start), None)
        if row is None:
            row = min(range(ROWS), key=lambda r: max((line[2] for line in lines[r]), default=0.0))
        words = min(width(item.words), 180)
        reached[row] = max(reached[row], end if words <= end - start - 8 else end + words + 8)
        lines[row].append((item, start, end))
    for row, line in enumerate(lines):
        starts = [start for _, start, _ in line[1:]] + [scale.end]
        before = scale.start
        for (item, start, end), after in zip(line, starts, strict=False):
            yield Placed(row, item, start, end, before, after)
            before = min(end + width(item.words) + 8, after)


def _span(placed: Placed, y: float) -> Markup:
    """A bar with its words in it, or right of it until the next one begins, or left of it."""
    row, item, start, end, before, after = placed
    y += row * ROW
    title = tag("title", item.more or item.words)
    bar = tag("rect", title, x=start, y=y + 3, width=end - start, height=ROW - 6, rx=2, class_=f"bar {item.class_}")
    inside, right, left = end - start - 8, after - end - 8, start - before - 8
    need = width(item.words)
    if need <= inside or (inside >= max(right, 60) > 0 and need > left):
        return join((bar, label(start + 4, y + 14, item.words, room=inside, class_=f"in {item.class_}")))
    if need <= right or right >= left:
        return join((bar, label(end + 4, y + 14, item.words, room=right)))
    return join((bar, label(start - 4, y + 14, item.words, room=left, anchor="end")))


def _signs(material: Material, events: Sequence[Event], scale: Scale, y: float) -> Markup:
    """One sign for what is too near to be told apart; SIGTERM and exit hide no ready."""
    middle, parts = y + ROW / 2, []
    apart = 7 if len(events) <= MANY else 16
    groups: dict[tuple[str, int], list[Event]] = {}
    for event in events:
        if event.kind != "pod.start":
            groups.setdefault((event.kind, int(scale(event.at) / apart)), []).append(event)
    for (kind, _), group in groups.items():
        class_, shape, word = MARKS[kind]
        words = told(material, group[0]) + f" at {group[0].at:.3f} s"
        if len(group) > 1:
            words = f"{word} × {len(group)}: {listed(dict.fromkeys(e.subject for e in group), most=4)}, from {words}"
        place = f"translate({scale(group[0].at):.1f} {middle:.1f})"
        parts.append(tag("path", tag("title", words), d=shape, transform=place, class_=f"mark {class_}"))
    return join(parts)


def legend(material: Material) -> Markup:
    """What the signs mean, those that are there."""
    seen = {event.kind for lane in lanes(material) for event in lane.marks}
    signs = [
        tag("li", tag("svg", tag("title", word), tag("path", d=shape, class_=f"mark {class_}"), viewBox="-7 -7 14 14",
                      role="img", aria_label=word), f" {word}")
        for kind, (class_, shape, word) in MARKS.items() if kind in seen and kind != "pod.start"
    ]  # fmt: skip
    return tag("ul", *signs, class_="legend") if signs else NOTHING
