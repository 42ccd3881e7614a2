"""Rehearsals of Canaries on the page: how each ended, what users met, and its ticks, drawn and as a table.

Pages of runs without one have nothing of this, not even the style.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from meshtest.lib.figures import percent
from meshtest.model.rehearsal import Called, Measured, Rehearsal, TickRow
from meshtest.reporters.html.assets import packed
from meshtest.reporters.html.canvas import Canvas, Scale, both, label, picture
from meshtest.reporters.html.markup import NOTHING, Markup, join, tag
from meshtest.reporters.html.material import Material

HEADING = "Rehearsal"
CLASSES = {"promoted": "promoted", "rolled back": "back"}
"""Of those that prove something."""
HEIGHT = 130
"""Of the weights."""
LANE = 22
STRIP = 12
"""Above the weights, where a check failed."""
MOST = 300
"""Ticks in the table."""
LONGEST = 400
"""Characters of a sentence of somebody else's."""
HEAD = ("Tick", "After", "Routes", "Failed checks", "What was asked, and said")
OVER = {"Failed": "failed", "Succeeded": "done", "Waiting": "waiting", "WaitingPromotion": "waiting"}


def style() -> Markup:
    return Markup(f"<style>{packed('rehearsal.css')}</style>")


def section(material: Material) -> Markup:
    return join(_one(rehearsal, number) for number, rehearsal in enumerate(material.report.rehearsals, 1))


def _one(rehearsal: Rehearsal, number: int) -> Markup:
    several = tag("h3", f"{number}. {rehearsal.canary}: {rehearsal.revision}") if number > 1 else NOTHING
    ticks = rehearsal.ticks
    return join(
        (
            several,
            _verdict(rehearsal),
            both(partial(drawn, rehearsal, number)) if ticks else NOTHING,
            _legend(rehearsal) if ticks else NOTHING,
            _table(rehearsal) if ticks else NOTHING,
            _surprises(rehearsal),
            _notes(rehearsal),
        )
    )


def _verdict(rehearsal: Rehearsal) -> Markup:
    lead, colon, rest = str(rehearsal).partition("; ")
    return tag(
        "div",
        tag("p", tag("strong", lead[:LONGEST]), colon.strip(), " ", rest, class_="lead"),
        tag("p", tag("strong", "UNKNOWN"), f": {rehearsal.doubt}") if rehearsal.unproven else NOTHING,
        tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in _figures(rehearsal))),
        class_=f"rehearsal {'' if rehearsal.unproven else CLASSES.get(rehearsal.ending, '')}".strip(),
    )


def _figures(rehearsal: Rehearsal) -> Iterator[tuple[str, str]]:
    """Who paid."""
    yield "Users' requests", f"{rehearsal.requests:,}"
    yield "Failed", _part(rehearsal.failed, rehearsal.requests)
    yield f"Served by {rehearsal.revision} before", _part(rehearsal.exposed, rehearsal.requests)
    yield "Failed of those", _part(rehearsal.exposed_failed, rehearsal.exposed)
    yield "Strategy", f"{rehearsal.strategy}, {rehearsal.provider}"


def _part(count: int, whole: int) -> str:
    return f"{count:,} ({percent(count / whole)})" if count and whole else f"{count:,}"


# The chart: the share of users, the phases, what hooks and metrics said.


def drawn(rehearsal: Rehearsal, number: int, canvas: Canvas) -> Markup:
    """A column a tick; the weights are those between it and the next."""
    ticks = rehearsal.ticks
    scale = Scale(0, max(len(ticks), 1), canvas.left, canvas.end)
    bottom = 10 + HEIGHT
    parts = [*_axis(canvas, bottom), *_failing(ticks, scale, bottom), *_weights(ticks, scale, bottom)]
    y = bottom + 8
    for name, lane in (("phase", _phases), ("hooks", _hooks), ("metrics", _metrics)):
        parts += _name(canvas, name, y)
        parts += lane(ticks, scale, y)
        y += LANE
    parts += _after(ticks, canvas, scale, y)
    title = f"The share of users on {rehearsal.revision}, tick by tick"
    return picture(canvas, f"rehearsal{number}", y + 20, title, _description(rehearsal), *parts)


def _description(rehearsal: Rehearsal) -> str:
    weights = ", ".join(tick.routes or "no route" for tick in rehearsal.ticks[:40])
    return f"{rehearsal}. Routes by tick: {weights}. All ticks are listed in a table below."


