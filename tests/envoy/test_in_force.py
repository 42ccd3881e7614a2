"""What is acknowledged is in force: the real Envoy agrees with the decision function, and nothing is lost meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from meshtest import ConfigRejected, Mesh, no_downtime, reached, split
from meshtest.manifests.decide import decide
from meshtest.manifests.hosts import mesh_hosts
from tests.conftest import unhurried

ROOT = Path(__file__).parents[2]
WEB = ROOT / "suites" / "traffic_shift" / "web.yaml"

RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - {name: exact, match: [{uri: {exact: /exact}}], route: [{destination: {host: web, subset: v2}}]}
  - {name: cased, match: [{uri: {prefix: /CASE}, ignoreUriCase: true}], route: [{destination: {host: web, subset: v2}}]}
  - {name: regex, match: [{uri: {regex: "/r[0-9]+"}}], route: [{destination: {host: web, subset: v2}}]}
  - {name: header, match: [{headers: {x-user: {exact: "7"}}}], route: [{destination: {host: web, subset: v2}}]}
  - {name: without, match: [{uri: {prefix: /w}, withoutHeaders: {x-skip: {exact: "1"}}}],
     route: [{destination: {host: web, subset: v2}}]}
  - {name: query, match: [{queryParams: {beta: {exact: "on"}}}], route: [{destination: {host: web, subset: v2}}]}
  - {name: method, match: [{method: {exact: DELETE}}], route: [{destination: {host: web, subset: v2}}]}
  - {name: gone, match: [{uri: {prefix: /gone}}], directResponse: {status: 410}}
  - {name: default, route: [{destination: {host: web, subset: v1}}]}
"""
REQUESTS = [
    ("GET", "/exact", {}),
    ("GET", "/exact/more", {}),
    ("GET", "/case/x", {}),
    ("GET", "/r12", {}),
    ("GET", "/r12x", {}),
    ("GET", "/", {"x-user": "7"}),
    ("GET", "/", {"x-user": "70"}),
    ("GET", "/w", {}),
    ("GET", "/w", {"x-skip": "1"}),
    ("GET", "/w", {"x-skip": "2"}),
    ("GET", "/?beta=on", {}),
    ("GET", "/?beta=off", {}),
    ("DELETE", "/", {}),
    ("GET", "/gone/for/good", {}),
]


def test_envoy_takes_the_route_that_the_decision_function_names(mesh: Mesh) -> None:
    mesh.apply(WEB)
    mesh.apply(text=RULES)
    hosts = mesh_hosts(mesh.topology, namespace="default", labels={})
    for method, path, headers in REQUESTS:
        route = decide(hosts, "web", method, path, headers)
        assert route is not None
        answer = mesh.ask(f"{method} http://web{path}", headers=headers)
        if route.direct_response:
            assert answer.status == route.direct_response.status, (method, path, headers)
        else:
            assert answer.server.version == route.destinations[0].subset, (method, path, headers, route.name)


def test_no_answer_after_the_acknowledgement_comes_from_the_old_routes(mesh: Mesh) -> None:
    mesh.apply(WEB)
    with mesh.load("GET http://web/", rps=250) as load:
        for number in range(20):
            mesh["web"].shift(v2=100 * (number % 2))
            load.until(requests=20)
    mesh.verify(no_downtime(), split(host="web", resolution=0.5, error=1e-6))


def test_a_configuration_that_envoy_refuses_leaves_the_old_one_in_force(mesh: Mesh) -> None:
    mesh.apply(WEB)
    bad = 'headers: {request: {set: {x-who: "%NOBODY%"}}}, match: [{uri: {exact: /exact}}],'
    with pytest.raises(ConfigRejected, match="Not supported field in StreamInfo: NOBODY; see <text>:8"):
        mesh.apply(text=RULES.replace("match: [{uri: {exact: /exact}}],", bad))
    load = mesh.load("GET http://web/exact", rps=300, requests=100).run()
    assert load.versions == {"v1"}
    mesh["web"].shift(v2=100)
    assert mesh.load("GET http://web/exact", rps=300, requests=100).run().versions == {"v2"}


def test_a_changed_deployment_is_replaced_pod_by_pod_without_a_lost_request(mesh: Mesh) -> None:
    mesh.apply(WEB)
    before = {pod.name for pod in mesh.provider.pods("default/web-v1")}
    changed = WEB.read_text().replace("image: example/web:1.0", "image: example/web:1.1")
    with mesh.load("GET http://web/", rps=250) as load:
        load.until(requests=50)
        mesh.apply(text=changed)
        load.until(requests=100)
    after = {pod.name for pod in mesh.provider.pods("default/web-v1")}
    assert len(after) == len(before)
    assert not after & before
    mesh.verify(no_downtime(), reached(host="web", only=("v1",)))


def test_scaling_to_nothing_and_back_is_seen_by_users(mesh: Mesh) -> None:
    mesh.apply(WEB)
    mesh["web"]["v1"].scale(0)
    gone = mesh.load("GET http://web/", rps=200, requests=20).run()
    assert {f.kind for f in gone.failures} == {"503 UH"}
    mesh["web"]["v1"].scale(3)
    assert len(mesh["web"]["v1"].pods) == 3
    assert mesh.load("GET http://web/", rps=300, requests=100).run().failures == []


def test_a_killed_pod_comes_back_and_the_record_says_so(mesh: Mesh) -> None:
    mesh.apply(WEB)
    with mesh.load("GET http://web/", rps=300) as load:
        load.until(requests=30)
        mesh["web"]["v1"].kill()
        load.until(requests=200)
    kinds = [e.kind for e in mesh.history().events]
    assert "pod.restart" in kinds
    assert load.requests[-1].answered
    assert load.requests[-1].status == 200


def test_a_policy_that_changes_is_in_force_at_once_and_loses_nothing(mesh: Mesh) -> None:
    """A cluster that changes warms up again; Envoy must not wait for endpoints that it already has."""
    mesh.apply(WEB)
    with mesh.load("GET http://web/", rps=250) as load:
        for algorithm in ("RANDOM", "ROUND_ROBIN", "RANDOM"):
            began = time.monotonic()
            mesh.apply(text=POLICY.format(algorithm=algorithm))
            assert time.monotonic() - began < unhurried(5.0)
            load.until(requests=50)
    mesh.verify(no_downtime())


POLICY = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: web}}
spec:
  host: web
  trafficPolicy: {{loadBalancer: {{simple: {algorithm}}}}}
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
"""
