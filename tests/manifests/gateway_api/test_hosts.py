"""What proxies know of tables of Gateway API: precedence across routes, isolated listeners, producers and consumers."""

from __future__ import annotations

import itertools
import random
import time

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.decide import decide
from meshtest.manifests.hosts import gateway_hosts, mesh_hosts
from meshtest.manifests.precedence import rank
from meshtest.model.route import Door, HeaderMatch, Match, StringMatch
from meshtest.model.topology import Topology
from tests.manifests.gateway_api.shop import SHOP, V1, V2, WEB, compiled, documents, gateway, route

EDGE = Door(80, "default/edge")


def exact(value: str) -> StringMatch:
    return StringMatch(kind="exact", value=value)


def prefix(value: str) -> StringMatch:
    return StringMatch(kind="path_prefix", value=value)


GET = HeaderMatch(name=":method", match=exact("GET"))
A, B = (HeaderMatch(name=name, match=exact("x")) for name in "ab")
ORDER = [
    Match(path=exact("/a/b")),
    Match(path=prefix("/a/b"), headers=(GET,)),
    Match(path=prefix("/a/b"), headers=(A, B)),
    Match(path=prefix("/a/b"), headers=(A,), query=(("q", exact("x")),)),
    Match(path=prefix("/a/b"), headers=(A,)),
    Match(path=prefix("/a/b"), query=(("q", exact("x")), ("r", exact("x")))),
    Match(path=prefix("/a/b")),
    Match(path=prefix("/a")),
    Match(path=StringMatch(kind="regex", value="/a.*")),
    Match(path=prefix("/")),
]
"""The spec's own list of criteria, the most specific first."""


@pytest.mark.parametrize(("first", "second"), list(itertools.pairwise(ORDER)))
def test_the_more_specific_match_comes_first(first: Match, second: Match) -> None:
    assert rank(first) < rank(second)


def asked(topology: Topology, host: str, path: str = "/", door: Door = EDGE) -> str:
    """The host a request goes to; "" if no route takes it."""
    found = decide(gateway_hosts(topology, door), host, "GET", path, any_port=True)
    return found.destinations[0].host if found else ""


def to(service: str, path: str = "/") -> str:
    return f"[{{matches: [{{path: {{value: {path}}}}}], backendRefs: [{{name: {service}, port: 80}}]}}]"


class TestAcrossRoutes:
    def test_the_longer_prefix_wins_whatever_the_order(self) -> None:
        texts = [route(to("web-v1", "/a"), name="one"), route(to("web-v2", "/a/b"), name="two")]
        for order in (texts, texts[::-1]):
            topology = compiled(gateway(), *order).topology
            assert asked(topology, "x", "/a/b/c") == V2
            assert asked(topology, "x", "/a/c") == V1

    def test_among_equals_the_oldest_wins_then_namespace_and_name(self) -> None:
        old, new = "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"
        texts = [route(to("web-v1"), name="a", created=new), route(to("web-v2"), name="z", created=old)]
        assert asked(compiled(gateway(), *texts).topology, "x") == V2
        texts = [route(to("web-v1"), name="b"), route(to("web-v2"), name="a")]
        assert asked(compiled(gateway(), *texts).topology, "x") == V2

    def test_within_a_route_the_first_rule_wins(self) -> None:
        rules = "[{backendRefs: [{name: web-v1, port: 80}]}, {backendRefs: [{name: web-v2, port: 80}]}]"
        assert asked(compiled(gateway(), route(rules)).topology, "x") == V1

    def test_the_more_specific_hostname_decides_alone(self) -> None:
        texts = [
            route(to("web-v1"), name="wild", hostnames="['*.example.com']"),
            route(to("web-v2", "/only"), name="one", hostnames="[a.example.com]"),
        ]
        topology = compiled(gateway(), *texts).topology
        assert asked(topology, "a.example.com", "/only") == V2
        assert asked(topology, "a.example.com", "/other") == ""
        assert asked(topology, "b.example.com", "/other") == V1


