"""Which listeners a route attaches to, and what a controller would say about it."""

from __future__ import annotations

import pytest

from meshtest.model.route import MESH
from tests.manifests.gateway_api.shop import compiled, gateway, reason, route, service, status_of

TWO = "[{name: a, port: 80, protocol: HTTP, hostname: '*.example.com'}, {name: b, port: 81, protocol: HTTP}]"


@pytest.mark.parametrize(
    ("parents", "keys"),
    [
        ("[{name: edge}]", {"default/edge/a", "default/edge/b"}),
        ("[{name: edge, sectionName: a}]", {"default/edge/a"}),
        ("[{name: edge, port: 81}]", {"default/edge/b"}),
        ("[{name: edge, sectionName: a, port: 81}]", set()),
        ("[{name: edge, sectionName: a}, {name: edge, sectionName: b}]", {"default/edge/a", "default/edge/b"}),
    ],
)
def test_a_parent_is_named_by_section_and_port(parents: str, keys: set[str]) -> None:
    tables = compiled(gateway(TWO), route(parents=parents)).topology.tables
    assert {key for table in tables for key in table.gateways} == keys


@pytest.mark.parametrize(
    ("parents", "hostnames", "condition", "part"),
    [
        ("[{name: edge}]", "[]", "True Accepted", "parent"),
        ("[{name: edge, sectionName: zzz}]", "[]", "False NoMatchingParent", "zzz"),
        ("[{name: edge, sectionName: a}]", "[other.org]", "False NoMatchingListenerHostname", "parent"),
        ("[{kind: Service, group: '', name: web}]", "[]", "True Accepted", "Service"),
        ("[{kind: Service, group: '', name: nothing}]", "[]", "False NoMatchingParent", "Service"),
        ("[{kind: Service, group: '', name: web, port: 99}]", "[]", "False NoMatchingParent", "Service"),
    ],
)
def test_the_status_of_a_route_says_why(parents: str, hostnames: str, condition: str, part: str) -> None:
    found = compiled(gateway(TWO), route(parents=parents, hostnames=hostnames))
    assert reason(found, "web", "Accepted", part) == condition


@pytest.mark.parametrize(
    ("allowed", "namespace", "attached"),
    [
        ("{namespaces: {from: Same}}", "default", True),
        ("{namespaces: {from: Same}}", "data", False),
        ("{namespaces: {from: All}}", "data", True),
        ("{namespaces: {from: Selector, selector: {matchLabels: {tier: back}}}}", "data", True),
        ("{namespaces: {from: Selector, selector: {matchExpressions: [{key: tier, operator: NotIn, values: [back]}]}}}",
         "data", False),
        ("{namespaces: {from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: data}}}}", "data", True),
        ("{kinds: [{kind: GRPCRoute}], namespaces: {from: All}}", "default", False),
    ],
)  # fmt: skip
def test_listeners_choose_namespaces_and_kinds(allowed: str, namespace: str, attached: bool) -> None:
    data = "apiVersion: v1\nkind: Namespace\nmetadata: {name: data, labels: {tier: back}}\n---\n"
    edge = gateway(f"[{{name: http, port: 80, protocol: HTTP, allowedRoutes: {allowed}}}]")
    found = compiled(data, edge, route(namespace=namespace, parents="[{name: edge, namespace: default}]"))
    assert reason(found, "web", "Accepted") == ("True Accepted" if attached else "False NotAllowedByListeners")
    assert bool(found.topology.tables) is attached


def test_a_parent_that_is_not_there_is_a_warning_at_its_line() -> None:
    found = compiled(route(parents="[{name: gone}]"))
    told = [str(d) for d in found.diagnostics if d.code == "not-attached"]
    assert told == [
        "m.yaml:43: warning: HTTPRoute `default/web` is attached to nothing: there is no Gateway `default/gone` "
        "[not-attached]"
    ]


@pytest.mark.parametrize(
    ("hostnames", "accepted"),
    [("[]", False), ("[a.example.com]", False), ("['*.example.com']", False), ("[b.org]", True)],
)
def test_http_and_grpc_routes_share_no_hostname_and_the_oldest_has_it(hostnames: str, accepted: bool) -> None:
    http = route(name="http", hostnames="[a.example.com]", created="2024-01-01T00:00:00Z")
    grpc = route(name="grpc", kind="GRPCRoute", hostnames=hostnames, created="2025-01-01T00:00:00Z")
    found = compiled(gateway(), grpc, http)
    assert reason(found, "http", "Accepted") == "True Accepted"
    assert reason(found, "grpc", "Accepted") == ("True Accepted" if accepted else "False Conflicted")


