"""Reports made by hand: a good one, a bad one, and those that nobody would make on purpose."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from meshtest.checks import judge, no_downtime, split
from meshtest.model.history import Event, History
from meshtest.model.report import Change, RunReport
from meshtest.model.request import Fate, Request, Server
from meshtest.model.verdict import Finding, Outcome, Verdict
from meshtest.reporters.html import page
from tests.checks.histories import V1, V2, config, every, history, hop, mixed, request

HOSTILE = "</title></svg><script>alert(1)</script>\"'&<b>\x00\x1b[31m\ud800\u202eevil\u202c 名前 🙂 " + "x" * 400
COMMAND = "pytest 'suites/x.py::test_x[a b]' --mesh-seed=7"


def about(**more: Any) -> dict[str, Any]:
    return {
        "schema_version": 3, "name": "suites/x.py::test_x", "meshtest": "0.1", "python": "3.11", "platform": "linux",
        "provider": "envoy", "seed": 7, "command": COMMAND, "started": 1_795_397_412.4, "ended": 1_795_397_417.4,
        "outcome": "PASS", "wall_start": 1_795_397_412.4, "error": None,
    } | more  # fmt: skip


def report(past: History, verdict: Verdict | None = None, **more: Any) -> RunReport:
    told = judge(past, [no_downtime()]) if verdict is None else verdict
    changes = more.pop("changes", DIFFS)
    return RunReport(about=about(**more.pop("about", {})), history=past, verdict=told, changes=changes, **more)


DIFFS = (
    Change(number=1, reason="apply web.yaml", diff="--- a\n+++ b\n@@ -0,0 +1 @@\n+kind: Service"),
    Change(number=2, reason="shift web v2=10", diff="--- a\n+++ b\n@@ -1 +1 @@\n same\n-weight: 0\n+weight: 10"),
)


def pods(*names: str, at: float = 0.0, kind: str = "pod.start", **data: Any) -> list[Event]:
    who = {"workload": "default/web", "service": "web", "version": "v1", "stand_in": True}
    return [Event(at, kind, name, {**(who if kind == "pod.start" else {}), **data}) for name in names]


def changes() -> list[Event]:
    """Both of DIFFS, and two steps."""
    first, second = config(1, -0.5, {"v1": 100}), config(2, 0.5, {"v1": 90, "v2": 10})
    steps = [
        Event(0.0, "step.start", "v1 only"),
        Event(0.49, "step.end", "v1 only"),
        Event(0.5, "step.start", "v2 at 10%"),
    ]
    return [Event(-1.0, "run.start", data={}), *first, *second, *steps]


def good() -> RunReport:
    """Two and a half seconds at 250/s."""
    past = history(every(0.004, [*[V1] * 128, *mixed(v2=50, v1=450)]), changes())
    return report(past, judge(past, [no_downtime(), split(host="web")]))


def cut() -> RunReport:
    """v1 is told to stop while it has ten requests in hand."""
    requests = every(0.004, [*[V1] * 200, *[V2] * 200])
    for i in range(190, 200):
        requests[i] = request(i, requests[i].at, V1, status=503, latency=0.8 - requests[i].at)
    stop = [*pods("web-v1-1"), *pods("web-v1-1", at=0.795, kind="pod.terminate", grace=30)]
    stop += pods("web-v1-1", at=0.799, kind="pod.exit", code=None, signal=15)
    lost = [hop(i, requests[i].at, V1, status=503, flags="UC", seconds=0.79 - requests[i].at) for i in range(190, 200)]
    past = history(requests, [*changes(), *stop], lost)
    return report(past, about={"outcome": "FAIL"})


def empty() -> RunReport:
    return report(History(), Verdict(()), changes=(), about={"ended": None, "outcome": None, "command": ""})


def single() -> RunReport:
    return report(history([request(0, 0.0)]))


def lost() -> RunReport:
    """All refused."""
    return report(history([request(i, i * 0.01, fate=Fate.REFUSED) for i in range(50)], changes()))


def truncated() -> RunReport:
    past = history(every(0.01, [V1] * 100), changes()[:4], truncated=True)
    return report(past, about={"ended": None, "outcome": None})


def crowded() -> RunReport:
    """Thirty versions, three thousand events, hundreds of changes."""
    servers = [Server("web", f"v{i % 30}", f"web-v{i % 30}-0") for i in range(3000)]
    requests = [request(i, i * 0.002, s, latency=0.001 * (1 + i % 97)) for i, s in enumerate(servers)]
    events = [e for i in range(300) for e in config(i + 1, i * 0.02, {f"v{n}": 100 / 30 for n in range(30)})]
    events += [Event(i * 0.002, "pod.exit", f"web-v{i % 30}-{i}", {"code": 0}) for i in range(1000)]
    events += [
        Event(i * 0.01, f"step.{w}", f"a step with a long name {i}") for i in range(300) for w in ("start", "end")
    ]
    diffs = [Change(number=i + 1, reason=f"shift {i}", diff="+line\n" * 500) for i in range(300)]
    hops = [hop(i, r.at, r.server) for i, r in enumerate(requests)]
    return report(history(requests, events, hops), changes=diffs)


def hostile(tmp: Path) -> RunReport:
    """Every text that users can choose is meant to break out."""
    evil = Server(HOSTILE.replace("/", ""), HOSTILE, HOSTILE)
    requests: list[Request] = every(0.01, [evil, V1] * 50)
    requests += [request(100 + i, 1 + i * 0.01, evil, status=503, load=HOSTILE) for i in range(20)]
    events = [Event(0.1, "fault.start", HOSTILE, {"fault": {"abort": HOSTILE, "percent": 10}}),
              Event(0.2, "step.start", HOSTILE), Event(0.3, "note", HOSTILE, {"text": HOSTILE}),
              Event(0.3, "config.rejected", data={"number": 3, "text": HOSTILE}), Event(0.35, HOSTILE, HOSTILE),
              Event(0.4, "config.apply", data={"number": 4, "reason": HOSTILE, "shares": {HOSTILE: {HOSTILE: 100.0}}}),
              Event(0.41, "config.ack", data={"number": 4}),
              Event(0.5, "load.start", HOSTILE, {"request": HOSTILE, "rate": 5}), *pods(HOSTILE, at=0.6),
              *pods(HOSTILE, at=0.7, kind="pod.terminate", grace=HOSTILE)]  # fmt: skip
    hops = [hop(i, 0.01 * i, evil, request_id=f"load-{i}", path=HOSTILE, method=HOSTILE) for i in range(100)]
    log = tmp / "evil.log"
    log.write_text(HOSTILE.replace("\ud800", "") + "\n" + "2026-11-23 01:30:13.1 " + "<script>\n")
    found = Finding(check=HOSTILE, outcome=Outcome.FAIL, sentence=HOSTILE, figures={})
    past = history(requests, events, hops)
    diffs = (Change(number=4, reason=HOSTILE, diff=f"+{HOSTILE}\n-{HOSTILE}"),)
    verdict = Verdict((found, *judge(past, [no_downtime()]).findings))
    told = {"name": HOSTILE, "command": HOSTILE, "provider": HOSTILE, "error": HOSTILE, "outcome": "FAIL"}
    return report(past, verdict, changes=diffs, logs={HOSTILE: log}, folder=tmp / "a' b<script>", about=told)


Sample = Callable[[], RunReport]


@functools.cache
def made(sample: Sample) -> str:
    """Its page, made once."""
    return page(sample())


PLAIN: Sequence[Sample] = (good, cut, empty, single, lost, truncated, crowded)