class TestIsolation:
    LISTENERS = (
        "[{name: all, port: 80, protocol: HTTP}, {name: wild, port: 80, protocol: HTTP, hostname: '*.example.com'}, "
        "{name: one, port: 80, protocol: HTTP, hostname: a.example.com}]"
    )

    def test_a_request_belongs_to_the_most_specific_listener_even_without_a_route_there(self) -> None:
        everything = route(to("web-v1"), parents="[{name: edge, sectionName: all}]")
        topology = compiled(gateway(self.LISTENERS), everything).topology
        assert asked(topology, "other.org") == V1
        assert asked(topology, "a.example.com") == ""
        assert asked(topology, "b.example.com") == ""

    def test_a_hostname_of_a_route_does_not_take_from_another_listener(self) -> None:
        sly = route(to("web-v1"), parents="[{name: edge, sectionName: wild}]", hostnames="['*.example.com']")
        topology = compiled(gateway(self.LISTENERS), sly).topology
        assert asked(topology, "b.example.com") == V1
        assert asked(topology, "a.example.com") == ""

    def test_the_hosts_in_common_are_those_of_the_route(self) -> None:
        texts = [gateway(self.LISTENERS), route(to("web-v1"), hostnames="[very.example.com, '*.org']")]
        topology = compiled(*texts).topology
        assert asked(topology, "very.example.com") == V1
        assert asked(topology, "other.example.com") == ""
        assert asked(topology, "x.org") == V1

    def test_gateways_have_addresses_of_their_own(self) -> None:
        two = gateway() + gateway(name="other")
        topology = compiled(two, route(to("web-v1")), route(to("web-v2"), name="b", parents="[{name: other}]")).topology
        assert asked(topology, "x") == V1
        assert asked(topology, "x", door=Door(80, "default/other")) == V2

    def test_ports_are_told_apart(self) -> None:
        ports = "[{name: a, port: 80, protocol: HTTP}, {name: b, port: 81, protocol: HTTP}]"
        topology = compiled(gateway(ports), route(to("web-v1"), parents="[{name: edge, port: 81}]")).topology
        assert asked(topology, "x") == ""
        assert asked(topology, "x:81", door=Door(81, "default/edge")) == V1


class TestRedirects:
    @pytest.mark.parametrize(
        ("listener", "redirect", "port"),
        [
            (80, "{}", None),
            (8080, "{}", 8080),
            (80, "{port: 8080}", 8080),
            (80, "{port: 80}", None),
            (80, "{scheme: https}", None),
            (8080, "{scheme: https}", 443),
            (8080, "{scheme: https, hostname: a.org}", None),
            (80, "{scheme: https, port: 8443}", 8443),
        ],
    )
    def test_the_port_is_left_out_where_the_scheme_says_it(
        self, listener: int, redirect: str, port: int | None
    ) -> None:
        rules = f"[{{filters: [{{type: RequestRedirect, requestRedirect: {redirect}}}]}}]"
        edge = gateway(f"[{{name: http, port: {listener}, protocol: HTTP}}]")
        hosts = gateway_hosts(compiled(edge, route(rules)).topology, Door(listener, "default/edge"))
        found = decide(hosts, "x", "GET", "/")
        assert found is not None
        assert found.redirect is not None
        assert found.redirect.port == port


class TestMesh:
    PRODUCER = route(to("web-v1"), name="producer", parents="[{group: '', kind: Service, name: web}]")
    CONSUMER = route(
        to("web-v2").replace("web-v2,", "web-v2, namespace: default,"), name="consumer", namespace="data",
        parents="[{group: '', kind: Service, name: web, namespace: default}]",
    )  # fmt: skip

    def called(self, topology: Topology, namespace: str, host: str = WEB, path: str = "/") -> str:
        found = decide(mesh_hosts(topology, namespace=namespace, labels={}), host, "GET", path)
        return found.destinations[0].host if found else ""

    def test_a_producers_route_is_for_all_callers(self) -> None:
        topology = compiled(self.PRODUCER).topology
        assert [self.called(topology, namespace) for namespace in ("default", "data")] == [V1, V1]

    def test_a_consumers_route_overrides_it_for_its_own_namespace(self) -> None:
        topology = compiled(self.PRODUCER, self.CONSUMER).topology
        assert [self.called(topology, namespace) for namespace in ("default", "data")] == [V1, V2]

    def test_a_consumers_route_alone_leaves_others_as_they_are(self) -> None:
        topology = compiled(self.CONSUMER).topology
        assert [self.called(topology, namespace) for namespace in ("default", "data")] == [WEB, V2]

    def test_several_routes_of_one_service_are_merged(self) -> None:
        more = route(to("web-v2", "/v2"), name="more", parents="[{group: '', kind: Service, name: web}]")
        topology = compiled(self.PRODUCER, more).topology
        assert self.called(topology, "default", path="/v2/x") == V2
        assert self.called(topology, "default", path="/x") == V1

    def test_a_port_of_the_parent_leaves_the_other_ports_alone(self) -> None:
        only = route(to("web-v2"), parents="[{group: '', kind: Service, name: web, port: 8080}]")
        topology = compiled(only).topology
        assert self.called(topology, "default", f"{WEB}:8080") == V2
        assert self.called(topology, "default", f"{WEB}:80") == WEB


def test_a_thousand_routes_are_translated_in_time() -> None:
    draw = random.Random(1)
    texts = [
        route(to("web-v1", f"/{draw.randrange(10**6)}/{n}"), name=f"r{n}", hostnames=f"[h{n % 50}.example.com]")
        for n in range(1000)
    ]
    read = documents(SHOP, gateway(), *texts)
    began = time.process_time()
    topology = compile(read).topology
    hosts = gateway_hosts(topology, EDGE)
    assert time.process_time() - began < 1.5
    assert sum(len(host.routes) for host in hosts) == 1000
