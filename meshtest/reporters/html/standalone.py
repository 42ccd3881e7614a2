"""Charts as images of their own, with legend, style and ground in them, for tools that show images but no page.

Always light: whoever embeds it as an image does not tell it what is around it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from meshtest.reporters.html import lanes
from meshtest.reporters.html import timeline as over_time
from meshtest.reporters.html import waterfall as end_to_end
from meshtest.reporters.html.assets import STYLE
from meshtest.reporters.html.canvas import WIDE, width
from meshtest.reporters.html.markup import NOTHING, Markup, join, tag
from meshtest.reporters.html.material import Failure, Material, natural

LINE, MARGIN = 20, 10
FONT = 'system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif'

_MEDIA = re.compile(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}")
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_VARIABLE = re.compile(r"(--[\w-]+):\s*([^;}]+)")
_HEIGHT = re.compile(r'viewBox="0 0 [\d.]+ ([\d.]+)"')


def timeline(material: Material) -> str:
    """An SVG document; "" if nothing was recorded that a timeline could show."""
    if not len(material.requests) and not lanes.lanes(material):
        return ""
    return _document(over_time.drawn(material, WIDE), *_legend(material))


def waterfall(material: Material, told: Failure, title: str) -> str:
    """An SVG document of one request from end to end."""
    rows, source = end_to_end.works(material, told)
    return _document(end_to_end.drawn("request", title, rows[: end_to_end.MOST], source, WIDE))


def _document(chart: Markup, legend: Markup = NOTHING, top: float = 0.0) -> str:
    found = _HEIGHT.search(chart)
    height = top + (float(found[1]) if found else 0.0)
    placed = Markup(chart.replace("<svg ", f'<svg y="{top:g}" width="{WIDE.width}" height="{height - top:g}" ', 1))
    sheet = tag("style", Markup(style(legend + placed)))
    ground = tag("rect", width=WIDE.width, height=height, fill="#ffffff")
    size = {"viewBox": f"0 0 {WIDE.width} {height:g}", "width": WIDE.width, "height": f"{height:g}"}
    return tag("svg", sheet, ground, legend, placed, xmlns="http://www.w3.org/2000/svg", **size)


def style(markup: str) -> str:
    """Those rules of the page's style sheet that this markup needs, with their colours written out."""
    sheet = _MEDIA.sub("", STYLE)
    variables = dict(_VARIABLE.findall(sheet))
    classes = {name for names in re.findall(r'class="([^"]*)"', markup) for name in names.split()}
    rules = [f"svg text{{font-family:{FONT}}}"]
    for selectors, body in _RULE.findall(sheet):
        wanted = [one.strip() for one in selectors.split(",") if _concerns(one, classes)]
        if wanted:
            rules.append(f"{','.join(wanted)}{{{body.strip()}}}")
    return re.sub(r"var\((--[\w-]+)\)", lambda name: variables.get(name[1], name[0]), "".join(rules))


def _concerns(selector: str, classes: set[str]) -> bool:
    """`svg text`, or each of its classes is there. The size of the chart is not the page's business here."""
    named = re.findall(r"\.([\w-]+)", selector)
    if ":" in selector or "[" in selector or "chart" in named:
        return False
    return set(named) <= classes if named else selector.split()[0] == "svg"


def _legend(material: Material) -> tuple[Markup, float]:
    """Rows of signs with their words, and where they end."""
    parts, x, y = [], float(MARGIN), float(MARGIN)
    for sign, word in _entries(material):
        room = 18 + width(word) + 16
        if x + room > WIDE.width - MARGIN and x > MARGIN:
            x, y = float(MARGIN), y + LINE
        moved = f"translate({x:.1f} {y:.1f})"
        parts.append(tag("g", sign, tag("text", word, x=18, y=10, class_="dim"), transform=moved))
        x += room
    return join(parts), y + LINE if parts else 0.0


def _entries(material: Material) -> Iterator[tuple[Markup, str]]:
    names = sorted({row.version for row in material.rows if row.version}, key=natural)
    coloured = [name for name in names if material.color(name) != "other"]
    yield from ((_swatch(material.color(name)), name) for name in coloured)
    if len(coloured) < len(names):
        yield _swatch("other"), over_time.OTHERS
    if material.lost:
        yield tag("rect", x=0.5, y=0.5, width=10, height=10, class_="area failed", style=HATCH), "failed"
    if any(len({version for _, split in material.shares(host) for version in split}) > 1 for host in _hosts(names)):
        yield tag("path", d="M0 6h14", class_="intended"), "intended split"
    if material.outages:
        yield tag("rect", width=11, height=11, class_="band outage"), "outage"
    seen = {event.kind for lane in lanes.lanes(material) for event in lane.marks}
    for kind, (class_, shape, word) in lanes.MARKS.items():
        if kind in seen and kind != "pod.start":
            yield tag("path", d=shape, class_=f"mark {class_}", transform="translate(6 6)"), word


def _hosts(names: Iterable[str]) -> set[str]:
    """The services of `web/v1`, `web/v2`."""
    return {name.rpartition("/")[0] for name in names if "/" in name}


def _swatch(class_: str) -> Markup:
    return tag("rect", width=11, height=11, rx=2, class_=f"area {class_}")


HATCH = f"--hatch:url(#{WIDE.key}-timeline-hatch)"
"""The pattern of failures that the chart defines."""
