"""What a run did, as steps within each other: applies and shifts, faults, loads, named steps, judgements. Pure.

A step is red where requests failed in it, where a split was not as intended, or where a configuration was rejected, but
only in a test that did not pass: what fails in one that passed was meant to.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from meshtest.lib.figures import percent, seconds
from meshtest.lib.words import plural
from meshtest.model import tables
from meshtest.model.history import Event, History
from meshtest.model.request import Requests
from meshtest.model.verdict import Outcome
from meshtest.reporters.html.material import Material, natural
from meshtest_allure.intervals import nested

Status = Literal["passed", "failed", "broken", "unknown"]

_STATUS: Mapping[str, Status] = {"PASS": "passed", "UNKNOWN": "unknown", "FAIL": "failed"}


class Step(NamedTuple):
    """Times are seconds of the run."""

    name: str
    start: float
    end: float
    status: Status = "passed"
    why: str = ""
    """Why it is not passed."""
    facts: Mapping[str, str] = {}
    """What was seen in it: requests, failed, the share of each version."""
    diff: str = ""
    """What it changed in the configuration."""
    load: str = ""
    """Of a load: its name. It answers for its own requests only."""
    steps: Sequence[Step] = ()


def steps(material: Material, *, passed: bool) -> list[Step]:
    """Those that lie in no other; `passed` is the test's outcome."""
    history, trouble = material.history, _Trouble(material)
    diffs = {change.number: change.diff for change in material.report.changes}
    found = [*_named(history), *_changes(history, diffs), *_faults(history), *_loads(history), *_verdicts(history)]
    told = [_green(step) if passed else trouble.blamed(step) for step in map(trouble.counted, found)]
    return _trees(nested(told, lambda step: (step.start, step.end)))


def _trees(pairs: Sequence[tuple[Step, Step | None]]) -> list[Step]:
    """From each step and the one that contains it; by identity, as two steps may be equal."""
    inner: dict[int, list[Step]] = {}
    for step, outer in pairs:
        inner.setdefault(id(outer), []).append(step)

    def grown(step: Step) -> Step:
        return step._replace(steps=[*map(grown, inner.get(id(step), [])), *step.steps])

    return [grown(step) for step in inner.get(id(None), [])]


def _green(step: Step) -> Step:
    return step._replace(status="passed", why="", steps=[_green(one) for one in step.steps])


# ---- from events


def _ended(history: History, start: str, end: str, by: str = "") -> Iterator[tuple[Event, Event | None]]:
    """Each beginning with its end: the next one of the same subject (or of `data[by]`). One that a crash left open has
    none."""
    open_ones: dict[object, list[Event]] = {}
    for event in history.of(start, *end.split()):
        same = event.data.get(by) if by else event.subject
        if event.kind == start:
            open_ones.setdefault(same, []).append(event)
        elif open_ones.get(same):
            yield open_ones[same].pop(), event
    for left in open_ones.values():
        yield from ((event, None) for event in left)


def _last(history: History) -> float:
    return max((event.at for event in history.events), default=0.0)


def _named(history: History) -> Iterator[Step]:
    for start, end in _ended(history, "step.start", "step.end"):
        until = end.at if end else _last(history)
        facts = _served(history.requests.between(start.at, until))
        yield Step(start.subject, start.at, until, facts=facts)


def _changes(history: History, diffs: Mapping[int, str]) -> Iterator[Step]:
    """A change of the configuration lasts until every proxy has acknowledged it."""
    for asked, answer in _ended(history, "config.apply", "config.ack config.rejected", by="number"):
        name, diff = str(asked.data.get("reason", "apply")), diffs.get(asked.data.get("number", 0), "")
        if answer is None:
            yield Step(name, asked.at, _last(history), "broken", "nobody acknowledged it", diff=diff)
        elif answer.kind == "config.rejected":
            yield Step(name, asked.at, answer.at, "broken", f"rejected: {answer.data.get('text', '')}", diff=diff)
        else:
            yield Step(name, asked.at, answer.at, diff=diff)


def _faults(history: History) -> Iterator[Step]:
    for start, end in _ended(history, "fault.start", "fault.end"):
        until = end.at if end else _last(history)
        facts = _served(history.requests.between(start.at, until))
        if end:
            evidence = end.data.get("evidence") or {}
            facts["bit"] = ", ".join(f"{name} {count}" for name, count in evidence.items()) or "never"
        yield Step(f"fault in {start.subject}: {_fault(start.data.get('fault') or {})}", start.at, until, facts=facts)


