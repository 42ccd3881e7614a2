"""Two runs side by side."""

from __future__ import annotations

import json
from collections.abc import Sequence

from meshtest.model.history import History
from meshtest.model.report import Change, RunReport
from meshtest.model.request import Server
from meshtest.model.verdict import Finding, Outcome, Verdict
from meshtest.reporters.difference import difference, text
from tests.checks.histories import V1, V2, history, request
from tests.telemetry.test_graph import shop


def report(
    past: History, outcome: Outcome = Outcome.PASS, changes: Sequence[Change] = (), **about: object
) -> RunReport:
    found = Finding(check="no_downtime", outcome=outcome, sentence="as it is")
    return RunReport(about=about, history=past, verdict=Verdict((found,)), changes=changes)


def served(*servers: Server, latency: float = 0.001) -> History:
    return history([request(i, i / 10, server, latency=latency) for i, server in enumerate(servers)])


def test_two_runs_of_the_same_differ_in_nothing() -> None:
    one = report(shop(), seed=7)
    found = difference(one, one)
    assert (found.about, found.findings, list(found.configuration), found.edges) == ({}, {}, [], {})
    assert "verdict: no difference" in list(text(found, ("a", "b")))
    assert [a == b for a, b in found.versions.values()] == [True], "versions are always shown"


def test_each_thing_that_differs_is_told() -> None:
    change = Change(number=1, reason="shift web v2=100", diff="-  subset: v1\n+  subset: v2\n")
    first = report(served(V1, V1), seed=7)
    second = report(served(V2, V2), Outcome.FAIL, [change], seed=8)
    found = difference(first, second)
    lines = list(text(found, ("reports/a", "reports/b")))
    assert "  seed: 7 -> 8" in lines
    assert "  A PASS    no_downtime: as it is" in lines
    assert "  B FAIL    no_downtime: as it is" in lines
    assert "  B web/v1: no requests" in lines
    assert "  +# shift web v2=100" in lines
    assert "  only in B: client -> web@v2, 2 requests, 0 failed, p99 1.0 ms" in lines
    data = json.loads(json.dumps(found.as_data(), allow_nan=False))
    assert data["findings"]["no_downtime"][1]["outcome"] == "FAIL"
    assert [edge and edge["target"] for pair in data["edges"] for edge in pair] == ["web@v1", None, None, "web@v2"]


def test_an_edge_that_is_much_slower_is_told_and_one_that_is_a_little_is_not() -> None:
    assert difference(report(served(V1)), report(served(V1, latency=0.0012))).edges == {}
    (pair,) = difference(report(served(V1)), report(served(V1, latency=0.002))).edges.values()
    assert [edge.p99 for edge in pair if edge] == [0.001, 0.002]
