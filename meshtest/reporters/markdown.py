"""The runs of a session for the summary of a CI job: Markdown, and NAME=value lines. Pure.

GitHub shows the Markdown of $GITHUB_STEP_SUMMARY on the page of the job. GitLab has no such place: it shows JUnit
reports in the pipeline and the merge request, links artifacts by `expose_as`, and hands a dotenv report to later jobs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

from meshtest.lib.figures import percent, seconds
from meshtest.lib.words import plural
from meshtest.model import tables
from meshtest.model.report import RunReport

SIGNS = {"PASS": "✅", "UNKNOWN": "❓", "FAIL": "❌"}
LONGEST = 300
"""Characters of a sentence in a table."""
MOST = 200
"""Rows; GitHub refuses summaries of more than 1 MiB."""
PREFIX = "meshtest."


def properties(report: RunReport) -> Iterator[tuple[str, str | int]]:
    """A run in few words: of a JUnit report, and what workers tell their controller."""
    requests = report.history.requests
    rows = tables.by_version(requests)
    yield "meshtest.outcome", str(report.about.get("outcome") or report.verdict.outcome.name)
    yield "meshtest.verdict", report.verdict.sentence[:LONGEST]
    yield "meshtest.seed", str(report.about.get("seed"))
    yield "meshtest.run", str(report.folder or "")
    yield "meshtest.repeat", str(report.about.get("command") or "")
    if report.rehearsals:
        yield "meshtest.rehearsal", "; ".join(map(str, report.rehearsals))[:LONGEST]
    yield "meshtest.requests", len(requests)
    yield "meshtest.failures", sum(row.failed for row in rows)
    for row in rows:
        name = row.version or "unknown"
        yield f"meshtest.share.{name}", f"{row.share:.4f}"
        yield f"meshtest.p99.{name}", "never" if row.p99 == inf else f"{row.p99:.6f}"


class Ended(NamedTuple):
    """A test that has ended, with the properties of its run."""

    test: str
    passed: bool
    properties: Mapping[str, Any]

    def __getattr__(self, name: str) -> str:
        """`outcome`, `verdict`, `run`: "" if that is not told."""
        return str(self.properties.get(PREFIX + name, ""))

    @property
    def result(self) -> str:
        """Of the test: one that expects its run to fail passes when it does."""
        return "PASS" if self.passed else "UNKNOWN" if self.outcome == "UNKNOWN" else "FAIL"

    @property
    def worst_p99(self) -> str:
        told = [str(v) for name, v in self.properties.items() if name.startswith(f"{PREFIX}p99.")]
        if not told:
            return ""
        return "never" if "never" in told else seconds(max(map(float, told)))

    @property
    def shares(self) -> str:
        found = {n.rpartition(".share.")[2]: v for n, v in self.properties.items() if n.startswith(f"{PREFIX}share.")}
        return ", ".join(f"{name} {percent(float(value))}" for name, value in found.items())


def summary(ended: Sequence[Ended], *, index: str = "") -> str:
    """What failed comes first, so that it is not what is left out."""
    shown = sorted(ended, key=lambda one: one.passed)[:MOST]
    failed = [one for one in ended if not one.passed]
    head = f"## meshtest: {plural(len(ended), 'test')}, {len(failed)} failed\n"
    lines = [head, "| | test | verdict | requests | failed | p99 | share |", "|---|---|---|--:|--:|--:|---|"]
    lines += [_row(one) for one in shown]
    if len(ended) > len(shown):
        lines.append(f"\nand {len(ended) - len(shown)} more")
    if rehearsed := [one for one in shown if one.rehearsal]:
        lines += ["\n### Rehearsals\n", "| test | what became of the Canary |", "|---|---|"]
        lines += [f"| `{_cell(one.test)}` | {_cell(one.rehearsal)} |" for one in rehearsed]
    if failed:
        lines += ["\n<details><summary>Repeat what failed</summary>\n", "```console"]
        lines += [f"$ {one.repeat}" for one in failed[:MOST] if one.repeat]
        lines += ["```\n</details>"]
    if index:
        lines.append(f"\nReport: `{index}`")
    return "\n".join(lines) + "\n"


def _row(one: Ended) -> str:
    cells = (SIGNS[one.result], f"`{one.test}`", one.verdict, one.requests, one.failures, one.worst_p99, one.shares)
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    """A table has a line a row, and no bar within a cell."""
    return re.sub(r"\s+", " ", text).replace("|", "\\|").replace("<", "&lt;")[:LONGEST]


def dotenv(ended: Sequence[Ended], *, index: str = "") -> str:
    """For GitLab's `artifacts:reports:dotenv`: what later jobs can go by."""
    results = [one.result for one in ended]
    worst = next((word for word in ("FAIL", "UNKNOWN", "PASS") if word in results), "UNKNOWN")
    values: Iterable[tuple[str, object]] = (
        ("OUTCOME", worst),
        ("TESTS", len(ended)),
        ("FAILED", sum(not one.passed for one in ended)),
        ("REQUESTS", sum(int(one.requests or 0) for one in ended)),
        ("FAILED_REQUESTS", sum(int(one.failures or 0) for one in ended)),
        ("REPORT", index),
    )
    return "".join(f"MESHTEST_{name}={value}\n" for name, value in values)
