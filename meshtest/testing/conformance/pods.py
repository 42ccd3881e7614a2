"""Replicas, the records about them, and hosts outside the mesh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.model.feature import Feature
from meshtest.testing.conformance.case import Cases
from meshtest.testing.conformance.manifests import WEB, deployment, service

if TYPE_CHECKING:
    from meshtest.mesh import Mesh

CASES = cases = Cases()


@cases(Feature.PODS, WEB)
def replicas_are_scaled_and_terminated_without_a_lost_request(mesh: Mesh) -> None:
    with mesh.load("GET http://web/", rps=100) as load:
        mesh["web"]["v1"].scale(2)
        assert len(mesh["web"]["v1"].pods) == 2
        mesh["web"]["v2"].terminate()
        load.until(requests=30)
    assert not load.failures
    assert mesh["web"]["v2"].pods == []


@cases(Feature.HOPS, WEB + service("front") + deployment("front", "v1", more="meshtest.dev/calls: http://web/"))
def every_proxy_on_the_way_leaves_a_record(mesh: Mesh) -> None:
    mesh.ask("GET http://front/")
    directions = [hop.direction for hop in mesh.hops()]
    assert sorted(directions) == ["inbound", "inbound", "outbound", "outbound"]


ENTRY = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: partner}
spec:
  hosts: [partner.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  workloadSelector: {labels: {app: web, version: v2}}
"""


@cases(Feature.SERVICE_ENTRIES, WEB + ENTRY)
def a_host_that_is_no_service_leads_to_its_endpoints(mesh: Mesh) -> None:
    assert {mesh.ask("GET http://partner.example/", source="").server.version for _ in range(3)} == {"v2"}
