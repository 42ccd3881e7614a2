"""All runs of a folder on one page: the worst first, then the newest; each with a spark line and its report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

from meshtest.lib.figures import percent, seconds
from meshtest.lib.words import plural
from meshtest.model import tables
from meshtest.model.report import RunReport
from meshtest.model.verdict import Outcome
from meshtest.reporters.html.counts import entry_counts
from meshtest.reporters.html.markup import NOTHING, Markup, breakable, join, tag
from meshtest.reporters.html.material import Material
from meshtest.reporters.html.page import NAME, document
from meshtest.reporters.html.verdict import CLASSES, WORDS, badge, sentence

PARTS = 40
"""Columns of a spark line."""
LONGEST = 160
"""Characters of a run's sentence."""
SPARK = (160, 28)


class Entry(NamedTuple):
    """A run, as the index shows it: small enough to keep thousands."""

    name: str
    outcome: Outcome | None
    """None: it has not ended."""
    started: float = 0.0
    """Epoch seconds."""
    lasted: float | None = None
    requests: int = 0
    failed: int = 0
    p99: float | None = None
    """Of all requests that were answered."""
    sentence: str = ""
    totals: Sequence[int] = ()
    """Requests in equal parts of the time."""
    lost: Sequence[int] = ()
    """Those of them that failed."""
    link: str = ""
    """From the index to the report, a relative path; "" if there is none."""


def entry(report: RunReport, link: str = "") -> Entry:
    """Of a report. `link` is by default FOLDER/report.html, as seen from beside the folder."""
    material, about = Material(report), report.about
    parts = max(min(PARTS, len(material.requests) // 5), 10)
    counts = entry_counts(material, parts) if len(material.requests) else None
    answered = [row.p99 for row in tables.by_version(material.requests, material.lost)] if counts else []
    started, ended = about.get("started") or 0.0, about.get("ended")
    return Entry(
        material.name, material.outcome, float(started), float(ended) - float(started) if ended else None,
        material.sent, len(material.lost), max(answered, default=None), " ".join(sentence(material)).strip(),
        counts.totals if counts else (), counts.failed if counts else (),
        link or (str(PurePosixPath(report.folder.name, NAME)) if report.folder else ""),
    )  # fmt: skip


def index(entries: Sequence[Entry | RunReport], title: str = "Runs") -> str:
    """One page of them all; what is not an Entry yet is made one."""
    runs = sorted((e if isinstance(e, Entry) else entry(e) for e in entries), key=_order)
    counts = Counter(run.outcome for run in runs)
    tally = ", ".join(f"{counts[o]} {WORDS[o].lower()}" for o in _ORDER if counts[o])
    table = _table(runs) if runs else tag("p", "There are no runs here.", class_="empty")
    header = tag("header", tag("p", "meshtest", class_="where"), tag("h1", title),
                 tag("p", f"{plural(len(runs), 'run')}{': ' if tally else ''}{tally}", class_="about"))  # fmt: skip
    footer = tag("footer", tag("p", "Written by meshtest. The worst first, then the newest."))
    return document(f"{title}: {tally or 'none'}", (header, tag("main", table, id="main"), footer))


_ORDER = (Outcome.FAIL, Outcome.UNKNOWN, None, Outcome.PASS)


def _order(run: Entry) -> tuple[int, float, str]:
    return _ORDER.index(run.outcome), -run.started, run.name


def _table(runs: Sequence[Entry]) -> Markup:
    names = ("Outcome", "Run", "Requests over time", "Requests", "Failed", "p99", "Started (UTC)")
    head = tag("thead", tag("tr", *(tag("th", name, scope="col", class_=f"col{i}") for i, name in enumerate(names))))
    rows = (_row(run, number) for number, run in enumerate(runs))
    table = tag("table", tag("caption", "All runs of this folder"), head, tag("tbody", *rows), class_="runs")
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label="Runs")


def _row(run: Entry, number: int) -> Markup:
    where, _, test = run.name.rpartition("::")
    name = (
        tag("a", breakable(test or run.name), href=_quoted(run.link))
        if run.link
        else tag("span", breakable(test or run.name))
    )
    said = tag("span", _short(run.sentence), class_="where said") if run.outcome is not Outcome.PASS else NOTHING
    failed = (
        f"{run.failed:,} ({percent(run.failed / run.requests)})" if run.failed and run.requests else f"{run.failed:,}"
    )
    p99 = "–" if run.p99 is None else seconds(run.p99)
    cells = ((f"{run.requests:,}", "n", "Requests"), (failed, "n bad" if run.failed else "n", "Failed"),
             (p99, "n", "p99"), (_when(run), "when", "Started"))  # fmt: skip
    return tag(
        "tr", tag("td", badge(run.outcome)),
        tag("th", tag("span", where, class_="where") if where else NOTHING, name, said, scope="row"),
        tag("td", _spark(run, number), class_="sparkline"),
        *(tag("td", value, class_=kind, data_name=key) for value, kind, key in cells), class_=CLASSES[run.outcome],
    )  # fmt: skip


def _short(sentence: str) -> str:
    """The first line of it, so to say."""
    return sentence if len(sentence) <= LONGEST else sentence[: LONGEST - 1].rsplit(" ", 1)[0] + " …"


def _quoted(link: str) -> str:
    """A relative path, and never anything else: a scheme would lead away."""
    return (
        quote(link.replace("\\", "/"), safe="/") if ":" not in link.split("/", 1)[0] else f"./{quote(link, safe='/')}"
    )


def _when(run: Entry) -> Markup:
    """When it began, and how long it took below it."""
    long = "" if run.lasted is None else f"for {seconds(max(run.lasted, 0.0))}"
    return join(tag("span", words) for words in (_began(run), long) if words)


def _began(run: Entry) -> str:
    if not run.started:
        return "–"
    try:
        return f"{datetime.fromtimestamp(run.started, UTC):%Y-%m-%d %H:%M:%S}"
    except (ValueError, OverflowError, OSError):
        return "–"


def _spark(run: Entry, number: int) -> Markup:
    """Requests as an area, failures on its ground line; even one of them is seen."""
    if not any(run.totals):
        return tag("span", "–", class_="dim")
    wide, high = SPARK
    step, top = wide / len(run.totals), max(run.totals)
    area = "".join(
        f"L{i * step:.0f} {high - n / top * (high - 4):.1f}H{(i + 1) * step:.0f}" for i, n in enumerate(run.totals)
    )
    parts = [tag("path", d=f"M0 {high}{area}V{high}z", class_="area")]
    parts += _lost(run, step)
    words = f"{run.requests:,} requests, {run.failed:,} failed"
    return tag("svg", tag("title", words, id=f"run{number}"), *parts, viewBox=f"0 0 {wide} {high}", role="img",
               class_="spark", aria_labelledby=f"run{number}")  # fmt: skip


def _lost(run: Entry, step: float) -> Iterator[Markup]:
    high, most = SPARK[1], max(run.totals)
    for i, count in enumerate(run.lost):
        if count:
            tall = max(count / most * (high - 4), 5.0)
            yield tag("rect", x=i * step, y=high - tall, width=max(step, 2.0), height=tall, class_="spot")
