"""The gate and Flagger's rule, side by side: 1 % of 50 requests/s reach the canary, both judge the same requests.

Flagger: request-success-rate over 1m, at least 99 %, each minute; a check that fails counts for good, five are enough,
and a minute without requests fails too (FLAGGER.md 3.2, 3.3). The gate is asked every 10 s, with alpha 1 %, beta 5 %,
and rates of 0.1 % (fine) and 1 % (bad). A run has an hour; what is not decided by then is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from meshtest.rollouts.judge.gate import Counts, Gate, GateRules

RUNS, SEED = 1000, 7
RPS, WEIGHT = 50, 0.01
EVERY, MINUTES = 10, 60
THRESHOLD, LEAST = 5, 0.99
FALSE, CAUGHT = 0.01, 0.95
"""Aims: good canaries rolled back, bad ones found."""


class Ended(NamedTuple):
    """How one of the two judged one canary."""

    verdict: str
    requests: int
    """Of the canary until then."""


class Stretch(NamedTuple):
    """Ten seconds."""

    canary: Counts
    baseline: Counts


def main() -> None:
    print(f"{RUNS} canaries each, {RPS} requests/s, weight {WEIGHT:.0%}, an hour at most")
    print("canary  baseline   judge     rolled back   promoted   open   requests until rolled back: median, p95")
    for own, other in ((0.0, 0.0), (0.001, 0.001), (0.005, 0.005), (0.02, 0.001), (0.03, 0.001), (0.05, 0.001)):
        ours, theirs = _both(own, other)
        _say(own, other, "gate", ours)
        _say(own, other, "Flagger", theirs)
        _judge(own, other, ours, theirs)


def _both(own: float, other: float) -> tuple[list[Ended], list[Ended]]:
    rng = np.random.default_rng(SEED)
    runs = [list(_traffic(rng, own, other)) for _ in range(RUNS)]
    return [gate(run) for run in runs], [flagger(run) for run in runs]


def _traffic(rng: Any, own: float, other: float) -> Iterator[Stretch]:
    canary = rng.binomial(RPS * EVERY, WEIGHT, size=MINUTES * 60 // EVERY)
    rows = zip(canary, rng.binomial(canary, own), rng.binomial(RPS * EVERY - canary, other), strict=True)
    for requests, errors, others in rows:
        yield Stretch(
            Counts(requests=int(requests), errors=int(errors)),
            Counts(requests=int(RPS * EVERY - requests), errors=int(others)),
        )


def gate(run: list[Stretch]) -> Ended:
    asked = Gate(GateRules(alpha=0.01, beta=0.05))
    for stretch in run:
        if (verdict := asked.add(stretch.canary, stretch.baseline)) != "inconclusive":
            return Ended(verdict, asked.requests)
    return Ended("inconclusive", asked.requests)


def flagger(run: list[Stretch]) -> Ended:
    """The tick after the fifth failed check acts on it; users are served until then. It promotes at the end."""
    failed = seen = 0
    for minute in range(MINUTES):
        window = run[minute * 60 // EVERY : (minute + 1) * 60 // EVERY]
        requests = sum(stretch.canary.requests for stretch in window)
        seen += requests
        if failed >= THRESHOLD:
            return Ended("fail", seen)
        errors = sum(stretch.canary.errors for stretch in window)
        failed += not requests or 1 - errors / requests < LEAST
    return Ended("pass", seen)


def _say(own: float, other: float, judge: str, ended: list[Ended]) -> None:
    share = {
        verdict: sum(one.verdict == verdict for one in ended) / RUNS for verdict in ("fail", "pass", "inconclusive")
    }
    took = _took(ended)
    shown = f"{took[len(took) // 2]}, {took[int(len(took) * 0.95)]}" if took else "-"
    print(
        f"{own:6.1%}  {other:8.1%}   {judge:<8}  {share['fail']:11.1%}   {share['pass']:8.1%}  "
        f"{share['inconclusive']:5.1%}   {shown}"
    )


def _took(ended: list[Ended]) -> list[int]:
    return sorted(one.requests for one in ended if one.verdict == "fail")


def _judge(own: float, other: float, ours: list[Ended], theirs: list[Ended]) -> None:
    failed = len(_took(ours)) / RUNS
    if own == other:
        print(f"        false rollbacks {failed:.1%}   aim <= {FALSE:.0%}{'' if failed <= FALSE else '  MISSED'}")
    elif own >= 0.03:
        mine, flaggers = (_took(one) for one in (ours, theirs))
        fewer = mine[len(mine) // 2] < flaggers[len(flaggers) // 2]
        kept = failed >= CAUGHT and fewer
        print(f"        caught {failed:.1%}   aim >= {CAUGHT:.0%}, with fewer requests{'' if kept else '  MISSED'}")


if __name__ == "__main__":
    main()
