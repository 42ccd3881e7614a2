"""A counted share, and whether it is about what was intended: `assert load.share("v2") == about(10)`."""

from __future__ import annotations

from collections.abc import Callable

from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import percent
from meshtest.lib.stats import binomial_test, interval, needed
from meshtest.model.history import same_host
from meshtest.model.request import Requests
from meshtest.model.verdict import Outcome

SURE = 0.99
"""Power: a difference that matters is found with this probability."""
COARSE = 0.25
"""See `least`."""
STRAY = 0.05


def fine(p: float) -> float:
    """The difference worth telling: 5 points, or half the share (of the rarer side) if that is less."""
    return min(0.05, min(p, 1 - p) / 2) or STRAY


def least(p: float, error: float, resolution: float | None = None) -> int:
    """Requests below which a share proves nothing.

    They must tell p from p - d and p + d with power SURE, where d is `resolution` or, if that is not given, p itself
    (the rarer side's; 25 points at most): a version that gets nothing, or twice its share, would have been found. For a
    share of 0 or 100 %: a stray 5 % would have been seen.
    """
    return needed(p, resolution or min(p, 1 - p, COARSE) or STRAY, error, SURE)


@dataclass(frozen=True)
class Share:
    """`hits` of `n` requests."""

    hits: int
    n: int

    @property
    def percent(self) -> float:
        return 100 * self.hits / self.n if self.n else float("nan")

    def interval(self, confidence: float = 0.99) -> tuple[float, float]:
        """Percentages between which the true share lies (exact, Clopper-Pearson)."""
        low, high = interval(self.hits, self.n, confidence)
        return 100 * low, 100 * high

    def __repr__(self) -> str:
        return f"{percent(self.hits / self.n)} ({self.hits} of {self.n})" if self.n else "nothing (0 of 0)"


@dataclass(frozen=True)
class Answer:
    """How a share compares with what was intended."""

    outcome: Outcome
    p_value: float
    enough: int
    """Requests below which the answer would be UNKNOWN."""
    reason: str


def compare(
    share: Share,
    p: float,
    error: float,
    resolution: float | None = None,
    *,
    tests: int = 1,
    adjusted: Callable[[float], float] = lambda p_value: p_value,
) -> Answer:
    """The exact two-sided binomial test, three-valued: a rejection counts at any n, an acceptance from `least` on.

    Of several tests, `adjusted` makes the p-value of all of one; how many requests it takes is planned with the error
    divided by their number, which is on the safe side.
    """
    enough = least(p, error / tests, resolution)
    p_value = adjusted(binomial_test(share.hits, share.n, p))
    text = f"{share}, intended {percent(p)}"
    if p_value < error:
        chance = f"p = {p_value:.2g}" if 0 < p < 1 else "any stray is one too many"
        return Answer(Outcome.FAIL, p_value, enough, f"{text} ({chance})")
    if share.n < enough:
        return Answer(Outcome.UNKNOWN, p_value, enough, f"{text}: {share.n} requests prove nothing, it takes {enough}")
    return Answer(Outcome.PASS, p_value, enough, f"{text} (p = {p_value:.2g})")


@dataclass(frozen=True, eq=False)
class About:
    """`share == About(10)`: 10 % as far as an exact test with this error can tell. Too few requests are not equal."""

    percent: float
    error: float = 0.001
    """How often a mesh that is right may be called wrong."""
    resolution: float | None = None
    """Points that must be told apart (5 = 5 points); by default as `least` says."""

    def answer(self, share: Share) -> Answer:
        resolution = None if self.resolution is None else self.resolution / 100
        return compare(share, self.percent / 100, self.error, resolution)

    def __eq__(self, other: object) -> bool:
        return self.answer(other).outcome is Outcome.PASS if isinstance(other, Share) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.percent, self.error, self.resolution))

    def __repr__(self) -> str:
        return f"about {self.percent:g} %"


def explain(share: Share, about: About) -> list[str]:
    """Lines for a failed `share == about`, for pytest_assertrepr_compare."""
    answer = about.answer(share)
    low, high = share.interval()
    p = about.percent / 100
    lines = [f"{share!r} == {about!r}", f"{answer.outcome.name}: {answer.reason}"]
    if share.n:
        lines.append(f"the true share is between {low:.3g} % and {high:.3g} % (99 %)")
    sharp = needed(p, fine(p), about.error, SURE)
    return [*lines, f"to tell {about.percent:g} % from {fine(p) * 100:g} points more or less takes {sharp} requests"]


def shares(requests: Requests, host: str = "") -> dict[str, Share]:
    """By version: its share of the requests that `host` (by default anyone) is known to have served."""
    counts: dict[str, int] = {}
    for kind, count in requests.tally().items():
        server = requests.origins[kind.origin][1]
        if server.version and (not host or same_host(server.service, host)):
            counts[server.version] = counts.get(server.version, 0) + count
    n = sum(counts.values())
    return {version: Share(hits, n) for version, hits in sorted(counts.items())}


about = About