def _axis(canvas: Canvas, bottom: float) -> Iterator[Markup]:
    for share in (0, 50, 100):
        y = bottom - HEIGHT * share / 100
        yield tag("path", d=f"M{canvas.left} {y:.1f}H{canvas.end}", class_="axis" if not share else "grid")
        yield tag("text", f"{share} %", x=canvas.left - 6, y=y + 4, text_anchor="end", class_="dim")


def _failing(ticks: Sequence[TickRow], scale: Scale, bottom: float) -> Iterator[Markup]:
    """Ticks that counted a failed check."""
    before = 0
    for index, tick in enumerate(ticks):
        if tick.failed_checks > before:
            x, end = scale(index), scale(index + 1)
            box = {"x": x, "y": bottom - HEIGHT, "width": end - x, "height": STRIP}
            yield tag("rect", tag("title", f"tick {tick.number}: a check failed"), class_="area failed", **box)
        before = tick.failed_checks


def _weights(ticks: Sequence[TickRow], scale: Scale, bottom: float) -> Iterator[Markup]:
    heights = [bottom - HEIGHT * canary_share(tick) / 100 for tick in ticks]
    path = f"M{scale(0):.1f} {bottom:.1f}"
    for index, height in enumerate(heights):
        path += f"V{height:.1f}H{scale(index + 1):.1f}"
    yield tag("path", d=f"{path}V{bottom:.1f}Z", class_="under")
    yield tag("path", d=path, class_="weight")
    for index, tick in enumerate(ticks):
        if tick.routes.endswith("mirrored"):
            box = {"x": scale(index), "y": bottom - 10, "width": scale(index + 1) - scale(index), "height": 10}
            yield tag("rect", tag("title", "the canary gets copies"), class_="copied", **box)


def canary_share(tick: TickRow) -> float:
    """Per cent, of routes like `90/10` or `100/0 mirrored`; none is none."""
    word = tick.routes.partition(" ")[0].partition("/")[2]
    return min(max(float(word), 0.0), 100.0) if word.lstrip("-").isdigit() else 0.0


def _name(canvas: Canvas, name: str, y: float) -> Iterator[Markup]:
    if canvas.names_above:
        yield tag("text", name, x=0, y=y + 13, class_="dim small")
    else:
        yield tag("text", name, x=canvas.left - 6, y=y + 13, text_anchor="end", class_="dim")


def _phases(ticks: Sequence[TickRow], scale: Scale, y: float) -> Iterator[Markup]:
    begin = 0
    for index in range(1, len(ticks) + 1):
        if index < len(ticks) and ticks[index].phase == ticks[begin].phase:
            continue
        phase, x, end = ticks[begin].phase, scale(begin), scale(index)
        box = {"x": x, "y": y, "width": end - x, "height": LANE - 4}
        yield tag("rect", tag("title", phase), class_=f"phase {OVER.get(phase, '')}".strip(), **box)
        yield label(x + 4, y + 13, phase, room=end - x - 8, class_="small")
        begin = index


def _hooks(ticks: Sequence[TickRow], scale: Scale, y: float) -> Iterator[Markup]:
    return _answers(scale, y, [[(hook.ok, _called(hook)) for hook in tick.hooks] for tick in ticks])


def _metrics(ticks: Sequence[TickRow], scale: Scale, y: float) -> Iterator[Markup]:
    return _answers(scale, y, [[(metric.ok, _measured(metric)) for metric in tick.metrics] for tick in ticks])


def _answers(scale: Scale, y: float, columns: Sequence[Sequence[tuple[bool, str]]]) -> Iterator[Markup]:
    """A dot where all agreed, a cross where one did not."""
    for index, answers in enumerate(columns):
        if not answers:
            continue
        x, title = (scale(index) + scale(index + 1)) / 2, tag("title", "\n".join(words for _, words in answers))
        if all(ok for ok, _ in answers):
            yield tag("circle", title, cx=x, cy=y + 9, r=4, class_="dot")
        else:
            yield tag("path", title, d=f"M{x - 4:.1f} {y + 5:.1f}l8 8m0-8l-8 8", class_="cross")


def _after(ticks: Sequence[TickRow], canvas: Canvas, scale: Scale, y: float) -> Iterator[Markup]:
    """When, in production."""
    every = max(1, round(len(ticks) * 58 / canvas.inner + 0.5))
    for index in range(0, len(ticks), every):
        x = (scale(index) + scale(index + 1)) / 2
        yield tag("text", span(ticks[index].after), x=x, y=y + 12, text_anchor="middle", class_="dim small")