class TestListeners:
    def test_two_with_one_hostname_and_port_are_both_left_out(self) -> None:
        twice = "[{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}]"
        found = compiled(gateway(twice))
        assert reason(found, "edge", "Conflicted", "listener a") == "True HostnameConflict"
        assert reason(found, "edge", "Conflicted", "listener b") == "True HostnameConflict"
        assert found.topology.gateways[0].servers == ()

    def test_two_protocols_do_not_share_a_port(self) -> None:
        found = compiled(gateway("[{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: TCP}]"))
        assert reason(found, "edge", "Conflicted", "listener a") == "True ProtocolConflict"

    def test_a_protocol_that_nothing_here_speaks_is_not_accepted(self) -> None:
        found = compiled(gateway("[{name: a, port: 53, protocol: UDP}]"))
        assert reason(found, "edge", "Accepted", "listener a") == "False UnsupportedProtocol"

    def test_https_needs_a_certificate_that_is_there(self) -> None:
        tls = "[{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: gone}]}}]"
        found = compiled(gateway(tls))
        assert reason(found, "edge", "ResolvedRefs", "listener a") == "False InvalidCertificateRef"
        assert reason(found, "edge", "Programmed", "listener a") == "False Invalid"

    def test_a_certificate_of_another_namespace_needs_a_grant(self) -> None:
        tls = "[{name: a, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: x, namespace: data}]}}]"
        found = compiled(gateway(tls))
        assert reason(found, "edge", "ResolvedRefs", "listener a") == "False RefNotPermitted"

    def test_kinds_that_the_protocol_cannot_carry_are_told(self) -> None:
        kinds = "{kinds: [{kind: HTTPRoute}, {kind: TCPRoute}]}"
        found = compiled(gateway(f"[{{name: a, port: 80, protocol: HTTP, allowedRoutes: {kinds}}}]"))
        assert reason(found, "edge", "ResolvedRefs", "listener a") == "False InvalidRouteKinds"

    def test_routes_are_counted_once(self) -> None:
        twice = "[{name: edge}, {name: edge, sectionName: http}]"
        found = compiled(gateway(), route(parents=twice), route(name="other"))
        assert status_of(found, "edge", "listener http").attached == 2


class TestListenerSets:
    SET = """\
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more, namespace: NAMESPACE}
spec:
  parentRef: {name: edge, namespace: default}
  listeners: [{name: http, port: 80, protocol: HTTP, hostname: set.example.com}]
---
"""

    def listener_set(self, namespace: str = "default") -> str:
        return self.SET.replace("NAMESPACE", namespace)

    def test_a_gateway_admits_none_unless_it_says_so(self) -> None:
        found = compiled(gateway(), self.listener_set())
        assert reason(found, "more", "Accepted") == "False NotAllowed"
        assert len(found.topology.gateways[0].servers) == 1

    def test_its_listeners_are_servers_of_the_gateway(self) -> None:
        edge = gateway(more="allowedListeners: {namespaces: {from: All}}")
        parents = "[{kind: ListenerSet, name: more, namespace: data}]"
        found = compiled(edge, self.listener_set("data"), route(namespace="data", parents=parents))
        assert [s.name for s in found.topology.gateways[0].servers] == ["http", "data/more/http"]
        assert found.topology.tables[0].gateways == ("default/edge/data/more/http",)

    def test_the_gateways_own_listener_wins_a_conflict(self) -> None:
        edge = gateway(
            "[{name: own, port: 80, protocol: HTTP, hostname: set.example.com}]",
            more="allowedListeners: {namespaces: {from: Same}}",
        )
        found = compiled(edge, self.listener_set())
        assert reason(found, "more", "Conflicted", "listener http") == "True HostnameConflict"
        assert [s.name for s in found.topology.gateways[0].servers] == ["own"]


class TestMesh:
    def test_a_route_of_the_services_namespace_is_for_everyone(self) -> None:
        parents = "[{group: '', kind: Service, name: web}]"
        table = compiled(route(parents=parents)).topology.tables[0]
        assert (table.gateways, table.visible_to, table.hosts) == (
            (MESH,), (), ("web.default.svc.cluster.local",),
        )  # fmt: skip

    def test_a_route_of_another_namespace_is_for_callers_there(self) -> None:
        parents = "[{group: '', kind: Service, name: web, namespace: default}]"
        rules = "[{backendRefs: [{name: web-v1, namespace: default, port: 80}]}]"
        table = compiled(route(rules, namespace="data", parents=parents)).topology.tables[0]
        assert table.visible_to == ("data",)
        assert table.routes[0].destinations[0].broken == 0, "in the mesh no grant is asked for"

    def test_a_parents_port_limits_the_route_to_it(self) -> None:
        parents = "[{group: '', kind: Service, name: web, port: 8080}]"
        table = compiled(service("other", "{app: x}"), route(parents=parents)).topology.tables[0]
        assert [r.match.port for r in table.routes] == [8080]
