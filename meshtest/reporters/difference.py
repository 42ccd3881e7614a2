"""Two runs side by side: what differs in verdict, versions, configuration and graph. Pure.

Not here: whether a difference is one of chance; `split_sequential` and `canary_latency` judge that within one run.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple, TypeVar

from meshtest.lib.figures import percent, seconds
from meshtest.model import tables
from meshtest.model.graph import Edge
from meshtest.model.report import Change, RunReport
from meshtest.model.tables import Row
from meshtest.model.verdict import Finding
from meshtest.telemetry.graph import graph_of

ABOUT = ("name", "provider", "seed", "command", "meshtest", "python", "outcome", "error")
SLOWER = 1.5
"""An edge's 99 % quantile that is more than so many times the other's is told; below, two runs of the same differ."""

K = TypeVar("K")
V = TypeVar("V")
EdgeName = tuple[str, str, bool]


class Difference(NamedTuple):
    """Each pair is (of the first run, of the second); None is: not there."""

    about: Mapping[str, tuple[Any, Any]]
    """Fields of run.json that differ."""
    findings: Mapping[str, tuple[Finding | None, Finding | None]]
    """By check, those whose outcome or sentence differs."""
    versions: Mapping[str, tuple[Row | None, Row | None]]
    """All, for people compare them."""
    configuration: Sequence[str]
    """A unified diff of what was changed, in order."""
    edges: Mapping[EdgeName, tuple[Edge | None, Edge | None]]
    """Of the graph: those only one has, and those that differ by more than chance may explain."""

    def as_data(self) -> dict[str, Any]:
        return {
            "about": self.about,
            "findings": {c: [f and f.as_data() for f in pair] for c, pair in self.findings.items()},
            "versions": {v: [row and _row(row) for row in pair] for v, pair in self.versions.items()},
            "configuration": list(self.configuration),
            "edges": [[edge and edge.as_data() for edge in pair] for pair in self.edges.values()],
        }


def difference(first: RunReport, second: RunReport) -> Difference:
    return Difference(
        about={name: pair for name in ABOUT if (pair := _both(first.about, second.about, name))[0] != pair[1]},
        findings={name: pair for name, pair in _paired(*map(_findings, (first, second))).items() if _differ(*pair)},
        versions=_paired(*map(_versions, (first, second))),
        configuration=list(_configuration(first.changes, second.changes)),
        edges={name: pair for name, pair in _paired(*map(_edges, (first, second))).items() if _unlike(*pair)},
    )


def _both(first: Mapping[str, Any], second: Mapping[str, Any], name: str) -> tuple[Any, Any]:
    return first.get(name), second.get(name)


def _paired(first: Mapping[K, V], second: Mapping[K, V]) -> dict[K, tuple[V | None, V | None]]:
    return {key: (first.get(key), second.get(key)) for key in dict.fromkeys([*first, *second])}


def _findings(report: RunReport) -> dict[str, Finding]:
    """A check that was asked several times has a number each time."""
    found: dict[str, Finding] = {}
    for finding in report.verdict.findings:
        number = sum(name.partition(" #")[0] == finding.check for name in found) + 1
        found[finding.check if number == 1 else f"{finding.check} #{number}"] = finding
    return found


def _differ(first: Finding | None, second: Finding | None) -> bool:
    if first is None or second is None:
        return first is not second
    return (first.outcome, first.sentence) != (second.outcome, second.sentence)


def _versions(report: RunReport) -> dict[str, Row]:
    return {row.version: row for row in tables.by_version(report.history.requests)}


def _row(row: Row) -> dict[str, Any]:
    times = {name: None if (value := getattr(row, name)) == inf else value for name in ("p50", "p99", "worst")}
    return {"requests": row.requests, "share": row.share, "failed": row.failed, **times}


def _configuration(first: Sequence[Change], second: Sequence[Change]) -> Iterator[str]:
    texts = [[f"# {c.reason}\n{c.diff}".splitlines() for c in changes] for changes in (first, second)]
    one, other = ([line for text in part for line in text] for part in texts)
    return difflib.unified_diff(one, other, "first", "second", lineterm="", n=2)


def _edges(report: RunReport) -> dict[EdgeName, Edge]:
    return {(e.source, e.target, e.mirrored): e for e in graph_of(report.history).edges}


def _unlike(first: Edge | None, second: Edge | None) -> bool:
    if first is None or second is None:
        return True
    if any(getattr(first, what) != getattr(second, what) for what in ("failed", "mtls", "flags", "denied")):
        return True
    low, high = sorted((first.p99, second.p99))
    return high > low * SLOWER and high != low


# ---- for a terminal


def text(found: Difference, names: tuple[str, str]) -> Iterator[str]:
    """What differs, in the order in which it matters."""
    yield f"A  {names[0]}"
    yield f"B  {names[1]}"
    yield from _section("run", (f"{name}: {_word(a)} -> {_word(b)}" for name, (a, b) in found.about.items()))
    yield from _section("verdict", _verdicts(found))
    yield from _section("versions", _table(found))
    yield from _section("configuration", found.configuration)
    yield from _section("graph", _graph(found))


def _section(title: str, lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    rows = list(lines)
    yield f"{title}:" if rows else f"{title}: no difference"
    yield from (f"  {row}".rstrip() for row in rows)


def _word(value: object) -> str:
    return "-" if value is None else str(value)


def _verdicts(found: Difference) -> Iterator[str]:
    for check, (a, b) in found.findings.items():
        yield f"A {a}" if a else f"A -       {check}"
        yield f"B {b}" if b else f"B -       {check}"


def _table(found: Difference) -> Iterator[str]:
    """Both runs' lines of each version, and how the second compares."""
    for version, (a, b) in found.versions.items():
        name = version or "(unknown)"
        yield from (f"{which} {name}: {_figures(row) if row else 'no requests'}" for which, row in (("A", a), ("B", b)))


def _figures(row: Row) -> str:
    return (
        f"{row.requests} requests ({percent(row.share)}), {row.failed} failed, "
        f"p50 {seconds(row.p50)}, p99 {seconds(row.p99)}, max {seconds(row.worst)}"
    )


def _graph(found: Difference) -> Iterator[str]:
    for (source, target, mirrored), (a, b) in found.edges.items():
        name = f"{source} -> {target}" + (" (copies)" if mirrored else "")
        if a is None or b is None:
            yield f"only in {'A' if a else 'B'}: {name}, {_edge(a or b)}"
        else:
            yield f"{name}: {_edge(a)} -> {_edge(b)}"


def _edge(edge: Edge | None) -> str:
    if edge is None:
        return "-"
    flags = "".join(f", {flag} {count}" for flag, count in edge.flags.items())
    secured = {True: ", mTLS", False: ", plain", None: ""}[edge.mtls]
    return f"{edge.requests} requests, {edge.failed} failed, p99 {seconds(edge.p99)}{secured}{flags}"
