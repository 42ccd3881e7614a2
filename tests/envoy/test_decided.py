"""A canary on the real Envoy, watched until it is decided: the good one passes, the bad one is caught early."""

from __future__ import annotations

import pytest

from meshtest import Mesh, Outcome, canary

WEB = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec: {host: web, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - route:
    - {destination: {host: web, subset: v1}, weight: 50}
    - {destination: {host: web, subset: v2}, weight: 50}
    retries: {attempts: 0}
"""
VERSION = """---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-VERSION}
spec:
  selector: {matchLabels: {app: web, version: VERSION}}
  template:
    metadata: {labels: {app: web, version: VERSION}, annotations: {meshtest.dev/errors: "ERRORS"}}
    spec: {containers: [{name: web, image: example/web, ports: [{containerPort: 8080}]}]}
"""


@pytest.mark.parametrize(
    ("errors", "outcome"), [("503:0", Outcome.PASS), ("503:10", Outcome.FAIL)], ids=["good", "bad"]
)
def test_a_load_is_watched_until_its_canary_is_decided(mesh: Mesh, errors: str, outcome: Outcome) -> None:
    versions = (("v1", "503:0"), ("v2", errors))
    mesh.apply(text=WEB + "".join(VERSION.replace("VERSION", v).replace("ERRORS", e) for v, e in versions))
    with mesh.load("GET http://web/", rps=400) as load:
        found = load.until(decided=canary(host="web", canary="v2", baseline="v1"), requests=3000)
    assert found.outcome is outcome, found.sentence
    assert len(load.requests) < 3000
