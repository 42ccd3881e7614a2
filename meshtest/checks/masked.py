"""Masked outages: no error, because a proxy tried again; only the number of attempts and the latency show it.

Two signs, clustered to windows as failures are:
- attempts > 1, as the entry proxy counts them (header) or a proxy deeper in the mesh (hops): certain;
- a step in the latency beyond SLOW times the usual and by more than BACK_OFF: for a proxy that does not tell. A lone
  slow request, or a tail that is always slow, is none: a window needs two, and a good part of its requests.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Mapping
from itertools import compress, count
from typing import Any, ClassVar

from meshtest.checks.base import BaseCheck
from meshtest.checks.budget import Amount, Budget
from meshtest.checks.outages import Seen, around
from meshtest.checks.overload import saturated
from meshtest.checks.windows import Window, find
from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import percent, seconds
from meshtest.lib.stats import median
from meshtest.lib.words import listed, plural
from meshtest.model.history import History, Hops
from meshtest.model.record import ANSWERED, NEVER, NOT_SENT, TICK_NS
from meshtest.model.request import Requests
from meshtest.model.verdict import Finding, Outcome

SLOW = 5.0
BACK_OFF = 0.025
"""Seconds; Envoy's base interval before a retry, which Istio keeps: it waits for up to this before the first."""
PART = 0.2
"""Of a window's requests must be slow for a step; a tail of 5 % that is always there is not one."""
SAMPLE = 20_000
"""Requests from which the usual latency is taken: a median does not need a million."""


@dataclass(frozen=True)
class MaskedOutage:
    """Requests that were saved, or held up, together."""

    window: Window
    retried: int
    slow: int
    worst: float
    """Seconds from its sending; of the slowest."""
    around: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        window = self.window
        return {
            "load": window.load, "start": window.first, "seconds": window.seconds, "at_least": window.at_least,
            "at_most": window.at_most, "requests": len(window.positions), "share": window.share,
            "retried": self.retried, "slow": self.slow, "worst": self.worst, "around": list(self.around),
        }  # fmt: skip

    def __str__(self) -> str:
        when = f"t={self.window.first:.3f}s for {seconds(self.window.seconds)}"
        return f"{when}: {told(self.retried, self.slow, self.worst)}"


def told(retried: int, slow: int, worst: float) -> str:
    """`12 requests were saved by a retry, the slowest took 23 ms`."""
    saved = f"{plural(retried, 'request')} {'was' if retried == 1 else 'were'} saved by a retry"
    held = f"{plural(slow, 'request')} {'was' if slow == 1 else 'were'} held up"
    return f"{saved if retried else held}, the slowest took {seconds(worst)}"


def masked_outages(seen: History | Seen) -> list[MaskedOutage]:
    """Of a history, or of a load: windows of answered requests that were retried or held up, in order of time."""
    history = seen if isinstance(seen, History) else seen.history
    retried, slow = _retried(history), _slow(history.requests)
    found = []
    for window in find(history.requests, retried | slow.keys()):
        hit = set(window.positions)
        few = len(hit) < 2 or len(hit) < PART * window.sends
        if retried.isdisjoint(hit) and few:
            continue
        worst = max(_service_time(history.requests, position) for position in hit)
        happened = tuple(around(history, window))
        found.append(MaskedOutage(window, len(retried & hit), len(slow.keys() & hit), worst, happened))
    return found


def _retried(history: History) -> set[int]:
    """Positions of good answers that took more than one attempt somewhere."""
    requests = history.requests
    found = set(requests.where(lambda kind: kind.attempts > 1 and not kind.failed))
    deeper = history.hops.retried() if isinstance(history.hops, Hops) else _ids(history)
    if deeper:
        names = [load for load, _ in requests.origins]
        ids = enumerate(zip(requests.served, requests.indices, strict=True))
        found |= {i for i, (origin, n) in ids if f"{names[origin]}-{n}" in deeper and _good(requests, i)}
    return found


def _ids(history: History) -> Collection[str]:
    return {hop.request_id for hop in history.hops if hop.attempts > 1}


def _good(requests: Requests, position: int) -> bool:
    return requests.fates[position] == ANSWERED and requests.statuses[position] < 500


