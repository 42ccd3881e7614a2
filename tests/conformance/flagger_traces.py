"""Rollouts that Flagger's own scheduler has been through, tick by tick, and the same told by ours.

A line of the corpus is a scenario: a Canary, the answers of the world step by step, and what Flagger did at each tick.
It was recorded with hooks, metrics and routes scripted, which leaves four differences that are the recorder's:

- a failed metric is one event without its number, and the metric servers are never looked for;
- the provider is called `gatewayapi`, without version;
- a scaling that changes nothing is no act, and the making of primary and route is none either.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meshtest.manifests.reader import read_text
from meshtest.rollouts.canary import Answer, Canary, Observations, Readiness, Reading, Routes, State, Target, Tick, run
from meshtest.rollouts.canary.reading import of
from meshtest.rollouts.canary.steps import Event, Promote, Scale, SetRoutes

HOOKS = {
    "cr": "confirm-rollout", "pre": "pre-rollout", "ro": "rollout", "ti": "confirm-traffic-increase",
    "cp": "confirm-promotion", "post": "post-rollout", "rb": "rollback",
}  # fmt: skip
"""Of every scenario, in this order."""
METRIC = "scripted"
FIRST = "v1"
STEP = {"target", "hookFail", "metricFail", "canary", "primary", "repeat"}


@dataclass(frozen=True)
class Scenario:
    name: str
    canary: Canary
    observed: tuple[Observations, ...]
    recorded: tuple[Mapping[str, Any], ...]

    def differences(self) -> list[list[str]]:
        """By tick, what is not as recorded."""
        ticks = list(run(self.canary, self.observed))
        before = (State(), *(tick.state for tick in ticks))
        told = [row(n, state, tick) for n, (state, tick) in enumerate(zip(before, ticks, strict=False))]
        missing = [["not run"]] * (len(self.recorded) - len(told))
        pairs = zip(told, self.recorded, strict=False)
        return [[f"{key}: {ours.get(key)} not {theirs[key]}" for key in theirs if ours.get(key) != theirs[key]]
                for ours, theirs in pairs] + missing  # fmt: skip


def load(folder: Path) -> Iterator[Scenario]:
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            yield scenario(json.loads(line))


def scenario(told: Mapping[str, Any]) -> Scenario:
    observed = tuple(seen for step in told["steps"] for seen in [observations(step)] * step["repeat"])
    return Scenario(told["name"], canary(told), observed, tuple(told["trace"]))


def canary(told: Mapping[str, Any]) -> Canary:
    hooks = [{"name": name, "type": kind, "url": "http://hooks.test/"} for name, kind in HOOKS.items()]
    metrics = [{"name": METRIC, "query": "scripted"}]
    provider = told["provider"] if told["provider"] != "gatewayapi" else "gatewayapi:v1"
    spec = {
        "provider": provider,
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"},
        "service": {"port": 9898, "gatewayRefs": [{"name": "public"}]},
        "analysis": {"interval": "1m", "webhooks": hooks, "metrics": metrics, **told["analysis"]},
        **told["spec"],
    }
    head = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "podinfo", "namespace": "test"}}
    (document,) = read_text(json.dumps({**head, "spec": spec}), told["name"])
    return of(document)


def observations(step: Mapping[str, Any]) -> Observations:
    assert step.keys() <= STEP, f"a step with more than we know: {step}"
    denied = step["hookFail"]
    return Observations(
        target=Target(revision=step.get("target") or FIRST),
        primary=readiness(step.get("primary")),
        canary=readiness(step.get("canary")),
        hooks={name: Answer(ok=name not in denied, reason="hook failed") for name in HOOKS},
        metrics={METRIC: Reading(value=1.0 if step.get("metricFail") else 0.0)},
    )


def readiness(told: Mapping[str, Any] | None) -> Readiness:
    return Readiness(error=told["Err"], retriable=told["Retriable"]) if told else Readiness()


def row(number: int, before: State, tick: Tick) -> dict[str, Any]:
    """A tick as the recorder writes it."""
    status, routes = tick.state.status, tick.state.routes
    return {
        "tick": number,
        "phase": status.phase,
        "statusWeight": status.weight,
        "failedChecks": status.failed_checks,
        "iterations": status.iterations,
        "route": shown(routes) if routes else "0/0/false",
        "replicas": tick.state.replicas,
        "primary": tick.state.primary,
        "hooks": [
            f"{call.hook.type}:{call.hook.name}:{call.payload.phase}:{'ok' if answer.ok else 'fail'}"
            for call, answer in tick.hooks
        ],
        "events": [event(e) for e in tick.events if not e.message.startswith("all the metrics providers")],
        "alerts": [f"{alert.severity} {alert.message}" for alert in tick.alerts],
        "acts": list(acts(before, tick)),
    }


def event(said: Event) -> str:
    message = "Halt advancement (metric)" if METRIC in said.message else said.message
    return f"{'W' if said.warning else 'N'} {said.phase} {message}"


def acts(before: State, tick: Tick) -> Iterator[str]:
    replicas = before.replicas
    for action in tick.actions:
        match action:
            case SetRoutes(routes=routes):
                yield f"routes {shown(routes)}"
            case Scale(replicas=wanted) if wanted != replicas:
                yield f"scale{wanted}"
                replicas = wanted
            case Promote():
                yield "promote"


def shown(routes: Routes) -> str:
    return f"{routes.primary}/{routes.canary}/{str(routes.mirrored).lower()}"