def _legend(rehearsal: Rehearsal) -> Markup:
    items = [
        tag("li", tag("span", class_="swatch c0"), f"users on {rehearsal.revision}"),
        tag("li", tag("span", class_="swatch failed"), "a check failed"),
        tag("li", tag("span", class_="swatch c2"), "asked, and no objection"),
        tag("li", tag("b", "×\N{NO-BREAK SPACE}", class_="flag"), "objected"),
    ]
    return tag("ul", *items, class_="legend")


# The table.


def _table(rehearsal: Rehearsal) -> Markup:
    rows, before = [], 0
    for tick in rehearsal.ticks[:MOST]:
        rows.append(_row(tick, failing=tick.failed_checks > before))
        before = tick.failed_checks
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in HEAD)))
    more = len(rehearsal.ticks) - MOST
    caption = f"A row a tick, every {span(rehearsal.interval)} of production; run {rehearsal.speed:g} times as fast."
    caption += f" {more} more are in rehearsal.json." if more > 0 else ""
    table = tag("table", tag("caption", caption), head, tag("tbody", *rows), class_="ticks")
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="Ticks")


def _row(tick: TickRow, *, failing: bool) -> Markup:
    routes = tick.routes or "–"
    cells = (
        tag("td", span(tick.after)),
        tag("td", routes),
        tag("td", f"{tick.failed_checks} failed" if tick.failed_checks else ""),
        tag("td", tag("ul", *_said(tick))),
    )
    return tag("tr", tag("th", tick.number, scope="row"), *cells, class_="failing" if failing else None)


def _said(tick: TickRow) -> Iterator[Markup]:
    yield tag("li", tag("b", tick.phase or "new"), f" {' '.join(tick.surprises)}" if tick.surprises else "")
    for ok, words in [(hook.ok, _called(hook)) for hook in tick.hooks]:
        yield tag("li", words, class_=None if ok else "no")
    for ok, words in [(metric.ok, _measured(metric)) for metric in tick.metrics]:
        yield tag("li", words, class_=None if ok else "no")
    if tick.unproven:
        yield tag("li", f"proves nothing: {tick.unproven[:LONGEST]}")
    for event in tick.events:
        yield tag("li", event[:LONGEST], class_="events")


def _called(hook: Called) -> str:
    answer = "yes" if hook.ok else "no"
    why = f": {hook.reason[:LONGEST]}" if hook.reason else ""
    tries = f", {hook.attempts} attempts" if hook.attempts > 1 else ""
    who = "" if hook.answered_by == "url" else f", {hook.answered_by}"
    return f"{hook.type} {hook.name}: {answer}{tries}{who}{why}"


def _measured(metric: Measured) -> str:
    """`request-success-rate 97.1 (at least 99), of 68 requests`"""
    value = "no values found" if metric.value is None else f"{metric.value:.4g}"
    limits = [f"at least {metric.least:g}"] if metric.least is not None else []
    limits += [f"at most {metric.most:g}"] if metric.most is not None else []
    bounds = f" ({', '.join(limits)})" if limits else ""
    error = f": {metric.error[:LONGEST]}" if metric.error else ""
    return f"{metric.name} {value}{bounds}, of {metric.requests} requests{error}"


# What was not expected, and what was not as in production.


def _surprises(rehearsal: Rehearsal) -> Markup:
    codes = sorted({code for tick in rehearsal.ticks for code in tick.surprises})
    if not codes:
        return NOTHING
    from meshtest.rollouts.canary.surprises import SURPRISES

    rows = [
        join(
            (tag("dt", code), tag("dd", SURPRISES[code].says if code in SURPRISES else "a surprise of a later version"))
        )
        for code in codes
    ]
    return join((tag("h3", "Where Flagger surprises"), tag("dl", *rows, class_="surprises")))


def _notes(rehearsal: Rehearsal) -> Markup:
    if not rehearsal.notes:
        return NOTHING
    items = [tag("li", note[:LONGEST]) for note in rehearsal.notes]
    return tag("details", tag("summary", "What was not as in production"), tag("ul", *items))


def span(seconds: float) -> str:
    """`90 s`, `4 min`, `2 h 5 min`"""
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    rest = f" {whole % 60} s" if whole % 60 and not hours else ""
    return f"{hours} h {minutes} min" if hours else f"{minutes} min{rest}"
