"""The figures at the top, and the table of versions."""

from __future__ import annotations

from math import inf

from meshtest.lib.figures import percent, seconds
from meshtest.model import tables
from meshtest.model.tables import Row
from meshtest.reporters.html.canvas import took
from meshtest.reporters.html.markup import NOTHING, Markup, join, tag
from meshtest.reporters.html.material import UNKNOWN, Material

NAMES = ("Version", "Requests", "Share", "Failed", "p50", "p95", "p99", "Max")
MOST = 12
"""Versions in the table; the others are folded."""


def tiles(material: Material) -> Markup:
    """Five figures a person looks for first."""
    sent, lost = material.sent, len(material.lost)
    everything = sorted(row.p99 for row in _entries(material))
    outage = max((float(o["seconds"]) for o in material.outages), default=0.0)
    figures = [
        ("Requests", f"{sent:,}", ""),
        ("Failed", f"{lost:,}", percent(lost / sent) if lost else ""),
        ("Longest outage", seconds(outage) if outage else "none seen", "or longer" if material.more_outages else ""),
        ("p99 of the slowest version", seconds(everything[-1]) if everything else "–", ""),
        ("Changes", str(len(material.applied) or len(material.report.changes)), ""),
    ]
    cells = (
        tag("div", tag("dt", name), tag("dd", value, tag("small", more) if more else NOTHING))
        for name, value, more in figures
    )
    return tag("dl", *cells, class_="tiles")


def _entries(material: Material) -> list[Row]:
    return [row for row in material.rows if row.version and row.p99 != inf]


def versions(material: Material) -> Markup:
    """A row a version."""
    if not material.rows:
        return tag("p", "No request was recorded.", class_="empty")
    p95 = _p95(material)
    rows = [_row(material, row, p95.get(row.version, 0.0)) for row in material.rows]
    caption = "Requests by the version that served them. Times count from when a request was due."
    parts = [_table(caption, rows[:MOST])]
    if len(rows) > MOST:
        more = _table("The other versions.", rows[MOST:])
        parts.append(tag("details", tag("summary", f"{len(rows) - MOST} more versions"), more))
    return join(parts)


def _table(caption: str, rows: list[Markup]) -> Markup:
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in NAMES)))
    table = tag("table", tag("caption", caption), head, tag("tbody", *rows), class_="versions")
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _row(material: Material, row: Row, p95: float) -> Markup:
    swatch = tag("span", class_=f"swatch {material.color(row.version)}", aria_hidden="true")
    name = tag("th", swatch, tag("span", row.version or UNKNOWN, class_="name"), scope="row")
    values = (
        f"{row.requests:,}",
        _bar(row, material.color(row.version)),
        f"{row.failed:,}",
        *map(took, (row.p50, p95, row.p99, row.worst)),
    )
    classes = ("", "share", "bad" if row.failed else "", "", "", "", "")
    cells = zip(NAMES[1:], values, classes, strict=True)
    return tag("tr", name, *(tag("td", value, class_=kind or None, data_name=key) for key, value, kind in cells))


def _bar(row: Row, color: str) -> Markup:
    fill = tag("span", style=f"width:{row.share * 100:.1f}%", class_=f"fill {color}")
    return join((tag("span", fill, class_="track", aria_hidden="true"), tag("span", percent(row.share))))


def _p95(material: Material) -> dict[str, float]:
    """The rows of tables.py have p50 and p99."""
    if not len(material.requests):
        return {}
    found = {name: tables.quantile(ordered, 0.95) for name, ordered in tables.latencies(material.requests).items()}
    for host in material.moved:
        hops: dict[str, list[float]] = {}
        for hop in material.choices(host):
            hops.setdefault(f"{host}/{hop.server.version}", []).append(hop.seconds if hop.status else inf)
        found |= {name: tables.quantile(sorted(values), 0.95) for name, values in hops.items()}
    return found