def _fault(fault: Mapping[str, Any]) -> str:
    """`delay 800 ms, abort 503 for 30 % of requests with x-test: slow`"""
    what = [f"delay {seconds(fault['delay'])}"] if fault.get("delay") else []
    what += [f"abort {fault['abort']}"] if fault.get("abort") else []
    share = fault.get("percent", 100)
    headers = ", ".join(f"{name}: {value}" for name, value in (fault.get("headers") or {}).items())
    whom = f"for {share:g} % of requests" if share < 100 else "for every request"
    return " ".join([", ".join(what), whom, *([f"with {headers}"] if headers else [])]).strip()


def _loads(history: History) -> Iterator[Step]:
    for start, end in _ended(history, "load.start", "load.end"):
        until = end.at if end else _last(history)
        facts = _served(history.requests.of_load(start.subject))
        name = f"load {start.subject}: {_load(start.data)}"
        step = Step(name, start.at, until, facts=facts, load=start.subject)
        if end is None:
            step = step._replace(status="unknown", why="its end was not recorded")
        elif end.data.get("error"):
            step = step._replace(status="broken", why=str(end.data["error"]))
        yield step


def _load(data: Mapping[str, Any]) -> str:
    """`GET http://web/ at 200/s`"""
    what = str(data.get("request") or data.get("target") or data.get("engine", ""))
    if data.get("rate"):
        return f"{what} at {data['rate']:g}/s"
    return f"{what}, {plural(data['concurrency'], 'user')}" if data.get("concurrency") else what


def _verdicts(history: History) -> Iterator[Step]:
    """Each judgement, with what its checks found."""
    for event in history.of("verdict"):
        judged, at = event.data, event.at
        found = [
            Step(f"{one['check']}: {one['sentence']}", at, at, _STATUS[one["outcome"]])
            for one in judged.get("findings", ())
        ]
        yield Step(f"judge: {judged['sentence']}", at, at, _STATUS[judged["outcome"]], steps=found)


def _served(requests: Requests) -> dict[str, str]:
    """`{"requests": "500", "web/v1": "90.2 %", "web/v2": "9.8 %"}`"""
    versions = Counter[str]()
    for kind, count in requests.tally().items():
        versions[tables.label(requests, kind.origin)] += count
    shares = {version: percent(count / len(requests)) for version, count in versions.items() if version}
    return {"requests": str(len(requests)), **dict(sorted(shares.items(), key=lambda one: natural(one[0])))}


# ---- what went wrong, and when


class _Trouble:
    """Failed requests and splits that were not as intended, in order of time."""

    def __init__(self, material: Material) -> None:
        self._material, requests = material, material.requests
        self._lost = sorted((requests.second(requests.began[position]), position) for position in material.lost)
        self._splits = [
            (float(window["start"]), finding.sentence)
            for finding in material.report.verdict.findings
            for window in finding.figures.get("windows", ())
            if window.get("outcome") == Outcome.FAIL.name
        ]

    def counted(self, step: Step) -> Step:
        """With how many failed, where it says how many requests there were."""
        if "requests" not in step.facts or not (lost := self._lost_in(step)):
            return step
        return step._replace(facts={"requests": step.facts["requests"], "failed": str(len(lost)), **step.facts})

    def blamed(self, step: Step) -> Step:
        """Red, if it went well but for what happened in it."""
        if step.status == "passed" and (why := self._failures(step) or self._split(step)):
            return step._replace(status="failed", why=why)
        return step

    def _lost_in(self, step: Step) -> list[tuple[float, int]]:
        """A load's own are its own, also those that it sent before it could say that it had begun."""
        if step.load:
            return [(at, i) for at, i in self._lost if self._load_of(i) == step.load]
        first, last = (bisect_left(self._lost, (at, -1)) for at in (step.start, step.end))
        return self._lost[first:last]

    def _load_of(self, position: int) -> str:
        requests = self._material.requests
        return requests.origins[requests.served[position]][0]

    def _failures(self, step: Step) -> str:
        if not (lost := self._lost_in(step)):
            return ""
        at, position = lost[0]
        told = self._material.told(position)
        what = f"{told.kind}, {told.who}" if told.who else told.kind
        return f"{plural(len(lost), 'request')} failed in it, first at t={at:.3f}s ({what})"

    def _split(self, step: Step) -> str:
        """Its window begins when the change is in force, which is the end of that step and inside those around it."""
        return next((why for start, why in self._splits if step.start <= start < step.end), "")
