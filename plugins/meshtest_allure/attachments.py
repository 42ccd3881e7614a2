"""What is attached to a test: verdict, timeline, requests, the change before the first failure, traces, the page. Pure.

Allure shows text, SVG, CSV (as a table) and JSON where they are attached; of HTML a static picture, whose scripts run
only when it is opened in a tab of its own.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import NamedTuple

from meshtest.model.report import Change, RunReport
from meshtest.model.request import Fate, Request, Requests
from meshtest.reporters import console
from meshtest.reporters.html import standalone

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


def attachments(report: RunReport) -> Iterator[Attachment]:
    """In the order in which a person asks for them."""
    yield Attachment("verdict", "text/plain", "txt", _verdict(report))
    if timeline := standalone.image(report):
        yield Attachment("timeline", "image/svg+xml", "svg", timeline)
    if len(report.history.requests):
        yield _requests(report)
    if change := _suspect(report):
        yield diff(f"the change before the first failure: {change.reason}", change.diff)
    if report.folder and (report.folder / PAGE).is_file():
        yield Attachment("the whole report", "text/html", "html", report.folder / PAGE)


def diff(name: str, text: str) -> Attachment:
    """As plain text: Allure offers text/x-diff for download only."""
    return Attachment(name, "text/plain", "diff", text)


def _verdict(report: RunReport) -> str:
    command = str(report.about.get("command", ""))
    return console.summary(report.history, report.verdict, folder=report.folder, command=command, width=WIDTH)


def _requests(report: RunReport) -> Attachment:
    requests, text = report.history.requests, io.StringIO()
    name, positions = sample(requests)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_row(request) for request in requests.pick(positions))
    return Attachment(name, "text/csv", "csv", text.getvalue())


def _row(request: Request) -> tuple[object, ...]:
    latency = "" if request.latency is None else f"{request.latency * 1e3:.2f}"
    served = "/".join(filter(None, (request.server.service, request.server.version)))
    fate = request.fate.name.lower()
    status, attempts = request.status or "", request.attempts or ""
    return request.id, f"{request.at:.3f}", latency, fate, status, served, request.server.pod, attempts


def sample(requests: Requests) -> tuple[str, list[int]]:
    """Which requests the table has, in words and by position: all, or those that failed and some of the others."""
    total = len(requests)
    if total <= ROWS:
        return f"requests (all {total})", list(range(total))
    lost = _lost(requests)
    shown = lost[: ROWS // 2]
    every = ceil(total / (ROWS - len(shown)))
    which = f"the first {len(shown)} of {len(lost)} that failed" if len(shown) < len(lost) else f"{len(lost)} failed"
    return f"requests ({which}, and 1 in {every} of {total})", sorted({*shown, *range(0, total, every)})


def _lost(requests: Requests) -> list[int]:
    return requests.where(lambda kind: kind.failed and kind.fate != Fate.NOT_SENT)


def _suspect(report: RunReport) -> Change | None:
    """What was changed last before the first failed request was sent."""
    requests = report.history.requests
    lost = _lost(requests)
    if not lost:
        return None
    first = min(requests.second(requests.began[position]) for position in lost)
    numbers = [event.data.get("number") for event in report.history.of("config.apply") if event.at <= first]
    return next((change for change in report.changes if numbers and change.number == numbers[-1]), None)
