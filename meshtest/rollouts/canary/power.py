"""Would the analysis tell a bad version from a good one? Exact chances of promotion and rollback, from the traffic.

A Markov chain over the real course of the state machine (course.py, tick.py): after each interval the checks pass or
fail with the chance of their limits (limits.py, chances.py); a failed check holds the weight and is never forgotten.
Where a metric's window is longer than the interval, consecutive checks read the same requests: then the chain remembers
the counts of the last intervals, as long as those are few. What it cannot remember is drawn (draws.py); `Power.exact`
tells.

Taken as given: requests fail independently, errors and slowness too; pods are ready in time, hooks do not object.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field
from functools import cached_property
from math import floor, sqrt
from typing import Any

from meshtest.lib.dataclass import dataclass
from meshtest.model.document import Document
from meshtest.rollouts.canary import course, draws
from meshtest.rollouts.canary.chances import bad_counts, none_bad, passes
from meshtest.rollouts.canary.driver import advance
from meshtest.rollouts.canary.limits import Kind, Limit, Limits, limits
from meshtest.rollouts.canary.observations import Observations
from meshtest.rollouts.canary.spec import Canary
from meshtest.rollouts.canary.state import OVER, Phase, State
from meshtest.rollouts.canary.steps import Measure
from meshtest.rollouts.canary.traffic import Traffic

FALSE_PROMOTION, FALSE_ROLLBACK = 0.05, 0.01
"""The errors that an analysis may make, unless told otherwise."""
BAD, GOOD = 3.0, 0.1
"""Unless told otherwise, a bad version fails so many times as often as the metrics tolerate, a good one a tenth."""
SHOWN = (GOOD, 1.5, BAD, 5.0, 10.0)
MINIMUM = 0.001
"""Where nothing bad is tolerated at all, a version is bad from three in a thousand on."""
REMEMBERED = 400
"""Different pasts of one tick that the chain can carry and still answer at once."""
FEW = 4.0
"""Expected requests of an interval below which their number varies too much to be remembered as their average."""
MOST_TRAFFIC = 2.0**20
"""Times the traffic that there is, after which more of it is no answer."""
NEGLIGIBLE = 1e-15


@dataclass(frozen=True, kw_only=True)
class Version:
    """How bad a version is: shares of its requests."""

    errors: float = 0.0
    slow: float = 0.0
    """Above the bound of request-duration."""

    def rate(self, kind: Kind) -> float:
        return self.errors if kind == "errors" else self.slow


@dataclass(frozen=True, kw_only=True)
class Chances:
    """What a version has to expect."""

    version: Version
    promoted: float
    rolled_back: float
    intervals: float
    """On average, until one of them."""
    served: float
    """Requests of users that it serves until then, on average."""
    runs: int = 0
    """From so many that were drawn; 0: summed up."""

    @property
    def paid(self) -> float:
        """Users' requests that were bad until it was decided, on average."""
        return self.served * (1.0 - (1.0 - self.version.errors) * (1.0 - self.version.slow))

    @property
    def undecided(self) -> float:
        return max(0.0, 1.0 - self.promoted - self.rolled_back)


@dataclass(frozen=True)
class Node:
    """A state between two ticks, and where the next tick leads."""

    state: State
    ending: Phase | None = None
    measures: bool = False
    passed: int = 0
    failed: int = 0


