"""EndpointSlices: the endpoints of a Service without a selector."""

from __future__ import annotations

from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read_text
from meshtest.model.service import Endpoint, Service

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: bank}
spec: {ports: [{name: http, port: 80}]}
---
"""
SLICE = """\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: bank-1, labels: {kubernetes.io/service-name: bank}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: dns, port: 53, protocol: UDP}]
endpoints:
- {addresses: [192.0.2.1, 192.0.2.2], zone: eu-1}
- {addresses: [192.0.2.3], conditions: {ready: false}}
---
"""


def bank(text: str) -> Service:
    return compile(read_text(text, "m.yaml")).topology.services[0]


def said(text: str) -> list[str]:
    return [str(d) for d in compile(read_text(text, "m.yaml")).diagnostics]


def test_a_service_without_a_selector_has_the_ready_endpoints_of_its_slices() -> None:
    endpoints = bank(SERVICE + SLICE + SLICE.replace("bank-1", "bank-2").replace("192.0.2.", "192.0.3.")).endpoints
    assert endpoints[0] == Endpoint(address="192.0.2.1", ports=(("http", 8080),), locality="/eu-1")
    assert [e.address for e in endpoints] == ["192.0.2.1", "192.0.2.2", "192.0.3.1", "192.0.3.2"]


def test_a_service_with_a_selector_has_its_pods() -> None:
    selecting = SERVICE.replace("spec: {", "spec: {selector: {app: bank}, ")
    assert bank(selecting + SLICE).endpoints == ()
    assert any("has a selector: its endpoints are its pods" in line for line in said(selecting + SLICE))


def test_a_slice_of_nobody_is_told() -> None:
    assert any("there is no Service `default/bank` for this slice" in line for line in said(SLICE))
    unlabelled = SLICE.replace(", labels: {kubernetes.io/service-name: bank}", "")
    assert any("belongs to no Service" in line for line in said(SERVICE + unlabelled))


def test_names_are_the_matter_of_a_service_entry() -> None:
    assert any("ServiceEntry" in line for line in said(SERVICE + SLICE.replace("IPv4", "FQDN")))
