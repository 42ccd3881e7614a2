"""What a person and a machine see of a run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from meshtest.checks import judge, no_downtime, split
from meshtest.lib.figures import bars, seconds
from meshtest.model.history import Event, History
from meshtest.model.request import REQUEST_ID, Fate
from meshtest.model.span import Span
from meshtest.model.verdict import Verdict
from meshtest.reporters import jsonl
from meshtest.reporters.console import summary
from tests.checks.histories import config, every, history, mixed, request


def rollout() -> tuple[History, Verdict]:
    """Five seconds, v2 getting a tenth, with an outage of 20 ms."""
    requests = every(0.001, mixed(v2=500, v1=4500), start=0.02)
    for i in range(2000, 2020):
        requests[i] = request(i, requests[i].at, fate=Fate.RESET)
    events = [Event(0.0, "run.start", data={"command": "pytest -k canary"}), *config(1, 0.0, {"v1": 90, "v2": 10})]
    past = history(requests, events)
    return past, judge(past, [no_downtime(), split(host="web")])


def test_the_summary_says_all_that_matters_in_a_screenful() -> None:
    past, verdict = rollout()
    text = summary(past, verdict, folder=Path("reports/x"))
    lines = text.splitlines()
    assert lines[0].startswith(
        "FAIL: no_downtime: 20 of 5000 failed in 1 outage, longest 20 ms (at most 21 ms), first at t=2.020s (reset"
    )
    assert lines[1].startswith("  PASS    split: config 1: web v2 got")
    assert lines[2].split() == ["version", "requests", "share", "failed", "p50", "p99", "max"]
    assert [line.split()[:2] for line in lines[3:6]] == [["(unknown)", "20"], ["web/v1", "4482"], ["web/v2", "498"]]
    assert len({len(line) for line in lines[2:6]}) == 1
    assert "  outage t=2.020s  20 ms, 20 requests failed" in lines
    assert "  failed t=2.020s  reset    -  2.01 s after config.ack 1" in lines
    assert "  and 15 more failures" in lines
    assert lines[-2:] == ["  record  reports/x", "  repeat  pytest -k canary"]
    assert 12 <= len(lines) <= 21


def test_it_says_where_the_page_is(tmp_path: Path) -> None:
    past, verdict = rollout()
    assert "  report  " not in summary(past, verdict, folder=tmp_path)
    assert f"  report  {tmp_path}/later.html" in summary(past, verdict, folder=tmp_path, page=tmp_path / "later.html")
    (tmp_path / "report.html").touch()
    assert f"  report  {tmp_path}/report.html" in summary(past, verdict, folder=tmp_path)


def test_it_names_the_trace_of_the_first_failed_request_that_was_traced() -> None:
    past, verdict = rollout()
    spans = [
        Span(f"{n:032x}", f"{n:016x}", "", "web", "GET /", 2.0, 2.1, attributes={REQUEST_ID: f"load-{n}"})
        for n in (1, 2010, 2005)
    ]
    traced = summary(replace(past, spans=spans), verdict)
    assert f"  trace   {2005:032x} of load-2005" in traced.splitlines()
    assert "  trace   " not in summary(replace(past, spans=spans[:1]), verdict)


def test_it_says_why_connections_failed_the_commonest_first() -> None:
    troubles = {"wrong name": 2, "certificate has expired": 300, "no TLS": 5, "reset in the handshake": 1}
    past = history(events=[Event(1.0, "load.end", "shop", {"troubles": troubles})])
    lines = summary(past, judge(past, [no_downtime()])).splitlines()
    first = lines.index("  shop: certificate has expired (300 connections)")
    assert lines[first + 1 : first + 4] == [
        "  shop: no TLS (5 connections)",
        "  shop: wrong name (2 connections)",
        "  and 1 more trouble of connections",
    ]


def test_bars_show_who_served_when() -> None:
    past, verdict = rollout()
    rows = [line for line in summary(past, verdict, width=60).splitlines() if any(c in "▁▂█" for c in line)]
    assert [row.split()[0] for row in rows] == ["web/v1", "web/v2", "failed"]
    assert max(map(len, rows)) <= 60
    assert rows[-1].count("█") == 1


def test_a_terminal_without_blocks_gets_letters() -> None:
    past, verdict = rollout()
    assert summary(past, verdict, encoding="ascii").isascii()


def test_colour_is_for_the_verdict_only() -> None:
    past, verdict = rollout()
    assert summary(past, verdict, color=True).count("\033[") == 2
    assert summary(past, verdict, color=True).startswith("\033[1;31mFAIL\033[0m: ")


def test_a_run_without_requests_says_so() -> None:
    assert "  no requests" in summary(history(), judge(history(), [no_downtime()]))


@pytest.mark.parametrize(
    ("value", "text"), [(0.0004, "0.4 ms"), (0.0123, "12 ms"), (1.5, "1.50 s"), (float("inf"), "never")]
)
def test_durations_for_people(value: float, text: str) -> None:
    assert seconds(value) == text


def test_bars_are_never_lower_than_something() -> None:
    assert bars([0, 1, 500, 1000], 1000) == " ▁▅█"


def test_lines_of_json_have_everything_in_order_of_time(tmp_path: Path) -> None:
    past, verdict = rollout()
    jsonl.write(tmp_path / "run.jsonl", past, verdict)
    entries = [json.loads(line) for line in (tmp_path / "run.jsonl").read_text().splitlines()]
    timed = [e["at"] for e in entries if "at" in e]
    assert timed == sorted(timed)
    assert {e["type"] for e in entries} == {"event", "request", "finding", "verdict"}
    lost = next(e for e in entries if e.get("fate") == "reset")
    assert (lost["id"], lost["status"], lost["version"]) == ("load-2000", 0, "")
    assert entries[-1]["outcome"] == "FAIL"