@dataclass(frozen=True, kw_only=True)
class Power:
    """The chances of one Canary under one traffic."""

    canary: Canary
    limits: Limits
    traffic: Traffic
    nodes: tuple[Node, ...] = field(repr=False)
    false_promotion: float = FALSE_PROMOTION
    false_rollback: float = FALSE_ROLLBACK
    bad: Version
    good: Version
    _known: dict[tuple[Version, Traffic], Chances] = field(default_factory=dict, repr=False, compare=False)

    def of(self, version: Version, traffic: Traffic | None = None) -> Chances:
        case = (version, traffic or self.traffic)
        if case not in self._known:
            chain = _Chain(self, case[1], version)
            self._known[case] = chain.run() if chain.exact else chain.drawn()
        return self._known[case]

    @property
    def kind(self) -> Kind:
        """What the versions of the table differ in."""
        return "errors" if self.bad.errors else "slow"

    @cached_property
    def table(self) -> tuple[Chances, ...]:
        """From the good version to one ten times as bad as tolerated."""
        tolerated = max(self.limits.tolerated(self.kind) or 0.0, MINIMUM)
        rates = {round(min(1.0, tolerated * times), 12) for times in SHOWN}
        rates |= {self.bad.rate(self.kind), self.good.rate(self.kind)}
        return tuple(self.of(Version(**{self.kind: rate})) for rate in sorted(rates))

    @property
    def enough(self) -> bool:
        return self._holds(self.traffic)

    @cached_property
    def needed(self) -> float | None:
        """The factor by which traffic, or interval and windows, would have to grow; None: no factor is enough."""
        if self.enough:
            return 1.0
        low, high = 1.0, 2.0
        while not self._holds(self.traffic.times(high)):
            low, high = high, high * 2
            if high > MOST_TRAFFIC:
                return None
        while high / low > 1.05:
            middle = sqrt(low * high)
            low, high = (low, middle) if self._holds(self.traffic.times(middle)) else (middle, high)
        return high

    def _holds(self, traffic: Traffic) -> bool:
        bad = self.of(self.bad, traffic)
        return bad.promoted <= self.false_promotion and self.of(self.good, traffic).rolled_back <= self.false_rollback

    @property
    def overlap(self) -> int:
        """How many consecutive checks read one request."""
        return max((_slots(limit, self.canary) for limit in self.limits.known), default=1)

    @property
    def exact(self) -> bool:
        """Summed up, not drawn: the chain carries what overlapping windows have in common."""
        return not any(one.runs for one in self.table)

    def as_data(self) -> dict[str, Any]:
        return {
            "rps": self.traffic.rps,
            "direct_rps": self.traffic.direct,
            "kind": self.kind,
            "limits": [{"metric": one.metric, "kind": one.kind, "most": one.most, "window": one.window}
                       for one in self.limits.known],
            "not_modelled": dict(self.limits.unknown),
            "overlapping_checks": self.overlap,
            "exact": self.exact,
            "runs": None if self.exact else draws.RUNS,
            "table": [_chances_data(one, self.kind) for one in self.table],
            "false_promotion": {"of": self.bad.rate(self.kind), "is": self.of(self.bad).promoted,
                                "allowed": self.false_promotion},
            "false_rollback": {"of": self.good.rate(self.kind), "is": self.of(self.good).rolled_back,
                               "allowed": self.false_rollback},
            "enough": self.enough,
            "needed": None if self.needed is None else self._needed_data(self.needed),
        }  # fmt: skip

    def _needed_data(self, factor: float) -> dict[str, float]:
        rate, interval = self.traffic.rps + self.traffic.direct, self.canary.analysis.interval
        return {"factor": factor, "rps": rate * factor, "interval": interval * factor}


def power(
    canary: Canary,
    traffic: Traffic,
    documents: Iterable[Document] = (),
    *,
    bad: float | None = None,
    good: float | None = None,
    false_promotion: float = FALSE_PROMOTION,
    false_rollback: float = FALSE_ROLLBACK,
) -> Power | None:
    """`bad` and `good`: the shares of failed requests of the two versions to tell apart; if nothing counts failures, of
    slow ones. None: no metric is understood, or the Canary never starts."""
    known, state = limits(canary, documents), course.started(canary)
    kind: Kind = "errors" if known.of("errors") else "slow"
    tolerated = known.tolerated(kind)
    if tolerated is None or state is None:
        return None
    tolerated = max(tolerated, MINIMUM)
    return Power(
        canary=canary,
        limits=known,
        traffic=traffic,
        nodes=graph(canary, state),
        bad=Version(**{kind: round(min(1.0, BAD * tolerated), 12) if bad is None else bad}),
        good=Version(**{kind: round(GOOD * tolerated, 12) if good is None else good}),
        false_promotion=false_promotion,
        false_rollback=false_rollback,
    )


