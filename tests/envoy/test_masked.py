"""A real outage that retries hide: no user sees an error, and yet it is told, with its length and what happened."""

from __future__ import annotations

import pytest

from meshtest import Mesh, RolloutFailed, masked, no_downtime

WEB = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v1}
spec:
  replicas: 2
  selector: {matchLabels: {app: web, version: v1}}
  template:
    metadata: {labels: {app: web, version: v1}}
    spec: {containers: [{name: web, image: example/web:1, ports: [{containerPort: 8080}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - route: [{destination: {host: web}}]
    retries: {attempts: 3, retryOn: "connect-failure,reset,5xx"}
"""


@pytest.mark.mesh(propagation=0.3)
def test_an_endpoint_that_goes_is_masked_by_retries_and_told(mesh: Mesh) -> None:
    """Two endpoints, retries of resets, too; one goes, and the proxies hear of it 0.3 s later."""
    mesh.apply(text=WEB)
    with mesh.load("GET http://web/", rps=200) as load:
        load.until(requests=60)
        mesh.provider.terminate(mesh["web"]["v1"].pods[0].name, grace=0)
        load.until(requests=150)
    assert load.failures == []
    assert load.outages == []
    seen = max(load.masked_outages, key=lambda outage: outage.retried)  # a busy machine may hold requests up before
    assert seen.retried >= 10
    assert 0.02 < seen.window.share <= 1
    assert any("pod." in event for event in seen.around)
    mesh.verify(no_downtime())
    with pytest.raises(RolloutFailed, match=r"FAIL: masked: \d+ requests were saved by a retry, .* masked outage"):
        mesh.verify(masked())
    with pytest.raises(RolloutFailed, match=r"FAIL: no_downtime: \d+ requests were saved by a retry"):
        mesh.verify(no_downtime(masked=0))
