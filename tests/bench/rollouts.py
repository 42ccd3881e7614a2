"""Ticks of a Flagger Canary per second: whole rollouts of three strategies, with hooks, metrics and events.

Aim: 1,000 ticks/s at least (DESIGN.md, section 8); `meshtest rehearse --plan` is a few hundred ticks.
"""

from __future__ import annotations

import time

from meshtest.rollouts.canary import Canary, Observations, run
from tests.rollouts.podinfo import ALL_HOOKS, V1, V2, hook, podinfo

ROUNDS = 200
TICKS = 40
METRICS = [{"name": "request-success-rate", "thresholdRange": {"min": 99}}, {"name": "errors", "query": "up"}]


def canaries() -> dict[str, Canary]:
    told = {"metrics": METRICS, "webhooks": [*ALL_HOOKS, hook("event")]}
    return {
        "canary": podinfo(stepWeight=5, stepWeightPromotion=20, **told),
        "blue/green": podinfo(iterations=20, mirror=True, **told),
        "A/B": podinfo(iterations=20, match=[{"headers": {"x-beta": {"exact": "yes"}}}], **told),
    }


def ticks_per_second(canary: Canary) -> float:
    course = [Observations(target=V1), *[Observations(target=V2)] * (TICKS - 1)]
    began = time.process_time()
    for _ in range(ROUNDS):
        for _ in run(canary, course):
            pass
    return ROUNDS * TICKS / (time.process_time() - began)


def main() -> None:
    for name, canary in canaries().items():
        print(f"{name:<12} {ticks_per_second(canary):>10,.0f} ticks/s of one core")