def graph(canary: Canary, start: State) -> tuple[Node, ...]:
    """All states that checks can lead to; the first is the one before the new revision is seen."""
    good, bad = course.answers(canary)
    numbers, nodes, todo = {start: 0}, dict[State, Node](), [start]

    def number(state: State) -> int:
        if state not in numbers:
            numbers[state] = len(numbers)
            todo.append(state)
        return numbers[state]

    while todo:
        state = todo.pop()
        nodes[state] = _node(canary, state, good, bad, number)
    return tuple(nodes[state] for state in numbers)


def _node(canary: Canary, state: State, good: Observations, bad: Observations, number: Callable[[State], int]) -> Node:
    if state.phase in OVER:
        return Node(state, ending=state.phase)
    passed = advance(canary, state, good)
    if not any(isinstance(done.step, Measure) for done in passed.log):
        then = number(passed.state)
        return Node(state, passed=then, failed=then)
    failed = advance(canary, state, bad)
    return Node(state, measures=True, passed=number(passed.state), failed=number(failed.state))


def _slots(limit: Limit, canary: Canary) -> int:
    """How many intervals its window covers."""
    return max(1, round(limit.window / canary.analysis.interval))


def _chances_data(chances: Chances, kind: Kind) -> dict[str, float]:
    return {
        "rate": chances.version.rate(kind),
        "promoted": chances.promoted,
        "rolled_back": chances.rolled_back,
        "intervals": chances.intervals,
        "served": chances.served,
        "paid": chances.paid,
    }


Past = tuple[tuple[float, int], ...]
"""Requests of the canary in the intervals before, and how many were bad; the youngest last."""
Memory = tuple[Past, bool]
"""With: has there ever been a bad one."""
Outcome = tuple[float, bool, Memory]
"""Chance, does the check pass, what is remembered."""


