"""From how a run ended to its state and the line that Flagger shows. Nothing that proves nothing passes (law 3).

    ended by a signal, over its time, an exit code that is none of its answers     UNKNOWN
    pytest   0 passed, but UNKNOWN if every test was skipped; 1 failed, but UNKNOWN if all that failed are verdicts
             UNKNOWN, errors of fixtures, of meshtest or of the machine: our trouble, not the system's, or if there is
             no whole report of them; 5 no test was collected
    k6       0 passed, if the script has thresholds; 99, 108, 110 (thresholds crossed, test.abort(), fail()) failed
    judge    0 passed; 1 failed; anything else UNKNOWN. The reason is of result.json or the last line of output

Not here: stopped by the endpoint itself (jobs.py).
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from meshtest.lib.words import plural
from meshtest.webhook import trouble
from meshtest.webhook.keeping import TIMEOUT, Ended
from meshtest.webhook.runs import RunState
from meshtest.webhook.suites import Suite
from meshtest.webhook.work import JUNIT, RESULT, SUMMARY

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

LONGEST = 200
"""Characters of a reason. Flagger puts it into an event, Kubernetes cuts those at 1,024 bytes."""
LAST = 64 * 1024
"""Bytes at the end of the output in which the last line is looked for."""
LARGEST = 16 * 1024 * 1024
"""Bytes of a report that are read, into the memory of an endpoint that others need: 100,000 tests have fewer."""
K6_FAILED = (99, 108, 110)
"""k6's errext/exitcodes: ThresholdsHaveFailed, ScriptAborted, MarkedAsFailed."""
OURS, THEIRS = "meshtest.errors.", "meshtest.errors.RolloutFailed"
"""How the exceptions of meshtest begin in a report; one of them is a verdict."""


class Said(NamedTuple):
    """A verdict."""

    state: RunState
    reason: str


def verdict(suite: Suite, folder: Path, ended: Ended) -> Said:
    if ended.why == TIMEOUT:
        return Said(RunState.UNKNOWN, f"not over after {suite.timeout:g} s, so nothing is proven")
    if ended.code < 0:
        return Said(RunState.UNKNOWN, f"ended by {_signal(-ended.code)}{_last_words(folder)}")
    state, reason = _JUDGES[suite.kind](folder, ended)
    return Said(state, line(reason))


def line(text: object, most: int = LONGEST) -> str:
    """One printable line of any text."""
    words = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return words if len(words) <= most else words[: most - 3].rstrip() + "..."


def last_line(folder: Path) -> str:
    """Of the output; "" if there is none."""
    try:
        with (folder / "output.txt").open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - LAST))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((found for found in map(line, reversed(lines)) if found), "")


def read(path: Path) -> bytes:
    """What a run has left under this name; empty if that is nothing, or too much. OSError: the machine's trouble."""
    try:
        with path.open("rb") as file:
            found = file.read(LARGEST + 1)
    except OSError as error:
        if trouble.passes(error):
            raise
        return b""
    return found if len(found) <= LARGEST else b""


def _last_words(folder: Path) -> str:
    last = last_line(folder)
    return f"; its last line: {last}" if last else ""


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


# ---- pytest


class Case(NamedTuple):
    """A test, as junit.xml tells of it."""

    name: str
    result: str
    """`passed`, `failure`, `error`, `skipped`"""
    message: str
    outcome: str
    """Of its run of meshtest: PASS, UNKNOWN, FAIL; "" if it had none."""

    @property
    def is_unproven(self) -> bool:
        """It has not passed, and does not say anything against the system."""
        ours = self.message.startswith(OURS) and not self.message.startswith(THEIRS)
        ours = ours or trouble.is_told_by(self.message)
        return self.result == "error" or (self.result == "failure" and (self.outcome == "UNKNOWN" or ours))