def _slow(requests: Requests) -> Mapping[int, float]:
    """Positions of good answers that took much longer than is usual for who served them; and how long."""
    limits = {origin: _limit(usual) for origin, usual in _usual(requests).items()}
    if not limits:
        return {}
    floor = int(min(limits.values()))
    done = array("I", requests.done.tobytes())
    sent, served, found = requests.sent, requests.served, {}
    for i in compress(count(), map(floor.__lt__, done)):
        took = done[i] - min(sent[i], done[i])
        if done[i] != NEVER and took > limits.get(served[i], floor) and _good(requests, i):
            found[i] = took * TICK_NS / 1e9
    return found


def _usual(requests: Requests) -> dict[int, float]:
    """By origin, the median of the time from sending to answer, in ticks."""
    step = max(1, len(requests) // SAMPLE)
    groups: dict[int, list[int]] = {}
    columns = (requests.sent[::step], requests.done[::step], requests.served[::step])
    for sent, done, origin in zip(*columns, strict=True):
        if done != NEVER != sent:
            groups.setdefault(origin, []).append(done - sent)
    return {origin: median(values) for origin, values in groups.items()}


def _limit(usual: float) -> float:
    return max(SLOW * usual, usual + BACK_OFF * 1e9 / TICK_NS)


def _service_time(requests: Requests, position: int) -> float:
    return (requests.done[position] - min(requests.sent[position], requests.done[position])) * TICK_NS / 1e9


@dataclass(frozen=True, kw_only=True)
class Masked(BaseCheck):
    """No request was saved by a retry or held up as if it had been. `budget` as that of no_downtime."""

    name: ClassVar[str] = "masked"
    budget: Amount = 0

    def __post_init__(self) -> None:
        Budget.parse(self.budget)

    def judge(self, history: History) -> Finding:
        requests = history.requests
        sent = len(requests) - requests.fates.count(NOT_SENT)
        if not sent:
            return self.finding(Outcome.UNKNOWN, "no request was sent; was a load running?", n=0)
        found = masked_outages(history)
        figures = summed(found) | {"n": sent, "windows": [each.as_data() for each in found[:20]]}
        budget = Budget.parse(self.budget)
        windows = [each.window for each in found]
        outcome = budget.judge(figures["requests"], sent, windows)
        if outcome is Outcome.FAIL:
            return self.finding(outcome, f"{sentence(found)} (of {plural(sent, 'request')})", **figures)
        if outcome is Outcome.UNKNOWN:
            return self.finding(outcome, budget.undecided(windows), **figures)
        if saturated(history):
            return self.finding(Outcome.UNKNOWN, saturated(history), **figures)
        within = f"; {sentence(found)}, within the budget of {budget}" if found else ""
        return self.finding(Outcome.PASS, f"{_clean(history, sent, figures['requests'])}{within}", **figures)


def _clean(history: History, sent: int, hit: int) -> str:
    counted = max(history.requests.attempts, default=0) > 0
    how = "at the first attempt" if counted else "without a step in latency (no proxy told its attempts)"
    return f"{sent - hit} of {plural(sent, 'request')} went {how}"


def summed(found: Collection[MaskedOutage]) -> dict[str, Any]:
    """All windows together; `interval` bounds their length in seconds."""
    windows = [each.window for each in found]
    return {
        "requests": sum(len(window.positions) for window in windows),
        "retried": sum(each.retried for each in found),
        "slow": sum(each.slow for each in found),
        "effect": sum(window.seconds for window in windows),
        "interval": [sum(w.at_least for w in windows), sum(w.at_most for w in windows)],
        "worst": max((each.worst for each in found), default=0.0),
    }


def sentence(found: Collection[MaskedOutage]) -> str:
    """`12 requests were saved by a retry, the slowest took 23 ms, in 1 masked outage of 5.0 ms (...)`."""
    figures = summed(found)
    longest = max(found, key=lambda each: each.window.seconds)
    window = longest.window
    part = "" if window.share == 1 else f", {percent(window.share)} of the traffic"
    happened = f"; {listed(longest.around, most=2)}" if longest.around else ""
    return (
        f"{told(figures['retried'], figures['slow'], figures['worst'])}, in {plural(len(found), 'masked outage')}, "
        f"longest {seconds(window.seconds)} at t={window.first:.3f}s{part}{happened}"
    )


masked = Masked
