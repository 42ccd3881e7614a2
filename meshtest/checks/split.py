"""Did the versions get the shares they were meant to get?

Two versions are one exact two-sided binomial test. More are a binomial test a version, whose p-values are made exact
for all of them together by the multinomial distribution (lib/multinomial.py). A G-test would be one test for all, but
its p-value is an approximation where a canary's 1 % makes expected counts small, and it cannot say which is off.
The declared error is also divided among the windows between changes, so it holds for the whole finding.

It is judged once, at its end; to look again and again until it is decided, ask split_sequential.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from meshtest.checks.base import BaseCheck
from meshtest.checks.share import SURE, Share, compare, fine
from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.multinomial import family_p
from meshtest.lib.stats import interval, needed, power
from meshtest.model.history import Event, History, same_host
from meshtest.model.sightings import Sightings, sightings
from meshtest.model.verdict import Finding, Outcome


@dataclass(frozen=True)
class Window:
    """A time in which the shares were known: from one configuration's acknowledgement to the next one's start."""

    label: str
    start: float
    end: float
    shares: Mapping[str, float]
    """Version to weight; only the proportions count."""
    standing: bool = False
    """It was in force before the first request: what a change started from. A test that moves traffic at once leaves it
    a request or two by chance, and nobody asked to verify it: it can fail the check, but not hold it."""


@dataclass(frozen=True, kw_only=True)
class Split(BaseCheck):
    """Versions of `host` served in the given proportions, or in those of each `config.apply`."""

    name: ClassVar[str] = "split"
    host: str
    weights: Mapping[str, float] | None = None
    error: float = 0.001
    """How often a mesh that is right may be called wrong."""
    resolution: float | None = None
    """A difference (0.05 = 5 points) that must have been found with power 0.99; by default see share.least."""

    def __post_init__(self) -> None:
        if not 0 < self.error < 1:
            raise UsageError(f"error {self.error!r}: a probability, such as 0.001")
        if self.weights is not None and (
            not self.weights or min(self.weights.values()) < 0 or not sum(self.weights.values())
        ):
            raise UsageError(f"weights {dict(self.weights)!r}: versions and their shares, one of them above 0")

    def judge(self, history: History) -> Finding:
        seen = sightings(history, self.host)
        if not seen:
            text = f"no request is known to have been served by {self.host}; was it called, does the provider log hops?"
            return self.finding(Outcome.UNKNOWN, text, windows=[])
        windows = [w for w in self._windows(history) if _counts(w, seen)]
        if not windows:
            return self.finding(Outcome.UNKNOWN, f"no shares of {self.host} were set while it was called", windows=[])
        answers = [self._judge(window, seen, self.error / len(windows)) for window in windows]
        figures = [told for _, _, told in answers]
        if len(windows) > 1 and windows[0].standing and answers[0][0] is Outcome.UNKNOWN:
            del answers[0]
        outcome = max(outcome for outcome, _, _ in answers)
        if outcome is Outcome.PASS and len(answers) > 1:
            return self.finding(outcome, self._kept(figures[-len(answers) :]), windows=figures)
        return self.finding(outcome, _joined([t for each, t, _ in answers if each is outcome]), windows=figures)

    def _kept(self, windows: Sequence[Mapping[str, Any]]) -> str:
        n = sum(window["n"] for window in windows)
        least_likely = min(p for window in windows for p in window["p_values"].values())
        return f"{self.host} kept its shares in {len(windows)} windows ({n} requests, smallest p = {least_likely:.2g})"

    def _windows(self, history: History) -> list[Window]:
        if self.weights is not None:
            return [Window("", history.start, history.end, self.weights)]
        applied = [e for e in history.of("config.apply", "config.ack", "config.rejected") if e.at < history.end]
        return list(_between_changes(applied, self.host, history))

    def _judge(self, window: Window, seen: Sightings, error: float) -> tuple[Outcome, str, dict[str, Any]]:
        counts = _counts(window, seen)
        n, total = sum(counts.values()), sum(window.shares.values())
        intended = {version: weight / total for version, weight in window.shares.items()}
        tested = _tested(intended, counts)
        positive = tuple(share for share in intended.values() if share > 0)
        family = partial(family_p, n=n, shares=positive) if len(tested) > 1 else float
        answers = {
            version: compare(Share(counts[version], n), p, error, self.resolution, tests=len(tested), adjusted=family)
            for version, p in tested.items()
        }
        outcome = max(answer.outcome for answer in answers.values())
        version, answer = max(answers.items(), key=lambda item: (item[1].outcome, -item[1].p_value, -tested[item[0]]))
        p = tested[version]
        sharp = needed(p, fine(p), error / len(tested), SURE)
        text = f"{window.label}{self.host} {version} got {answer.reason}"
        if outcome is Outcome.PASS and n < sharp:
            text += f", {sharp} requests would tell {fine(p) * 100:g} points"
        figures = {
            "window": window.label.removesuffix(": "), "start": window.start, "end": min(window.end, seen.last),
            "n": n, "observed": dict(counts), "intended": dict(intended),
            "p_values": {v: a.p_value for v, a in answers.items()}, "enough": answer.enough, "sharp": sharp,
            "effect": counts[version] / n - p, "interval": [bound - p for bound in interval(counts[version], n)],
            "difference": fine(p), "power": _power(n, p, error / len(tested)), "outcome": outcome.name,
        }  # fmt: skip
        return outcome, text, figures


def _power(n: int, p: float, error: float) -> float:
    """How likely a difference worth telling (share.fine) would have been found; of the two directions the worse."""
    others = [other for other in (p - fine(p), p + fine(p)) if 0 <= other <= 1]
    return min(power(n, p, other, error) for other in others)


def _counts(window: Window, seen: Sightings) -> Counter[str]:
    """Choices by version that were surely made in the window. In one without any, the host was not called."""
    return seen.count(window.start, seen.settled(window.start, window.end))


def _tested(intended: Mapping[str, float], counts: Mapping[str, int]) -> dict[str, float]:
    """Version and share of each test: strangers are meant to get nothing; of two versions one says all."""
    strangers = {version: 0.0 for version in counts if version not in intended}
    if len(intended) == 2 and not strangers:
        version = min(intended, key=lambda v: intended[v])
        return {version: intended[version]}
    return {**intended, **strangers}


def _between_changes(events: Sequence[Event], host: str, history: History) -> list[Window]:
    """Each configuration from its ack to the next apply that gives other shares; one that was rejected leaves the one
    before in force."""
    windows: list[Window] = []
    first = history.requests[0].at if history.requests else history.end
    for position, event in enumerate(events):
        if event.kind == "config.apply":
            continue
        if event.kind == "config.ack":
            shares = _shares_at(events[:position], event, host)
            label = f"config {event.data.get('number', '?')}: "
        end = next((e.at for e in events[position:] if e.kind == "config.apply"), history.end)
        if windows and windows[-1].shares == shares:
            windows[-1] = replace(windows[-1], end=end)  # it changed something else
        elif shares:
            standing = event.at <= first and not windows
            windows.append(Window(label, max(event.at, history.start), end, shares, standing))
    return windows


def _shares_at(before: Sequence[Event], ack: Event, host: str) -> Mapping[str, float]:
    """What the configuration that is acknowledged here asked for."""
    for event in reversed(before):
        if event.kind == "config.apply" and event.data.get("number") == ack.data.get("number"):
            asked = event.data.get("shares") or {}
            return next((dict(s) for name, s in asked.items() if same_host(name, host)), {})
    return {}


def _joined(texts: Sequence[str]) -> str:
    return "; ".join(texts[:3]) + (f"; and {len(texts) - 3} more windows" if len(texts) > 3 else "")


split = Split