def _pytest(folder: Path, ended: Ended) -> Said:
    cases = list(_cases(folder / JUNIT))
    if ended.code == 0:
        return _passed(cases)
    if ended.code == 1 and (failed := [case for case in cases if case.result == "failure" and not case.is_unproven]):
        return Said(RunState.FAILED, _first(failed, cases))
    if ended.code == 1 and (unproven := [case for case in cases if case.is_unproven]):
        return Said(RunState.UNKNOWN, f"nothing is proven: {_first(unproven, cases)}")
    if ended.code == 1:  # so it ends as well if the disk is full when the report is written
        what = "no test of the report has failed" if cases else "there is no whole report of the tests"
        return Said(RunState.UNKNOWN, f"nothing is proven: pytest ended with 1, and {what}{_last_words(folder)}")
    known = {2: "was interrupted", 3: "met an internal error", 4: "was called wrongly", 5: "found no test"}
    what = known.get(ended.code, f"ended with {ended.code}")
    return Said(RunState.UNKNOWN, f"pytest {what}{_last_words(folder)}")


def _passed(cases: list[Case]) -> Said:
    skipped = [case for case in cases if case.result == "skipped"]
    if not cases:
        return Said(RunState.UNKNOWN, "pytest ended with 0, but there is no report of a test")
    if len(skipped) == len(cases):
        message = f": {skipped[0].message}" if skipped[0].message else ""
        return Said(RunState.UNKNOWN, f"nothing is proven: {_all(len(cases))} skipped{message}")
    but = f", {len(skipped)} skipped" if skipped else ""
    return Said(RunState.PASSED, f"{plural(len(cases) - len(skipped), 'test')} passed{but}")


def _all(count: int) -> str:
    return "the only test was" if count == 1 else f"all {count} tests were"


def _first(bad: list[Case], cases: list[Case]) -> str:
    others = f" ({len(bad)} of {len(cases)} tests)" if len(bad) > 1 else ""
    return line(f"{bad[0].name}: {bad[0].message}", LONGEST - 20 - len(others)) + others


def _cases(path: Path) -> Iterator[Case]:
    from xml.etree import ElementTree

    try:
        yield from map(_case, ElementTree.fromstring(read(path)).iter("testcase"))
    except ElementTree.ParseError:
        return


def _case(element: Element) -> Case:
    found = [child for child in element if child.tag in ("failure", "error", "skipped")]
    worst = min(found, key=lambda child: ("failure", "error", "skipped").index(child.tag), default=None)
    properties = {one.get("name"): one.get("value", "") for one in element.iter("property")}
    message = "" if worst is None else worst.get("message") or ""
    outcome = properties.get("meshtest.outcome", "")
    return Case(element.get("name", ""), "passed" if worst is None else worst.tag, message, outcome)


# ---- k6


def _k6(folder: Path, ended: Ended) -> Said:
    metrics = data(folder / SUMMARY).get("metrics", {})
    if ended.code in K6_FAILED:
        crossed = ", ".join(_crossed(metrics))
        return Said(RunState.FAILED, f"thresholds crossed: {crossed}" if crossed else last_line(folder))
    if ended.code != 0:
        return Said(RunState.UNKNOWN, f"k6 ended with {ended.code}{_last_words(folder)}")
    thresholds = sum(len(metric.get("thresholds", ())) for metric in metrics.values())
    if not thresholds:
        return Said(RunState.UNKNOWN, "nothing is proven: the script declares no thresholds, so k6 accepts any result")
    if not metrics.get("iterations", {}).get("count"):
        return Said(RunState.UNKNOWN, "nothing is proven: no iteration of the script was finished")
    return Said(RunState.PASSED, f"{plural(thresholds, 'threshold')} held")


def _crossed(metrics: dict[str, Any]) -> Iterable[str]:
    """In a summary, true means crossed."""
    for name, metric in sorted(metrics.items()):
        yield from (f"{name} {rule}" for rule, crossed in metric.get("thresholds", {}).items() if crossed)


# ---- the judge, and whatever else answers by its exit code

_ANSWERS = {0: RunState.PASSED, 1: RunState.FAILED}


def _code(folder: Path, ended: Ended) -> Said:
    reason = str(data(folder / RESULT).get("reason") or last_line(folder))
    state = _ANSWERS.get(ended.code, RunState.UNKNOWN)
    return Said(state, reason or f"ended with {ended.code}, without a word")


def data(path: Path) -> dict[str, Any]:
    """Of a file of JSON; empty if it is none."""
    try:
        found = json.loads(read(path))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


_JUDGES = {"tests": _pytest, "k6": _k6, "judge": _code}
