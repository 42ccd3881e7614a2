"""Canaries rehearsed on the real mesh: promoted, rolled back, stuck, changed in the middle; every request counted.

Intervals are the shortest that Flagger takes, 10 s. Whether a version is good is no matter of chance: it fails always
or never.
"""

from __future__ import annotations

import json

from meshtest import Mesh
from meshtest.model.rehearsal import Rehearsal
from tests.telemetry.conftest import needs_prometheus

CANARY = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: podinfo, namespace: test}
spec:
  provider: %s
  progressDeadlineSeconds: %s
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: podinfo}
  service: {port: 9898, gatewayRefs: [{name: public}]}
  analysis: {interval: 10s, threshold: 2, %s}
"""
STEPS = "stepWeight: 50, maxWeight: 50"
LONG = 36_000
"""Seconds of a deadline that no version of these tests needs, on no machine."""
WEB = """
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: podinfo, namespace: test}
spec:
  replicas: 2
  selector: {matchLabels: {app: podinfo}}
  template:
    metadata: {labels: {app: podinfo}}
    spec:
      containers:
      - name: web
        image: example/podinfo:v1
        ports: [{containerPort: 9898}]
        readinessProbe: {httpGet: {path: /, port: 9898}, initialDelaySeconds: 3, periodSeconds: 5}
"""
ERRORS = "metrics: [{name: request-success-rate, interval: 1m, thresholdRange: {min: 99}}]"
AGENT = WEB.replace("kind: Deployment", "kind: DaemonSet").replace("  replicas: 2\n", "")


def phases(told: Rehearsal) -> list[str]:
    return [row.phase for row in told.ticks]


def test_one_after_the_other_on_the_same_mesh(mesh: Mesh) -> None:
    """Promoted; one that another revision follows in the middle; one with a fault that no metric looks at."""
    rehearsing = mesh.canary(text=CANARY % ("istio", LONG, STEPS) + WEB, speed=40, traffic=["GET / 100rps"])
    good = rehearsing.run(to="v2")
    assert good.promoted, good
    assert phases(good)[-3:] == ["Promoting", "Finalising", "Succeeded"]
    assert {row.routes for row in good.ticks if row.phase == "Promoting"} == {"50/50"}
    assert (good.failed, good.exposed_failed) == (0, 0)
    assert good.requests > good.exposed > 0
    kept = json.loads((mesh.run.directory / "rehearsal.json").read_text())
    assert Rehearsal.from_data(kept) == good
    assert [event.data["number"] for event in mesh.history().of("canary.tick")] == [row.number for row in good.ticks]

    changed = rehearsing.run(to="v3", then={3: "v4"})
    assert changed.promoted, changed
    assert changed.revision == "v4"
    assert changed.failed == 0

    broken = rehearsing.run(to="v5", faults=["podinfo@v5 abort=500"])
    assert broken.promoted, "nobody looks"
    assert broken.exposed_failed == broken.exposed > 0
    assert broken.failed > broken.exposed_failed, "the fault has gone to the primary with it"
    assert any("Restarting analysis" in event for row in changed.ticks for event in row.events)
    assert [event.data["ending"] for event in mesh.history().of("canary.end")] == ["promoted"] * 3
    assert [finding.check for finding in mesh.verify().findings] == ["canary_users", "fault_bit"]


def test_a_version_that_never_becomes_ready_meets_its_deadline(mesh: Mesh) -> None:
    """It is on the Canary's clock: less than half a second of ours."""
    never = mesh.canary(text=CANARY % ("istio", 40, STEPS) + WEB, speed=100).run(
        to="v2", annotations={"meshtest.dev/ready-after": "10m"}
    )
    assert never.ending == "rolled back", never
    assert "canary deployment podinfo.test not ready: waiting for rollout to finish: 0 of 2" in never.reason
    assert never.intervals > 4
    assert (never.failed, never.exposed) == (0, 0)
    mesh.verify()


def test_a_daemon_set_is_promoted_one_node_after_the_other(mesh: Mesh) -> None:
    canary = (CANARY % ("kubernetes", LONG, "iterations: 1")).replace("kind: Deployment", "kind: DaemonSet")
    good = mesh.canary(text=canary + AGENT, speed=100, traffic=["GET / 100rps"]).run(to="v2")
    assert good.promoted, good
    assert good.failed == 0
    assert any("runs on 2 nodes here" in note for note in good.notes)
    kinds = [document.kind for document in mesh.documents if document.name == "podinfo-primary"]
    assert sorted(kinds) == ["/Service", "apps/DaemonSet"]
    replicas = {workload.name: workload.replicas for workload in mesh.topology.workloads}
    assert replicas == {"podinfo": 0, "podinfo-primary": 2}
    mesh.verify()


def test_a_daemon_set_that_never_becomes_ready_meets_the_deadline_that_runs_from_the_last_write(mesh: Mesh) -> None:
    canary = (CANARY % ("istio", 40, STEPS)).replace("kind: Deployment", "kind: DaemonSet")
    never = mesh.canary(text=canary + AGENT, speed=100).run(to="v2", annotations={"meshtest.dev/ready-after": "10m"})
    assert never.rolled_back, never
    assert "canary damonset podinfo.test not ready with retryable false" in never.reason
    assert any("progressDeadlineSeconds 40 is 0.4 s here" in note for note in never.notes)
    assert never.intervals > 4
    assert (never.failed, never.exposed) == (0, 0)


@needs_prometheus
def test_a_bad_version_is_rolled_back_by_its_metric(mesh: Mesh) -> None:
    bad = mesh.canary(text=CANARY % ("istio", LONG, f"{STEPS}, {ERRORS}") + WEB, speed=50).run(
        to="v2", annotations={"meshtest.dev/errors": "503:100"}
    )
    assert bad.rolled_back, bad
    assert "request-success-rate" in bad.reason or "success rate" in bad.reason
    assert bad.failed == bad.exposed_failed == bad.exposed > 0
    assert [row.routes for row in bad.ticks][-1] == "100/0"
    assert "failed by the new version itself" in mesh.verify().findings[0].sentence


def test_what_never_ends_is_not_finished_and_says_why(mesh: Mesh) -> None:
    stuck = mesh.canary(text=CANARY % ("gatewayapi:v1", LONG, f"{STEPS}, mirror: true"), speed=100).run(to="v2")
    assert stuck.ending == "not finished"
    assert "it never will be: Flagger cannot see its own mirror" in stuck.reason
    assert len(stuck.ticks) < 10
    assert any("no Gateway test/public" in note for note in stuck.notes)
    assert (stuck.failed, stuck.exposed) == (0, 0)