class _Chain:
    """The distribution over nodes, tick by tick."""

    def __init__(self, power: Power, traffic: Traffic, version: Version) -> None:
        self.canary, self.nodes = power.canary, power.nodes
        self.limits, self.traffic, self.version = power.limits, traffic, version
        self.interval = power.canary.analysis.interval
        self.slots = power.overlap
        self.kinds = tuple(kind for kind in _KINDS if self.limits.of(kind))
        self.needs_one = any(limit.needs_one for limit in self.limits.known)
        self.shares = [course.asked(self.canary, node.state) for node in self.nodes]
        self.cap = self._cap()
        self.remembers = self.slots > 1 and self._fits()
        self._known: dict[tuple[float, bool], tuple[float, float]] = {}

    @property
    def exact(self) -> bool:
        """Windows are shorter than the interval, or whole intervals that are remembered."""
        whole = all(
            limit.window <= self.interval or abs(limit.window / self.interval % 1) < 1e-9 for limit in self.limits.known
        )
        return whole and (self.slots == 1 or self.remembers)

    def drawn(self) -> Chances:
        found = draws.drawn(self.canary, self.nodes, self.limits.known, self.traffic, self.version)
        return Chances(version=self.version, runs=draws.RUNS, **found._asdict())

    def run(self) -> Chances:
        start: Memory = (((0.0, 0),) * (self.slots - 1) if self.remembers else (), False)
        at: dict[tuple[int, Memory], float] = {(0, start): 1.0}
        ended = dict.fromkeys(OVER, 0.0)
        intervals = served = 0.0
        for tick in range(len(self.nodes) + 1):
            following: dict[tuple[int, Memory], float] = defaultdict(float)
            for (number, memory), chance in at.items():
                node = self.nodes[number]
                if node.ending:
                    ended[node.ending] += chance
                    intervals += chance * (tick - 1)
                    continue
                served += chance * course.exposed(self.canary, node.state) * self.traffic.rps * self.interval
                for part, passed, remembered in self._outcomes(node, memory):
                    if chance * part > NEGLIGIBLE:
                        following[(node.passed if passed else node.failed), remembered] += chance * part
            at = following
        return Chances(
            version=self.version,
            promoted=min(1.0, ended[Phase.SUCCEEDED]),
            rolled_back=min(1.0, ended[Phase.FAILED]),
            intervals=intervals,
            served=served,
        )

    def _outcomes(self, node: Node, memory: Memory) -> Iterator[Outcome]:
        """Of the interval that follows a state, and of the tick at its end."""
        if self.remembers:
            yield from self._remembered(node, memory)
        elif not node.measures:
            yield 1.0, True, memory
        else:
            yield from self._independent(node, memory)

    # -- each check has requests of its own

    def _independent(self, node: Node, memory: Memory) -> Iterator[Outcome]:
        seen = memory[1] or not self.needs_one
        passed, nothing = self._check(course.asked(self.canary, node.state), seen)
        if seen:
            yield passed, True, ((), True)
            yield 1.0 - passed, False, ((), True)
        else:
            yield passed, True, ((), True)
            yield max(0.0, 1.0 - passed - nothing), False, ((), True)
            yield nothing, False, ((), False)

    def _check(self, share: float, seen: bool) -> tuple[float, float]:
        """The chances that all limits accept, and that nothing bad happened."""
        found = self._known.get((share, seen))
        if found is None:
            passed, nothing = 1.0, 1.0
            for kind, window, together in self._groups():
                arrivals, rate = self.traffic.arrivals(share, window), self.version.rate(kind)
                passed *= passes(together, arrivals, rate, seen_bad=seen)
                nothing = min(nothing, none_bad(arrivals, rate)) if kind == "errors" else nothing
            found = self._known[share, seen] = (passed, nothing)
        return found

    def _groups(self) -> Iterator[tuple[Kind, float, Sequence[Limit]]]:
        """Limits that read the same requests."""
        for kind in self.kinds:
            found = self.limits.of(kind)
            for window in sorted({limit.window for limit in found}):
                yield kind, window, [limit for limit in found if limit.window == window]

    # -- windows overlap

    def _remembered(self, node: Node, memory: Memory) -> Iterator[Outcome]:
        past, seen = memory
        arrivals = self.traffic.arrivals(course.asked(self.canary, node.state), self.interval).expected
        for bad, chance in bad_counts(arrivals, self._rate, self.cap):
            window, known = (*past, (arrivals, bad)), seen or bad > 0
            passed = node.measures and self._accept(window, known)
            yield chance, passed or not node.measures, (window[1:], known)

    def _accept(self, window: Past, seen: bool) -> bool:
        for limit in self.limits.known:
            own = window[-_slots(limit, self.canary) :]
            requests = sum(count for count, _ in own)
            bad = sum(bad for _, bad in own) if limit.kind == self._kind else 0
            if (limit.needs_one and not seen) or not limit.accepts(bad, requests):
                return False
        return True

    @property
    def _kind(self) -> Kind:
        """Only one kind of badness is remembered."""
        return "errors" if self.version.errors else "slow"

    @property
    def _rate(self) -> float:
        return self.version.rate(self._kind)

    def _cap(self) -> int:
        """So many bad requests in one interval are too many for every window."""
        busiest = max(self.shares)
        found = [limit for limit in self.limits.known if limit.kind == self._kind]
        most = [limit.most * self.traffic.arrivals(busiest, limit.window).expected for limit in found]
        return floor(max(most, default=0.0)) + 1

    def _fits(self) -> bool:
        both = self.version.errors > 0 and self.version.slow > 0
        return not both and self._many() and (self.cap + 1) ** (self.slots - 1) <= REMEMBERED

    def _many(self) -> bool:
        """What is remembered is the average number of requests: right where each weight gets exactly its share, and
        near where there are some."""
        least = min((share for share in self.shares if share), default=1.0)
        arrivals = self.traffic.arrivals(least, self.interval)
        return arrivals.share == 1.0 or arrivals.expected >= FEW


_KINDS: tuple[Kind, ...] = ("errors", "slow")
