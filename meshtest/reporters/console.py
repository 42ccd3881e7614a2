"""A finished run on a terminal: the verdict, who served what, when, what failed, where the record is. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.lib.figures import ASCII_BARS, BARS, bars, percent, seconds
from meshtest.lib.words import plural
from meshtest.model import deeper, tables
from meshtest.model.history import History
from meshtest.model.request import REQUEST_ID
from meshtest.model.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from meshtest.model.rehearsal import Rehearsal

FAILURES = 5
"""Failed requests shown; the run folder has all."""
OUTAGES = 2
TROUBLES = 3
"""Reasons why connections failed, the commonest first."""
PAGE = "report.html"
"""In the folder of a run."""
VERSIONS = 5
"""Versions shown in the table, those with most requests."""
COLORS = {Outcome.PASS: "32", Outcome.UNKNOWN: "33", Outcome.FAIL: "31"}
UNKNOWN = "(unknown)"
"""Requests that no one is known to have served."""

_HEAD = ("version", "requests", "share", "failed", "p50", "p99", "max")


def summary(
    history: History,
    verdict: Verdict,
    *,
    rehearsals: Sequence[Rehearsal] = (),
    folder: Path | None = None,
    page: Path | None = None,
    command: str = "",
    width: int = 80,
    color: bool = False,
    encoding: str = "utf-8",
) -> str:
    """Twelve to twenty lines.

    `page` is where the report is or will be, by default the one in the folder if it is there; `command` repeats the
    run, by default the one that it was started with.
    """
    failed = tables.failures(history.requests)
    rows = tables.by_version(history.requests, failed)
    shown = sorted(sorted(rows, key=lambda row: -row.requests)[:VERSIONS], key=lambda row: row.version)
    lines = [_headline(verdict, color)]
    lines += _findings(verdict)
    lines += [f"  rehearsal of {rehearsal}" for rehearsal in rehearsals]
    lines += _table(shown)
    lines += _timeline(history, [row.version for row in shown if row.version], failed, width, _ramp(encoding))
    for host in deeper.moved(history):
        lines += _further_down(history, host, width, _ramp(encoding))
    lines += _trouble(verdict)
    lines += _connections(history)
    lines += _trace(history, failed)
    lines += _whereabouts(history, folder, page or _written(folder), command)
    return "\n".join(_encodable(line, encoding) for line in lines)


def _headline(verdict: Verdict, color: bool) -> str:
    word, colon, rest = verdict.sentence.partition(":")
    return f"\033[1;{COLORS[verdict.outcome]}m{word}\033[0m{colon}{rest}" if color else verdict.sentence


def _findings(verdict: Verdict) -> list[str]:
    """The other findings; the headline is the decisive one."""
    return [f"  {finding}" for finding in verdict.findings if finding is not verdict.decisive][:4]


def _table(rows: Sequence[tables.Row]) -> list[str]:
    if not rows:
        return ["  no requests"]
    cells = [_HEAD, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(_HEAD))]
    return [
        "  " + "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
        for line in cells
    ]


def _cells(row: tables.Row) -> tuple[str, ...]:
    times = (seconds(row.p50), seconds(row.p99), seconds(row.worst))
    return (row.version or UNKNOWN, str(row.requests), percent(row.share), str(row.failed), *times)


def _timeline(history: History, versions: Sequence[str], failed: Sequence[int], width: int, ramp: str) -> Iterator[str]:
    """A row of bars a version over the time of the load, and one for the failures."""
    if not len(history.requests):
        return
    margin = max(map(len, [*versions, "failed"])) + 4
    buckets = max(width - margin, 10)
    rows = tables.timeline(history.requests, buckets)
    top = max(max(row) for row in rows.values())
    for version in versions:
        yield f"  {version:<{margin - 4}}  {bars(rows[version], top, ramp)}".rstrip()
    if failed:
        lost = _buckets(history, failed, buckets)
        yield f"  {'failed':<{margin - 4}}  {bars(lost, max(lost), ramp)}".rstrip()
    start, end = history.requests[0].at, history.requests[-1].at
    yield f"  {'':<{margin - 4}}  {f't={start:.2f}s':<{max(buckets - 10, 8)}}{f'{end:.2f}s':>10}"


def _further_down(history: History, host: str, width: int, ramp: str) -> Iterator[str]:
    """The versions of a host that other services call, as the proxies saw them."""
    rows = deeper.by_version(history, host)
    if not rows:
        return
    yield from _table(rows)
    margin = max(len(row.version) for row in rows) + 4
    counts = deeper.timeline(history, host, max(width - margin, 10))
    top = max((max(row) for row in counts.values()), default=0)
    for version, row in counts.items():
        yield f"  {version:<{margin - 4}}  {bars(row, top, ramp)}".rstrip()


def _buckets(history: History, positions: Sequence[int], buckets: int) -> list[int]:
    intended = history.requests.intended
    first, span = intended[0], max(intended[-1] - intended[0], 1)
    counts = [0] * buckets
    for position in positions:
        counts[min((intended[position] - first) * buckets // span, buckets - 1)] += 1
    return counts


def _trouble(verdict: Verdict) -> Iterator[str]:
    """Outages and the first failures, as no_downtime found them."""
    figures = next((f.figures for f in verdict.findings if f.figures.get("failures")), None)
    if figures is None:
        return
    for outage in figures.get("outages", [])[:OUTAGES]:
        yield f"  outage {_at(outage)}  {seconds(outage['seconds'])}, {plural(outage['failed'], 'request')} failed"
    for failure in figures["failures"][:FAILURES]:
        yield f"  failed {_at(failure, 'at')}  {failure['kind']:<8} {failure['version'] or '-'}  {failure['after']}"
    more = figures["failed"] - min(len(figures["failures"]), FAILURES)
    if more > 0:
        yield f"  and {plural(more, 'more failure')}"


def _at(data: Mapping[str, Any], key: str = "start") -> str:
    return f"t={data[key]:.3f}s"


def _connections(history: History) -> Iterator[str]:
    """Why connections failed, as their loads say: of a handshake, or of what came, no proxy knows."""
    told = [(e.subject, *trouble) for e in history.of("load.end") for trouble in (e.data.get("troubles") or {}).items()]
    for load, words, count in sorted(told, key=lambda one: -one[2])[:TROUBLES]:
        yield f"  {load}: {words} ({plural(count, 'connection')})"
    if len(told) > TROUBLES:
        yield f"  and {plural(len(told) - TROUBLES, 'more trouble')} of connections"


def _trace(history: History, failed: Sequence[int]) -> Iterator[str]:
    """Of the first failed request that was traced, for whoever looks it up in a tool of theirs."""
    if not failed or not len(history.spans):
        return
    names = (span.attributes.get(REQUEST_ID) for span in history.spans)
    traced = {name: span.trace for name, span in zip(names, history.spans, strict=True) if name}
    ids = (history.requests[position].id for position in failed)
    if first := next((id for id in ids if id in traced), None):
        yield f"  trace   {traced[first]} of {first}"


def _written(folder: Path | None) -> Path | None:
    return folder / PAGE if folder and (folder / PAGE).is_file() else None


def _whereabouts(history: History, folder: Path | None, page: Path | None, command: str) -> Iterator[str]:
    start = next(iter(history.of("run.start")), None)
    command = command or (str(start.data.get("command", "")) if start else "")
    if folder:
        yield f"  record  {folder}"
    if page:
        yield f"  report  {page}"
    if command:
        yield f"  repeat  {command}"


def _ramp(encoding: str) -> str:
    try:
        BARS.encode(encoding)
    except UnicodeEncodeError:
        return ASCII_BARS
    return BARS


def _encodable(line: str, encoding: str) -> str:
    """What the terminal cannot show becomes `?`; nothing is cut: paths and commands must stay whole to be copied."""
    return line.rstrip().encode(encoding, "replace").decode(encoding)
