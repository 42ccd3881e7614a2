"""Versions that are Services of their own: hops, checks and shifts are those of the service that users call."""

from __future__ import annotations

import pytest

from meshtest import Mesh, fault_bit, mirrored, no_downtime, reached, split
from tests.manifests.gateway_api.shop import SHOP, deployment, gateway, route, service

IN_MESH = "[{group: '', kind: Service, name: web}]"
BOTH = "[{backendRefs: [{name: web-v1, port: 80, weight: 1}, {name: web-v2, port: 80, weight: 1}]}]"
LINKERD = (
    service("web", "{app: web, version: v1}")
    + service("web-canary", "{app: web, version: v2}")
    + deployment("v1")
    + deployment("v2")
    + """\
apiVersion: policy.linkerd.io/v1beta3
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{group: core, kind: Service, name: web, port: 80}]
  rules: [{backendRefs: [{name: web, port: 80, weight: 100}, {name: web-canary, port: 80, weight: 0}]}]
"""
)


def servers(mesh: Mesh) -> set[str]:
    """Of all hops, by direction."""
    return {f"{h.direction} {h.server.service}/{h.server.version}" for h in mesh.hops()}


def test_inbound_and_outbound_hops_name_the_service_that_was_called(mesh: Mesh) -> None:
    mesh.apply(text=SHOP + route(BOTH, parents=IN_MESH))
    load = mesh.load("GET http://web/", rps=300, requests=210).run()
    assert load.versions == {"v1", "v2"}
    assert servers(mesh) == {f"{d} web/{v}" for d in ("inbound", "outbound") for v in ("v1", "v2")}
    mesh.verify(no_downtime(), split(host="web", error=1e-6), reached(host="web", exactly=("v1", "v2")))


def test_routes_of_a_gateway_alone_are_shifted_and_judged(mesh: Mesh) -> None:
    mesh.apply(text=SHOP + gateway() + route(BOTH))
    mesh["web"].shift(v2=20)
    assert mesh["web"].shares == {"v1": 80.0, "v2": 20.0}
    mesh.load("GET http://shop.example/", source="default/edge/80", rps=400, requests=290).run()
    assert "gateway web/v2" in servers(mesh)
    mesh.verify(no_downtime(), split(host="web", error=1e-6))


def test_a_mirror_to_a_service_of_its_own_is_a_shadow(mesh: Mesh) -> None:
    mesh.apply(text=SHOP + route(BOTH, parents=IN_MESH))
    mesh["web"].mirror("v1", to="v2")
    mesh.load("POST http://web/", rps=300, requests=100).run()
    assert mesh["web"]["v2"].shadow.requests == 100
    assert mesh["web"].writes() == 100
    mesh.verify(no_downtime(), mirrored(host="web", to="v2"))


class TestLinkerd:
    def test_a_canary_that_only_the_route_knows_is_a_version(self, mesh: Mesh) -> None:
        mesh.apply(text=LINKERD)
        assert mesh["web"].versions == ["v1", "v2"]
        with mesh.load("GET http://web/", rps=300) as load:
            load.until(requests=100)
            for share in (50, 100):
                mesh["web"].shift(v2=share)
                load.until(requests=220)
        assert load.here.versions == {"v2"}
        mesh.verify(no_downtime(), split(host="web", error=1e-6))

    @pytest.mark.parametrize("headers", [{}, {"x-test": "1"}])
    def test_a_fault_is_a_backend_that_fails_and_is_gone_again(self, mesh: Mesh, headers: dict[str, str]) -> None:
        mesh.apply(text=LINKERD)
        with mesh.fault("web", abort=503, percent=50, headers=headers):
            assert mesh["web"].shares == {"v1": 100.0}
            load = mesh.load("GET http://web/", rps=300, requests=210, headers=headers).run()
        assert load.share("fault") == mesh.about(50, error=1e-6)
        assert {failure.kind.split()[0] for failure in load.failures} == {"503"}
        assert [s.name for s in mesh.topology.services] == ["web", "web-canary"]
        assert not mesh.provider.pods("default/meshtest-fault-web")
        mesh.verify(fault_bit())

    def test_a_fault_that_nobody_met_is_unknown(self, mesh: Mesh) -> None:
        mesh.apply(text=LINKERD)
        with mesh.fault("web", abort=503, headers={"x-test": "1"}):
            mesh.load("GET http://web/", rps=200, requests=20).run()
        assert mesh.judge(fault_bit()).outcome.name == "UNKNOWN"
