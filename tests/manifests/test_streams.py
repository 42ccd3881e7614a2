"""tcp and tls rules of VirtualServices."""

from __future__ import annotations

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Severity
from meshtest.model.route import RouteTable, StreamMatch

HEAD = """\
apiVersion: v1
kind: Service
metadata: {name: mongo}
spec: {ports: [{port: 27017, name: mongo}], selector: {app: mongo}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: mongo}
spec: {host: mongo, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: mongo}
spec:
"""
V1, V2 = "{destination: {host: mongo, subset: v1}, weight: 80}", "{destination: {host: mongo, subset: v2}, weight: 20}"
TO = f"route: [{V1}, {V2}]"


def table(spec: str) -> RouteTable:
    (found,) = compile(read_text(HEAD + spec)).topology.tables
    return found


def said(spec: str) -> list[str]:
    notes = compile(read_text(HEAD + spec, "m.yaml")).diagnostics
    return [str(d).partition(": ")[2] for d in notes if d.severity is Severity.ERROR]


def test_a_tcp_route_splits_by_weight_and_gets_its_port() -> None:
    (route,) = table(f"  hosts: [mongo]\n  tcp: [{{{TO}}}]").tcp
    assert route.match == StreamMatch()
    assert [(d.subset, d.port, d.weight) for d in route.destinations] == [("v1", 27017, 80), ("v2", 27017, 20)]


def test_each_match_is_a_route() -> None:
    match = "{port: 1, destinationSubnets: [10.1.0.1/16], sourceNamespace: shop, gateways: [mesh, edge]}"
    first, second = table(f"  hosts: [mongo]\n  tcp: [{{match: [{match}, {{sourceLabels: {{a: b}}}}], {TO}}}]").tcp
    assert first.match == StreamMatch(
        port=1, destination_subnets=("10.1.0.0/16",), caller_namespace="shop", gateways=("mesh", "default/edge")
    )
    assert second.match == StreamMatch(caller_labels={"a": "b"})


def test_a_tls_route_goes_by_the_name_of_the_server() -> None:
    found = table(f"  hosts: ['*.example', b.test]\n  tls: [{{match: [{{sniHosts: [a.example, b.test]}}], {TO}}}]")
    assert found.tls[0].match == StreamMatch(sni_hosts=("a.example", "b.test"))
    assert (found.tcp, found.routes) == ((), ())


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("tcp: [{match: [{port: 1}]}]", "`spec.tcp[0].route` is required"),
        ("tcp: [{route: []}]", "`spec.tcp[0].route` needs at least one destination"),
        (f"tls: [{{{TO}}}]", "`spec.tls[0].match` is required: a tls rule goes by `sniHosts`"),
        (f"tls: [{{match: [{{port: 1}}], {TO}}}]", "`spec.tls[0].match[0].sniHosts` is required"),
        (
            f"tls: [{{match: [{{sniHosts: [a.example]}}], {TO}}}]",
            "`spec.tls[0].match[0].sniHosts[0]`: 'a.example' is none of the VirtualService's hosts (mongo)",
        ),
        (
            f"tcp: [{{match: [{{destinationSubnets: [ten]}}], {TO}}}]",
            "`spec.tcp[0].match[0].destinationSubnets[0]` must be an IP address or CIDR, not 'ten'",
        ),
        ("tcp: [{route: [{destination: {host: mango}}]}]", "destination `mango` is no Service here"),
        (f"tcp: [{{match: [{{gateways: [edge]}}], {TO}}}]", "there is no Gateway `default/edge`"),
        (f"tcp: [{{{TO.replace('80', '0').replace('20', '0')}}}]", "the weights of `spec.tcp[0].route` sum to 0"),
    ],
)
def test_each_complaint_has_its_place(spec: str, message: str) -> None:
    assert any(message in text for text in said(f"  hosts: [mongo]\n  {spec}"))


def test_a_rule_behind_one_that_takes_everything_is_told() -> None:
    notes = compile(read_text(HEAD + f"  hosts: [mongo]\n  tcp:\n  - {{{TO}}}\n  - {{{TO}}}", "m.yaml")).diagnostics
    assert [str(d) for d in notes if d.code == "unreachable-rule"] == [
        "m.yaml:18: warning: `spec.tcp[1]` is never reached: `spec.tcp[0]` (m.yaml:17) takes every connection "
        "[unreachable-rule]"
    ]
