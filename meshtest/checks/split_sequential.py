"""Did the versions get their shares, decided as soon as it can be: these weights against those.

Wald's sequential test. The likelihood ratio of the two hypotheses is followed request by request; the first bound that
it crosses decides, and stays the decision. For 1 % against 2 % that takes 1,445 requests on average where a test of a
fixed number needs 3,504. In between (1.5 %) either answer may come, later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import exp, inf, log
from typing import Any, ClassVar

from meshtest.checks.arms import Arms, arms, within
from meshtest.checks.base import BaseCheck
from meshtest.checks.rates import rate
from meshtest.checks.share import Share
from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import percent
from meshtest.lib.sequential import Sprt, confidence_sequence
from meshtest.model.history import History
from meshtest.model.verdict import Finding, Outcome


@dataclass(frozen=True, kw_only=True)
class SplitSequential(BaseCheck):
    """Versions of `host` were served as `weights` say, not as `against` does."""

    name: ClassVar[str] = "split_sequential"
    sequential: ClassVar[bool] = True
    host: str
    weights: Mapping[str, float]
    against: Mapping[str, float]
    """The wrong shares that must be found."""
    alpha: float = 0.01
    """How often right shares may be called wrong, at any number of looks."""
    beta: float = 0.01
    """How often the wrong ones may pass."""
    step: str = ""
    """Only the requests of this step."""

    def __post_init__(self) -> None:
        for name in ("weights", "against"):
            value = getattr(self, name)
            if not value or min(value.values()) < 0 or not sum(value.values()):
                raise UsageError(f"{name} {dict(value)!r}: versions and their shares, one of them above 0")
        if _shares(self.weights) == _shares(self.against):
            raise UsageError(f"weights and against are the same shares: {dict(self.weights)!r}")
        rate(self.alpha, "alpha")
        rate(self.beta, "beta")

    def judge(self, history: History) -> Finding:
        seen = arms(within(history, self.step), self.host)
        if not len(seen):
            return self.finding(Outcome.UNKNOWN, f"no request is known to have been served by {self.host}", n=0)
        lower, upper = self._bounds()
        ratio, decided = self._follow(seen, lower, upper)
        counts = Counter(seen.versions[: decided or None])
        version, figures = self._told(counts)
        outcome = Outcome.UNKNOWN if not decided else Outcome.FAIL if ratio >= upper else Outcome.PASS
        intended, other = _shares(self.weights).get(version, 0.0), _shares(self.against).get(version, 0.0)
        share = Share(counts[version], counts.total())
        how = {
            Outcome.PASS: f"{percent(intended)} as intended, not {percent(other)}",
            Outcome.FAIL: f"not the intended {percent(intended)}; {percent(other)} is {_times(ratio)} likelier",
            Outcome.UNKNOWN: f"not decided between {percent(intended)} and {percent(other)}{self._takes()}",
        }
        figures |= {"evidence": ratio if abs(ratio) < inf else None, "decided_after": decided or None}
        return self.finding(outcome, f"{self.host} {version} got {share}: {how[outcome]}", **figures)

    def _bounds(self) -> tuple[float, float]:
        sprt = self._two()
        return sprt.bounds if sprt else (log(self.beta), -log(self.alpha))

    def _two(self) -> Sprt | None:
        """If there are two versions only: the test of the one that the wrong shares favour."""
        right, wrong = _shares(self.weights), _shares(self.against)
        if len(right.keys() | wrong.keys()) != 2 or min(*right.values(), *wrong.values(), 1.0) <= 0:
            return None
        version = next(v for v in right if wrong.get(v, 0.0) > right[v])
        return Sprt(right[version], wrong[version], self.alpha, self.beta)

    def _takes(self) -> str:
        sprt = self._two()
        if sprt is None:
            return ""
        return f"; it takes {sprt.course(sprt.p0).requests:.0f} requests on average"

    def _follow(self, seen: Arms, lower: float, upper: float) -> tuple[float, int]:
        """The log likelihood ratio when a bound was crossed, and after how many requests (0: none was)."""
        right, wrong = _shares(self.weights), _shares(self.against)
        step = {v: _log_ratio(wrong.get(v, 0.0), right.get(v, 0.0)) for v in {*seen.versions, *right, *wrong}}
        ratio = 0.0
        for n, version in enumerate(seen.versions, 1):
            ratio += step[version]
            if not lower < ratio < upper:
                return ratio, n
        return ratio, 0

    def _told(self, counts: Counter[str]) -> tuple[str, dict[str, Any]]:
        """The version whose share is in question, and what was seen of it."""
        right, wrong = _shares(self.weights), _shares(self.against)
        n = counts.total()
        strays = [v for v in counts if not right.get(v)]
        most = max(right.keys() | wrong.keys(), key=lambda v: (wrong.get(v, 0.0) - right.get(v, 0.0), v))
        version = strays[0] if strays else most
        low, high = confidence_sequence(counts[version], n, self.alpha)
        intended = right.get(version, 0.0)
        return version, {
            "n": n, "observed": dict(counts), "intended": right, "effect": counts[version] / n - intended,
            "interval": [low - intended, high - intended],
        }  # fmt: skip


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {version: weight / total for version, weight in sorted(weights.items())}


def _log_ratio(wrong: float, right: float) -> float:
    """A version that was meant to get nothing is proof against it."""
    if right <= 0:
        return inf
    return log(wrong / right) if wrong > 0 else -inf


def _times(ratio: float) -> str:
    return "infinitely" if ratio == inf else f"{exp(min(ratio, 700.0)):.3g} times"


split_sequential = SplitSequential
