"""What is attached to a test: verdict, timeline, requests, the change before the first failure, traces, the page. Pure.

Allure shows text, SVG, CSV (as a table) and JSON where they are attached. Of HTML it shows a strip of 150 pixels and
runs no script; all of it is there in a tab of its own.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from meshtest.model.report import RunReport
from meshtest.model.request import Request
from meshtest.reporters import console
from meshtest.reporters.html import standalone
from meshtest.reporters.html.material import Failure, Material
from meshtest.reporters.html.waterfall import spans_of

ROWS = 500
"""Requests in the table: a browser shows them at once. `meshtest export` gives all, with all that is known of each."""
COLUMNS = ("request", "at_s", "latency_ms", "fate", "status", "version", "pod", "attempts")
"""As many as there is room for in Allure, which breaks words."""
WIDTH = 100
PAGE = "report.html"


class Attachment(NamedTuple):
    name: str
    type: str
    extension: str
    content: str | Path


def attachments(material: Material) -> Iterator[Attachment]:
    """In the order in which a person asks for them."""
    report = material.report
    yield Attachment("verdict", "text/plain", "txt", _verdict(report))
    if timeline := standalone.timeline(material):
        yield image("timeline", timeline)
    if report.folder and (report.folder / PAGE).is_file():
        yield Attachment("the whole report (open it in a tab)", "text/html", "html", report.folder / PAGE)
    yield from _requests_from_end_to_end(material)
    if material.lost and (change := material.guilty):
        yield diff(f"the change before the first failure: {change.reason}", change.diff)
    if len(material.requests):
        yield _table(material)


def diff(name: str, text: str) -> Attachment:
    """As plain text: Allure offers text/x-diff for download only."""
    return Attachment(name, "text/plain", "diff", text)


def image(name: str, svg: str) -> Attachment:
    return Attachment(name, "image/svg+xml", "svg", svg)


def _verdict(report: RunReport) -> str:
    command = str(report.about.get("command", ""))
    return console.summary(
        report.history,
        report.verdict,
        rehearsals=report.rehearsals,
        folder=report.folder,
        command=command,
        width=WIDTH,
    )


def _requests_from_end_to_end(material: Material) -> Iterator[Attachment]:
    """The first that failed and the slowest that was answered: drawn, and what is known of them as data."""
    worst = {"the first failed request": next(iter(material.lost), None), "the slowest request": material.slowest}
    for name, position in worst.items():
        if position is not None:
            told = material.told(position)
            title = f"{name}: {told.request.id}"
            yield image(title, standalone.waterfall(material, told, title))
            data = json.dumps(journey(material, told), indent=2, default=str)
            yield Attachment(f"{title}, its trace", "application/json", "json", data)


def journey(material: Material, told: Failure) -> dict[str, Any]:
    """A request with its spans, if it was traced, and its hops, the lines of the proxies' access logs."""
    request = told.request
    return {
        "request": {**dict(zip(COLUMNS, _row(request), strict=True)), "flags": told.flags, "culprit": told.culprit},
        "spans": [span._asdict() for span in spans_of(material, request.id)],
        "hops": [asdict(hop) for hop in material.history.hops_of(request.id)],
    }


def _table(material: Material) -> Attachment:
    requests, text = material.requests, io.StringIO()
    name, positions = sample(len(requests), material.lost)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_row(request) for request in requests.pick(positions))
    return Attachment(name, "text/csv", "csv", text.getvalue())


def _row(request: Request) -> tuple[object, ...]:
    latency = "" if request.latency is None else round(request.latency * 1e3, 2)
    served = "/".join(filter(None, (request.server.service, request.server.version)))
    fate = request.fate.name.lower()
    status, attempts = request.status or "", request.attempts or ""
    return request.id, round(request.at, 3), latency, fate, status, served, request.server.pod, attempts


def sample(total: int, lost: Sequence[int]) -> tuple[str, list[int]]:
    """Which requests the table has, in words and by position: all, or those that failed and some of the others."""
    if total <= ROWS:
        return f"requests (all {total})", list(range(total))
    shown = lost[: ROWS // 2]
    every = ceil(total / (ROWS - len(shown)))
    which = f"the first {len(shown)} of {len(lost)} that failed" if len(shown) < len(lost) else f"{len(lost)} failed"
    return f"requests ({which}, and 1 in {every} of {total})", sorted({*shown, *range(0, total, every)})
