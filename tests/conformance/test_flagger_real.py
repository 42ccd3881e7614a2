"""Our Canary against Flagger's controller with its own routers, readiness rules and webhook client.

Recorded, a few scenarios only: flagger_real/README.md. test_flagger.py holds thousands of ticks with scripted routes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from meshtest.manifests.reader import read_text
from meshtest.rollouts.canary import Answer, Canary, Reading, State, Target, Tick, drive, readiness, routers, tick
from meshtest.rollouts.canary.metrics import asks_applications
from meshtest.rollouts.canary.reading import of
from meshtest.rollouts.canary.replies import Reply
from meshtest.rollouts.canary.steps import CallHook, IsReady, Measure, Step, Who
from tests.conformance.misses import tell

RECORDED = Path(__file__).parent / "flagger_real" / "recorded.jsonl"


def test_flagger_real(capsys: pytest.CaptureFixture[str]) -> None:
    results = {
        f"{told['name']}#{number}": wrong
        for told in map(json.loads, RECORDED.read_text().splitlines())
        for number, wrong in enumerate(differences(told))
    }
    with capsys.disabled():
        tell("flagger with its routers", sum(not wrong for wrong in results.values()), len(results))
    assert {name: wrong for name, wrong in results.items() if wrong} == {}


def differences(told: Mapping[str, Any]) -> Iterator[list[str]]:
    """By tick, what is not as recorded."""
    canary, state = canary_of(told), State()
    steps = [step for step in told["steps"] for _ in range(step["repeat"])]
    images: dict[str, str] = {}
    for step, theirs in zip(steps, told["trace"], strict=True):
        images[theirs["revision"]] = step["target"]
        world = World(canary, state, step)
        ticked = drive(tick(canary, state, Target(revision=theirs["revision"])), world.perform)
        state = ticked.state
        ours = row(canary, ticked, images)
        if not routers.moves_traffic(canary):
            ours["routes"] = theirs["routes"]  # it has none, and tells what follows from the iterations
        yield [f"{key}: {ours[key]} not {theirs[key]}" for key in ours if ours[key] != theirs[key]]


def canary_of(told: Mapping[str, Any]) -> Canary:
    head = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": "podinfo", "namespace": "test"}}
    (document,) = read_text(json.dumps({**head, "spec": told["spec"]}), told["name"])
    return of(document)


class World:
    """Answers as the recorder's did."""

    def __init__(self, canary: Canary, state: State, step: Mapping[str, Any]) -> None:
        self.canary, self.state, self.step = canary, state, step

    def perform(self, step: Step) -> Reply:
        match step:
            case IsReady(who=who):
                return readiness.of(self.canary, who, self.rollout(who))
            case CallHook(hook=hook):
                denied = hook.name in self.step.get("deny", ())
                return Answer(ok=not denied, reason="not today" if denied else "")
            case Measure(metric=metric):
                return self.measured(1000 if metric.is_duration and asks_applications(self.canary) else 1)
            case _:
                return Answer()

    def rollout(self, who: Who) -> readiness.Rollout:
        """A primary that was made in this very tick has no pods yet."""
        if who is Who.PRIMARY and not self.state.primary:
            return readiness.Rollout(wanted=1, total=0, updated=0, available=0)
        count = self.state.replicas if who is Who.CANARY else self.state.primary_replicas
        kind = self.step.get(who, "")
        old = count + 1 if kind == "waiting" else count
        return readiness.Rollout(wanted=count, total=old, updated=count, available=count, gave_up=kind == "stuck")

    def measured(self, unit: int) -> Reading:
        value = self.step.get("metric", "")
        return Reading(value=None if value == "none" else float(value) * unit)


def row(canary: Canary, ticked: Tick, images: Mapping[str, str]) -> dict[str, Any]:
    """A tick as the recorder writes it."""
    state, status = ticked.state, ticked.state.status
    routes = routers.read(canary, state.routes, status) if state.routes else None
    return {
        "phase": status.phase,
        "weight": status.weight,
        "failed": status.failed_checks,
        "iterations": status.iterations,
        "routes": f"{routes.primary}/{routes.canary}/{str(routes.mirrored).lower()}" if routes else "none",
        "replicas": state.replicas,
        "primary": images.get(state.primary, ""),
        "calls": [call(asked, answer) for asked, answer in ticked.hooks],
        "alerts": [f"{alert.severity} {alert.message}" for alert in ticked.alerts],
        "cookie": bool(status.cookie),
        "previous": bool(status.previous_cookie),
    }


def call(asked: CallHook, answer: Answer) -> str:
    payload = asked.payload
    head = f"{asked.hook.name} {payload.phase} {payload.checksum}"
    if said := payload.metadata.get("eventMessage"):
        return f"{head} {payload.metadata['eventType']}: {said}"
    return f"{head} {'ok' if answer.ok else 'fail'}"
