"""What is needed to run exactly this again, and to read the figures: command, seed, versions, and all events."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from meshtest.lib.figures import seconds
from meshtest.lib.words import listed
from meshtest.model.history import Event
from meshtest.reporters.html.markup import NOTHING, Markup, join, tag
from meshtest.reporters.html.material import Material, natural
from meshtest.reporters.html.verdict import told

EVENTS = 200
"""Events in the table, those nearest to the first failure."""


def started(material: Material) -> str:
    """`2026-08-22 01:00:07 UTC`"""
    at = material.report.about.get("started")
    try:
        return f"{datetime.fromtimestamp(float(at or 0), UTC):%Y-%m-%d %H:%M:%S} UTC" if at else ""
    except (ValueError, OverflowError, TypeError):
        return ""


def lasted(material: Material) -> str:
    about = material.report.about
    try:
        return seconds(max(float(about["ended"]) - float(about["started"]), 0.0))
    except (KeyError, TypeError, ValueError):
        return ""


def again(material: Material) -> Markup:
    """The command that repeats it, with its seed, ready to be copied."""
    command, folder = str(material.report.about.get("command") or ""), material.report.folder
    lines = [("Repeat this run", command)] if command else []
    if folder is not None:
        lines.append(("Judge its record again", f"meshtest judge {_quoted(str(folder))}"))
    if not lines:
        return tag("p", "The run tells no command.", class_="empty")
    return join(
        tag("div", tag("h3", name), tag("pre", tag("code", line), class_="command", tabindex="0"), class_="again")
        for name, line in lines
    )


def _quoted(path: str) -> str:
    import shlex

    return shlex.quote(path)


def facts(material: Material) -> Markup:
    cells = (tag("div", tag("dt", name), tag("dd", value)) for name, value in _facts(material) if value)
    return tag("dl", *cells, class_="facts")


def _facts(material: Material) -> Iterator[tuple[str, str]]:
    about = material.report.about
    yield "Started", started(material)
    yield "Lasted", lasted(material)
    yield "Provider", str(about.get("provider") or "")
    yield "Seed", str(about.get("seed") if about.get("seed") is not None else "")
    yield "meshtest", str(about.get("meshtest") or "")
    yield "Python", f"{about.get('python') or ''} on {about.get('platform') or ''}".removesuffix(" on ")
    for load in material.history.of("load.start"):
        yield f"Load {load.subject}", _load(load)
    yield "Stand-ins", _stand_ins(material)
    yield "Folder", str(material.report.folder or "")
    yield "Error", str(about.get("error") or "")[:2000]


def _load(event: Event) -> str:
    data = event.data
    rate = f"{data['rate']:g} requests/s" if isinstance(data.get("rate"), int | float) else ""
    engine = str(data.get("engine") or "")
    return listed(filter(None, (str(data.get("request") or data.get("target") or ""), rate, engine)))


def _stand_ins(material: Material) -> str:
    """In place of whose images the built-in program answered."""
    started = material.history.of("pod.start")
    played = {
        str(e.data.get("workload") or e.subject).removeprefix("default/") for e in started if e.data.get("stand_in")
    }
    return listed(sorted(played, key=natural), most=40) or ("none: all pods ran your own programs" if started else "")


def events(material: Material) -> Markup:
    """All that charts show of events, and more, in words."""
    everything = [event for event in material.events if event.kind != "verdict"]
    if not everything:
        return NOTHING
    moment = material.moment
    near = everything[-EVENTS:]
    if moment is not None and len(everything) > EVENTS:
        near = sorted(sorted(everything, key=lambda e: abs(e.at - moment))[:EVENTS], key=lambda e: e.at)
    rows = (
        tag("tr", tag("td", f"{e.at:.3f}"), tag("td", e.kind), tag("td", told(material, e)),
            class_="moment" if moment is not None and e.at >= moment and e is _first_after(near, moment) else None)
        for e in near
    )  # fmt: skip
    caption = f"{len(near)} of {len(everything)} events" + (
        ", those around the first failure" if moment is not None else ""
    )
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in ("Second", "Kind", "What happened"))))
    table = tag("table", tag("caption", caption), head, tag("tbody", *rows), class_="events")
    region = tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="Events")
    return tag("details", tag("summary", f"All events ({len(everything)})"), region)


def _first_after(near: list[Event], moment: float) -> Event | None:
    return next((event for event in near if event.at >= moment), None)
