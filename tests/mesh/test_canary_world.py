"""A rehearsal on a provider without processes: what is refused, and what each change of the mesh is called."""

from __future__ import annotations

import pytest

from meshtest import ConfigRejected, Mesh
from meshtest.errors import UsageError
from meshtest.model.rehearsal import TickRow
from meshtest.testing import FakeProvider

CANARY = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: web, namespace: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  service: {port: 80}
  analysis: {interval: 10s, threshold: 2, stepWeight: 50, maxWeight: 50}
"""


def test_what_the_proxies_refuse_becomes_an_event_and_is_tried_again(bare: Mesh, provider: FakeProvider) -> None:
    def refuse_next(row: TickRow) -> None:
        if row.number == 1:
            provider.refuse = ConfigRejected("no such cluster")

    found = bare.canary(text=CANARY, speed=200).run(to="v2", then={99: "v3"}, told=refuse_next)
    assert found.promoted, found
    refused, again = found.ticks[1:3]
    assert any(event.startswith("Warning") and "no such cluster" in event for event in refused.events)
    assert (refused.routes, again.routes) == ("100/0", "50/50")
    assert any("the revision of tick 99 never came" in note for note in found.notes)

    reasons = [event.data["reason"] for event in bare.history().of("config.apply")]
    assert reasons[1:] == [
        "make the primary of web.shop", "scale web.shop to 0", "take over the service of web.shop", "apply v2",
        "scale web.shop to 1", "route web.shop 50/50", "route web.shop 50/50", "promote web.shop",
        "route web.shop 100/0", "scale web.shop to 0",
    ]  # fmt: skip
    assert [workload.replicas for workload in provider.topology.workloads] == [0, 1]


SCALED = CANARY.replace(
    "  service:",
    """  autoscalerRef:
    {apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, name: web, primaryScalerReplicas: {minReplicas: 4}}
  service:""",
)
HPA = """
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, minReplicas: 3, maxReplicas: 5}
"""


def test_autoscalers_hold_their_minimum_and_nothing_scales_by_load(bare: Mesh, provider: FakeProvider) -> None:
    seen: list[dict[str, int]] = []

    def look(row: TickRow) -> None:
        seen.append({workload.name: workload.replicas for workload in provider.topology.workloads})

    found = bare.canary(text=SCALED + HPA, speed=200).run(to="v2", told=look)
    assert found.promoted, found
    assert seen[0] == seen[-2] == {"web": 3, "web-primary": 4}
    assert seen[-1] == {"web": 0, "web-primary": 4}
    assert len([note for note in found.notes if "nothing scales by load here" in note]) == 1
    copy = next(d for d in bare.documents if d.kind.startswith("autoscaling") and d.name == "web-primary")
    assert copy.data["spec"]["scaleTargetRef"]["name"] == "web-primary"
    assert (copy.data["spec"]["minReplicas"], copy.data["spec"]["maxReplicas"]) == (4, 5)


BOTH = (
    CANARY.replace("apiVersion: apps/v1, kind: Deployment", "apiVersion: v1, kind: Service")
    + """
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web, version: v1}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""
)
VERSION = """
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-%s, namespace: shop}
spec:
  selector: {matchLabels: {app: web, version: %s}}
  template:
    metadata: {labels: {app: web, version: %s}}
    spec: {containers: [{name: web, image: web, ports: [{containerPort: 8080}]}]}
"""


def test_a_service_is_put_in_front_of_the_pods_of_another_version(bare: Mesh) -> None:
    """Flagger copies it, and scales nobody."""
    rehearsing = bare.canary(text=BOTH + "".join(VERSION % ((name,) * 3) for name in ("v1", "v2")), speed=200)
    with pytest.raises(UsageError, match=r"no Deployment in namespace shop has pods .* \(app=web, version=v3\)"):
        rehearsing.run(to="v3")
    with pytest.raises(UsageError, match="the Service web has no pods of its own: --to VERSION of its pods"):
        rehearsing.run(image="web:v2")
    found = rehearsing.run(to="v2")
    assert found.promoted, found
    services = {d.name: d.data["spec"]["selector"]["version"] for d in bare.documents.of("/Service")}
    assert services == {"web": "v2", "web-primary": "v2", "web-canary": "v2"}
    told = [event.data["revision"] for event in bare.history().of("canary.revision")]
    assert told == ["v1", "v2"]
    assert [workload.replicas for workload in bare.topology.workloads] == [1, 1]
