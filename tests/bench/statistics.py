"""The declared errors of the checks, kept: false alarms, power, and requests needed, by simulation with fixed seeds.

Ten thousand runs where no more is said. Draws are numpy's; what decides is the code of the checks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache
from math import log
from typing import Any

import numpy as np

from meshtest.checks.canary import Canary
from meshtest.checks.canary_latency import CanaryLatency, _Compared
from meshtest.checks.share import Share, compare
from meshtest.checks.split import Split
from meshtest.checks.trend import Trend, _Drift
from meshtest.lib.multinomial import family_p
from meshtest.lib.race import Race
from meshtest.lib.sequential import Sprt
from meshtest.lib.stats import binomial_test, power, upper_tail
from meshtest.model.verdict import Outcome

RUNS = 10_000
MANY = 1_000_000
"""Where a draw is only a number: 10,000 runs cannot tell 0.1 % from 0.13 %."""
Row = tuple[str, str, str]


def main() -> None:
    began = time.perf_counter()
    print(f"{'what':<78} {'measured':>26}  aim")
    for part in (gate, beside_a_baseline, split_early, split, latency, trend):
        for what, measured, aim in part():
            print(f"{what:<78} {measured:>26}  {aim}", flush=True)
    print(f"\n{time.perf_counter() - began:.0f} s")


# ---- the error gate


def skip(race: Race, own: int, others: int = 0) -> None:
    """So many requests without an error, at once: between errors nothing but counts changes."""
    race.n += own
    race.others += others
    race.piece += own + others
    race.piece_of_canary += own


def gated(check: Canary, rate: float, rng: Any, *, most: int, stop: bool) -> Race:
    """One canary alone, to the first decision or up to `most` requests."""
    race = Race(check.rules)
    while race.n < most and not (stop and race.decided) and not race.failed_at:
        gap = int(rng.geometric(rate))
        skip(race, min(gap - 1, most - race.n))
        race.look()
        if race.n < most and not (stop and race.passed_at):
            race.see(True, True)
    race.look()
    return race


def gate() -> Iterator[Row]:
    """0.1 % against 1 %, alpha = beta = 5 %."""
    check = Canary(host="web", canary="v2")
    clean = Sprt(0.001, 0.01, 0.05, 0.05).clean
    yield "error gate 0.1 % against 1 %: passes after so many clean requests", f"{clean}", "about 330"
    rng = np.random.default_rng(1)
    caught = [gated(check, 0.01, rng, most=100_000, stop=True) for _ in range(RUNS)]
    mean = sum(race.failed_at or race.passed_at for race in caught) / RUNS
    missed = sum(not race.failed_at for race in caught) / RUNS
    yield "... a canary at 1 %: decided after so many on average", f"{mean:.0f}", "<= 310"
    yield "... and wrongly passed", f"{missed:.2%}", "<= 5 %"
    for rate in (0.02, 0.05, 0.2):
        found = [gated(check, rate, rng, most=100_000, stop=True) for _ in range(RUNS // 10)]
        yield f"... at {rate:.0%}", f"{sum(race.failed_at or race.passed_at for race in found) * 10 / RUNS:.0f}", ""
    good = [gated(check, 0.001, rng, most=10_000, stop=False) for _ in range(RUNS)]
    alarms = sum(bool(race.failed_at) for race in good) / RUNS
    yield "... a canary at 0.1 %, looked at after each of 10,000 requests: false alarms", f"{alarms:.2%}", "<= 5 %"
    yield "... the same with a fixed test (5 %), looked at every 100 requests", f"{_peeking(rng):.1%}", "(peeking)"


def _peeking(rng: Any, looks: int = 100, each: int = 100) -> float:
    @cache
    def rejected(k: int, n: int) -> bool:
        return upper_tail(k, n, 0.001) < 0.05

    runs = RUNS // 10
    counts = rng.binomial(each, 0.001, size=(runs, looks)).cumsum(axis=1)
    return sum(any(rejected(int(k), (i + 1) * each) for i, k in enumerate(row)) for row in counts) / runs


def beside_a_baseline() -> Iterator[Row]:
    check = Canary(host="web", canary="v2", baseline="v1")
    rng = np.random.default_rng(2)
    for rate, share, most in ((0.01, 0.5, 6000), (0.05, 0.1, 3000), (0.2, 0.5, 600)):
        found = [_raced(check, rate, rate, share, rng, most=most, stop=False) for _ in range(RUNS)]
        alarms = sum(bool(race.failed_at) for race in found) / RUNS
        what = f"canary beside a baseline, both at {rate:.0%}, share {share:.0%}: false alarms in {most} looks"
        yield what, f"{alarms:.2%}", "<= 5 %"
    for own, other, share, known in ((0.01, 0.001, 0.5, 1966), (0.05, 0.001, 0.1, 999)):
        found = [_raced(check, own, other, share, rng, most=60_000, stop=True) for _ in range(RUNS // 10)]
        mean = sum(race.n + race.others for race in found) * 10 / RUNS
        missed = sum(not race.failed_at for race in found) * 10 / RUNS
        what = f"... at {own:.0%} beside {other:.1%}, share {share:.0%}: requests of both until decided (missed)"
        yield what, f"{mean:.0f} ({missed:.1%})", f"({known} known; <= 5 %)"


def _raced(check: Canary, own: float, other: float, share: float, rng: Any, *, most: int, stop: bool) -> Race:
    race = Race(check.rules)
    rate = share * own + (1 - share) * other
    of_canary = share * own / rate
    among_clean = share * (1 - own) / (1 - rate)
    while race.n + race.others < most and not race.failed_at and not (stop and race.passed_at):
        clean = min(int(rng.geometric(rate)) - 1, most - race.n - race.others)
        mine = int(rng.binomial(clean, among_clean))
        skip(race, mine, clean - mine)
        race.look()
        if race.n + race.others < most:
            race.see(bool(rng.random() < of_canary), True)
    return race


# ---- shares


def split_early() -> Iterator[Row]:
    """1 % against 2 %, alpha = beta = 1 %."""
    sprt = Sprt(0.01, 0.02, 0.01, 0.01)
    rng = np.random.default_rng(3)
    for p, wrong in ((0.01, "rejected"), (0.02, "accepted")):
        course = sprt.course(p)
        ends = [_walk(sprt, p, rng) for _ in range(RUNS)]
        mean = sum(n for n, _ in ends) / RUNS
        errors = sum(rejected == (p == sprt.p0) for _, rejected in ends) / RUNS
        exact = course.rejected if p == sprt.p0 else course.accepted
        what = f"split 1 % against 2 %, true {p:.0%}: requests on average (exact)"
        yield what, f"{mean:.0f} ({course.requests:.0f})", "<= 1450; fixed 3504"
        yield f"... wrongly {wrong} (exact)", f"{errors:.2%} ({exact:.2%})", "<= 1 %"


def _walk(sprt: Sprt, p: float, rng: Any) -> tuple[int, bool]:
    """Requests until a bound is reached, and whether it was the upper one."""
    lower, upper = sprt.bounds
    hits = n = 0
    while True:
        gap = int(rng.geometric(p))
        needed = int(np.ceil((lower - sprt.ratio(hits, n)) / sprt.miss))
        if needed <= gap - 1:
            return n + needed, False
        n, hits = n + gap, hits + 1
        if sprt.ratio(hits, n) >= upper:
            return n, True


def split() -> Iterator[Row]:
    """70/30 must be told from 64/36; what the check announces is what it needs."""
    check = Split(host="web", weights={"v1": 70, "v2": 30}, resolution=0.06)
    n = compare(Share(0, 0), 0.3, check.error, check.resolution).enough

    @cache
    def rejected(k: int) -> bool:
        return compare(Share(k, n), 0.3, check.error, check.resolution).outcome is Outcome.FAIL

    rng = np.random.default_rng(4)
    for what, p, exact, aim in (
        (f"split 0.64 for 0.70 rejected, at the announced n = {n}", 0.36, power(n, 0.3, 0.36, check.error), ">= 99 %"),
        ("... false alarms of a right split", 0.30, power(n, 0.3, 0.3, check.error), "<= 0.1 %"),
    ):
        counts, times = np.unique(rng.binomial(n, p, MANY), return_counts=True)
        share = sum(int(t) for k, t in zip(counts, times, strict=True) if rejected(int(k))) / MANY
        yield f"{what}: of a million (exact)", f"{share:.3%} ({exact:.3%})", aim
    once = sum(abs(k - 350) <= 25 for k in map(int, rng.binomial(500, 0.64, RUNS))) / RUNS
    yield "... passed by 500 requests within 5 points, any of 10 tries", f"{1 - (1 - once) ** 10:.1%}", "(98 % known)"
    yield from _three(n, check.error, rng)


def _three(n: int, error: float, rng: Any) -> Iterator[Row]:
    """Versions with 70, 20 and 10 %."""
    shares = (0.7, 0.2, 0.1)

    @cache
    def p_value(k: int, version: int) -> float:
        return binomial_test(k, n, shares[version])

    limit = max(
        (p for k in range(n + 1) for v in range(3) if family_p(p := p_value(k, v), n, shares) < error), default=0.0
    )
    alarms = sum(
        min(p_value(int(k), v) for v, k in enumerate(row)) <= limit for row in rng.multinomial(n, shares, MANY // 10)
    )
    yield "... false alarms of three versions, exact multinomial, of 100,000", f"{alarms * 10 / MANY:.3%}", "<= 0.1 %"


# ---- latency


def kinds() -> dict[str, Callable[[Any, Any], Any]]:
    """Changes to lognormal latencies around 5 ms, and the generator of chance."""
    return {
        "as fast": lambda x, _: x,
        "+10 % all": lambda x, _: x * 1.1,
        "+1 ms all": lambda x, _: x + 0.001,
        "2 % of requests +50 ms": lambda x, rng: x + 0.05 * (rng.random(len(x)) < 0.02),
        "0.5 % of requests +200 ms": lambda x, rng: x + 0.2 * (rng.random(len(x)) < 0.005),
        "30 % faster, 5 % of requests 4x slower": lambda x, rng: x * np.where(rng.random(len(x)) < 0.05, 4, 0.7),
    }


def latency() -> Iterator[Row]:
    """Power at alpha = 5 %, 2000 requests a version, Holm-corrected; 200 runs each, 1000 of one as fast."""
    same: dict[str, Any] = {"host": "web", "canary": "v2", "baseline": "v1", "alpha": 0.05}
    plain = CanaryLatency(tolerance=0.0, least=0.0, **same)
    limited = CanaryLatency(tolerance=0.0, least=0.0, slo=0.03, **same)
    usual = CanaryLatency(**same)
    yield "latency, 2000 a version, found: centre / tail / either / with slo=30 ms / by default", "", "LOAD.md 5c"
    rng = np.random.default_rng(5)
    aims = {"as fast": "<= 5 % each", "30 % faster, 5 % of requests 4x slower": "tail 1.00"}
    for name, change in kinds().items():
        runs, hits = (1000 if name == "as fast" else 200), np.zeros(5)
        for _ in range(runs):
            theirs = list(rng.lognormal(log(0.005), 0.5, 2000))
            ours = list(change(rng.lognormal(log(0.005), 0.5, 2000), rng))
            slower = _Compared(plain, ours, theirs).slower
            hits += [
                "centre" in slower, "tail" in slower, bool(slower), bool(_Compared(limited, ours, theirs).slower),
                bool(_Compared(usual, ours, theirs).slower),
            ]  # fmt: skip
        yield f"  {name}", " / ".join(f"{h / runs:.2f}" for h in hits), aims.get(name, "")


def trend() -> Iterator[Row]:
    """3000 requests in 30 s, lognormal around 5 ms; alike = neighbours share a slow or fast mood of a second."""
    rng, runs = np.random.default_rng(6), 500
    sharp = Trend(growth=1e-6, least=0.0, alpha=0.05)
    at = np.arange(3000) / 100
    for name, mood in (("independent", 0.0), ("alike within a second", 0.2)):
        alarms = 0
        for _ in range(runs):
            moods = np.repeat(rng.normal(0, mood, 31), 100)[:3000]
            values = 0.005 * np.exp(rng.normal(0, 0.5, 3000) + moods)
            alarms += _risen(sharp, at, values)
        yield f"trend: false alarms at 5 %, {name}", f"{alarms / runs:.1%}", "<= 5 %"
    usual = Trend()
    found = sum(_risen(usual, at, 0.005 * (1 + 0.5 * at / 30) * np.exp(rng.normal(0, 0.5, 3000))) for _ in range(runs))
    yield "trend: a leak of +50 % in 30 s found, alpha = 1 %", f"{found / runs:.1%}", ""


def _risen(check: Trend, at: Any, values: Any) -> bool:
    drift = _Drift.of(check, list(zip(at.tolist(), values.tolist(), strict=True)))
    return drift.answer()[0] is Outcome.FAIL


if __name__ == "__main__":
    main()
