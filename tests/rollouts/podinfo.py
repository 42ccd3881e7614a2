"""The Canary of the tests, told as little as possible, and its way through ticks."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from meshtest.manifests.reader import read_text
from meshtest.model.document import Document
from meshtest.rollouts.canary import Answer, Canary, Observations, Phase, State, Target, Tick, run
from meshtest.rollouts.canary.reading import of

V1, V2, V3 = (Target(revision=name) for name in ("v1", "v2", "v3"))
NO = Answer(ok=False, reason="not today")
YES = Answer()


def hook(kind: str, name: str = "", **more: Any) -> dict[str, Any]:
    return {"name": name or kind, "type": kind, "url": "http://hooks.test/", **more}


ALL_HOOKS = [
    hook(kind)
    for kind in (
        "confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "post-rollout",
        "rollback",
    )
]  # fmt: skip


def document(*, spec: dict[str, Any] | None = None, **analysis: Any) -> Document:
    """As JSON in one line, so everything stands in line 1."""
    way = {} if {"iterations", "stepWeight", "stepWeights"} & analysis.keys() else {"stepWeight": 50}
    told = {
        "provider": "istio",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
        "service": {"port": 9898, "gatewayRefs": [{"name": "public"}]},
        "analysis": {"interval": "1m", "threshold": 2, **way, **analysis},
        **(spec or {}),
    }
    head = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "podinfo", "namespace": "test"}}
    (found,) = read_text(json.dumps({**head, "spec": told}), "canary.yaml")
    return found


def podinfo(**told: Any) -> Canary:
    return of(document(**told))


def seen(target: Target = V2, **told: Any) -> Observations:
    return Observations(target=target, **told)


def ticks(canary: Canary, *observed: Observations | tuple[int, Observations], state: State | None = None) -> list[Tick]:
    """A pair stands for the same observations so many times."""
    flat = [one for given in observed for one in ([given[1]] * given[0] if isinstance(given, tuple) else [given])]
    return list(run(canary, flat, state))


def to_promotion(canary: Canary, most: int = 40) -> list[Tick]:
    """v1 is deployed, then v2; until it has succeeded, failed, or there is nothing more to wait for."""
    found: list[Tick] = []
    for tick in run(canary, [seen(V1), *[seen(V2)] * most]):
        found.append(tick)
        if tick.state.phase in (Phase.SUCCEEDED, Phase.FAILED):
            break
    return found


def phases(found: Iterable[Tick]) -> list[str]:
    return [str(tick.state.phase) for tick in found]


def routes(found: Iterable[Tick]) -> list[str]:
    return [str(tick.state.routes) for tick in found]


def messages(tick: Tick) -> list[str]:
    return [event.message for event in tick.events]


def called(tick: Tick) -> list[str]:
    return [call.hook.name for call, _ in tick.hooks]
