"""What a proxy knows: virtual hosts, which table counts for each, and whose routes they are."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.hosts import gateway_hosts, mesh_hosts
from meshtest.manifests.reader import read_text
from meshtest.model.route import Door, VirtualHost
from meshtest.model.topology import Topology

FQDN = "reviews.default.svc.cluster.local"

Labels = Mapping[str, str]


def topology(*parts: str) -> Topology:
    return compile(read_text("---\n".join(parts))).topology


def service(name: str, *, ports: str = "[{port: 80}]", namespace: str = "default") -> str:
    head = f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
    return f"{head}spec: {{ports: {ports}, selector: {{app: {name}}}}}\n"


def virtual_service(
    name: str, hosts: str, *rules: str, more: str = "", meta: str = "", namespace: str = "default"
) -> str:
    http = "".join(f"  - {{{rule}}}\n" for rule in rules)
    kind = "apiVersion: networking.istio.io/v1\nkind: VirtualService"
    metadata = f"metadata: {{name: {name}, namespace: {namespace}{meta}}}"
    return f"{kind}\n{metadata}\nspec:\n  hosts: {hosts}\n{more}  http:\n{http}"


def gateway(name: str, *servers: str, namespace: str = "default") -> str:
    head = f"apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {{name: {name}, namespace: {namespace}}}"
    return f"{head}\nspec:\n  servers:\n" + "".join(f"  - {{{server}}}\n" for server in servers)


def server(port: int, hosts: str = '["*"]') -> str:
    return f"port: {{number: {port}, protocol: HTTP, name: http-{port}}}, hosts: {hosts}"


def to(host: str, more: str = "") -> str:
    return f"route: [{{destination: {{host: {host}{more}}}}}]"


def answer(name: str) -> str:
    return f"name: {name}, directResponse: {{status: 200}}"


def mesh(found: Topology, namespace: str = "default", labels: Labels | None = None) -> dict[str, VirtualHost]:
    hosts = mesh_hosts(found, namespace=namespace, labels=labels or {})
    assert [h.name for h in hosts] == sorted(h.name for h in hosts)
    return {host.name: host for host in hosts}


def names(host: VirtualHost) -> list[str]:
    return [route.name for route in host.routes]


class TestDomains:
    def test_a_service_is_known_by_every_name_with_its_port(self) -> None:
        hosts = mesh(topology(service("reviews", ports="[{port: 9080}]")))
        assert hosts[f"{FQDN}:9080"].domains == (
            f"{FQDN}:9080",
            "reviews.default.svc:9080",
            "reviews.default:9080",
            "reviews:9080",
        )

    def test_port_80_need_not_be_said(self) -> None:
        domains = mesh(topology(service("reviews")))[f"{FQDN}:80"].domains
        assert {"reviews", "reviews:80", FQDN, f"{FQDN}:80"} < set(domains)

    def test_callers_of_other_namespaces_do_not_know_the_bare_name(self) -> None:
        domains = mesh(topology(service("reviews")), "shop")[f"{FQDN}:80"].domains
        assert "reviews.default" in domains
        assert "reviews" not in domains

    def test_each_http_port_is_a_host_and_tcp_ports_are_none(self) -> None:
        ports = "[{port: 80, name: http}, {port: 90, name: grpc}, {port: 99, name: tcp-db}]"
        assert list(mesh(topology(service("reviews", ports=ports)))) == [f"{FQDN}:80", f"{FQDN}:90"]

    def test_a_host_that_is_no_service_is_known_on_port_80(self) -> None:
        found = topology(service("reviews"), virtual_service("out", "[a.example, '*.b.example']", to("reviews")))
        hosts = mesh(found)
        assert hosts["a.example:80"].domains == ("a.example:80", "a.example")
        assert hosts["*.b.example:80"].domains == ("*.b.example:80", "*.b.example")

    def test_a_name_between_short_and_full_belongs_to_the_table_that_writes_it(self) -> None:
        found = topology(service("reviews"), virtual_service("v", "[reviews.default]", answer("v")))
        hosts = mesh(found)
        assert hosts["reviews.default:80"].domains == ("reviews.default:80", "reviews.default")
        assert "reviews.default" not in hosts[f"{FQDN}:80"].domains
        assert "reviews" in hosts[f"{FQDN}:80"].domains

    def test_a_wildcard_that_covers_services_is_no_host_of_its_own(self) -> None:
        found = topology(service("reviews"), virtual_service("all", "['*']", answer("all")))
        assert {name: names(host) for name, host in mesh(found).items()} == {f"{FQDN}:80": ["all"]}


class TestWhichTable:
    def test_without_a_table_everything_goes_to_the_service(self) -> None:
        found = topology(service("reviews", ports="[{port: 9080}]"))
        (route,) = mesh(found)[f"{FQDN}:9080"].routes
        assert [(d.host, d.port, d.subset) for d in route.destinations] == [(FQDN, 9080, "")]
        assert route.retry == found.default_retry
        assert route.timeout is None

    def test_tables_for_gateways_do_not_reach_the_mesh(self) -> None:
        found = topology(
            service("reviews"), gateway("edge", server(80)),
            virtual_service("edge", "[reviews]", answer("edge"), more="  gateways: [edge]\n"),
        )  # fmt: skip
        assert names(mesh(found)[f"{FQDN}:80"]) == ["default"]

    def test_the_oldest_wins_and_then_the_first_name(self) -> None:
        old = virtual_service("z", "[reviews]", answer("old"), meta=", creationTimestamp: 2020-01-01T00:00:00Z")
        new = virtual_service("y", "[reviews]", answer("new"), meta=", creationTimestamp: 2021-01-01T00:00:00Z")
        assert names(mesh(topology(service("reviews"), new, old))[f"{FQDN}:80"]) == ["old"]
        twins = (virtual_service("b", "[reviews]", answer("b")), virtual_service("a", "[reviews]", answer("a")))
        assert names(mesh(topology(service("reviews"), *twins))[f"{FQDN}:80"]) == ["a"]

    def test_the_exact_host_wins_over_a_wildcard_and_a_longer_one_over_a_shorter(self) -> None:
        tables = [
            virtual_service("a", "['*']", answer("any")),
            virtual_service("b", "['*.svc.cluster.local']", answer("long")),
        ]
        assert names(mesh(topology(service("reviews"), *tables))[f"{FQDN}:80"]) == ["long"]
        exact = virtual_service("c", "[reviews]", answer("exact"))
        assert names(mesh(topology(service("reviews"), *tables, exact))[f"{FQDN}:80"]) == ["exact"]

    def test_a_table_that_is_not_exported_is_for_its_own_namespace(self) -> None:
        found = topology(service("reviews"), virtual_service("a", "[reviews]", answer("a"), more="  exportTo: [.]\n"))
        assert names(mesh(found)[f"{FQDN}:80"]) == ["a"]
        assert names(mesh(found, "shop")[f"{FQDN}:80"]) == ["default"]

    def test_a_table_without_a_route_for_the_caller_leaves_the_host_alone(self) -> None:
        rule = "match: [{sourceLabels: {app: web}}], " + answer("web")
        found = topology(service("reviews"), virtual_service("a", "[reviews]", rule))
        assert names(mesh(found, labels={"app": "web"})[f"{FQDN}:80"]) == ["web"]
        assert names(mesh(found)[f"{FQDN}:80"]) == ["default"]


class TestWhichRoutes:
    @pytest.mark.parametrize(
        ("match", "namespace", "labels", "counts"),
        [
            ("sourceLabels: {app: web}", "default", {"app": "web", "x": "y"}, True),
            ("sourceLabels: {app: web}", "default", {"app": "other"}, False),
            ("sourceNamespace: shop", "shop", {}, True),
            ("sourceNamespace: shop", "default", {}, False),
            ("gateways: [mesh]", "default", {}, True),
            ("gateways: [edge]", "default", {}, False),
            ("gateways: [mesh], sourceLabels: {app: web}", "default", {}, True),
            ("port: 80", "default", {}, True),
            ("port: 81", "default", {}, False),
        ],
    )
    def test_a_match_counts_for_some_callers(self, match: str, namespace: str, labels: Labels, counts: bool) -> None:
        rule = f"match: [{{{match}}}], {answer('special')}"
        found = topology(service("reviews"), virtual_service("a", "[reviews]", rule, answer("rest")))
        assert names(mesh(found, namespace, labels)[f"{FQDN}:80"]) == (["special"] if counts else ["rest"])

    def test_nothing_behind_a_catch_all_is_kept(self) -> None:
        rules = ("match: [{uri: {prefix: /a}}], " + answer("a"), answer("all"), answer("never"))
        found = topology(service("reviews"), virtual_service("v", "[reviews]", *rules))
        assert names(mesh(found)[f"{FQDN}:80"]) == ["a", "all"]

    def test_a_port_left_open_is_that_of_the_request(self) -> None:
        ports = "[{port: 80, name: http}, {port: 90, name: http-b}]"
        rule = to("reviews") + ", mirror: {host: reviews}"
        hosts = mesh(topology(service("reviews", ports=ports), virtual_service("v", "[reviews]", rule)))
        for port in (80, 90):
            (route,) = hosts[f"{FQDN}:{port}"].routes
            assert [d.port for d in route.destinations] == [port]
            assert [m.destination.port for m in route.mirrors] == [port]

    @pytest.mark.parametrize(
        ("redirect", "port"),
        [
            ("derivePort: FROM_REQUEST_PORT", 9080),
            ("derivePort: FROM_PROTOCOL_DEFAULT", None),
            ("port: 80", None),
            ("port: 443, scheme: https", None),
            ("port: 443", 443),
        ],
    )
    def test_the_port_of_a_redirect(self, redirect: str, port: int | None) -> None:
        rule = f"redirect: {{{redirect}}}"
        found = topology(service("reviews", ports="[{port: 9080}]"), virtual_service("v", "[reviews]", rule))
        (route,) = mesh(found)[f"{FQDN}:9080"].routes
        assert route.redirect is not None
        assert route.redirect.port == port

    def test_callers_that_see_the_same_get_the_same_tuple(self) -> None:
        rule = "match: [{sourceLabels: {app: web}}], " + answer("web")
        found = topology(service("reviews"), virtual_service("v", "[reviews]", rule))
        plain = mesh_hosts(found, namespace="default", labels={"version": "v1"})
        assert mesh_hosts(found, namespace="default", labels={"version": "v2"}) is plain
        assert mesh_hosts(found, namespace="default", labels={"app": "web"}) != plain


class TestGateway:
    def hosts(self, *parts: str, port: int = 80, gateways: list[str] | None = None) -> dict[str, VirtualHost]:
        found = gateway_hosts(topology(service("reviews"), *parts), Door(port), gateways)
        return {host.name: host for host in found}

    def test_a_table_is_served_where_host_and_server_meet(self) -> None:
        edge = gateway("edge", server(80, '["*.example"]'))
        table = virtual_service("v", "[a.example, b.other]", answer("a"), more="  gateways: [edge]\n")
        hosts = self.hosts(edge, table)
        assert {h.name: h.domains for h in hosts.values()} == {"a.example:80": ("a.example",)}

    def test_the_narrower_of_two_wildcards_counts(self) -> None:
        edge = gateway("edge", server(80, "[a.example]"))
        table = virtual_service("v", "['*.example']", answer("a"), more="  gateways: [edge]\n")
        assert list(self.hosts(edge, table)) == ["a.example:80"]

    @pytest.mark.parametrize(
        ("host", "served"),
        [("shop/*", True), ("*/*", True), ("./*", False), ("default/*", False)],
    )
    def test_a_server_may_admit_one_namespace_only(self, host: str, served: bool) -> None:
        edge = gateway("edge", server(80, f'["{host}"]'))
        table = virtual_service("v", "[a.example]", answer("a"), more="  gateways: [default/edge]\n", namespace="shop")
        assert list(self.hosts(edge, table)) == (["a.example:80"] if served else [])

    def test_a_table_for_the_mesh_is_not_served(self) -> None:
        assert self.hosts(gateway("edge", server(80)), virtual_service("v", "[a.example]", answer("a"))) == {}

    def test_tables_of_one_host_are_merged_with_catch_alls_last(self) -> None:
        some = "match: [{uri: {prefix: /b}}], " + answer("b")
        tables = [
            virtual_service("a", "[a.example]", answer("all"), more="  gateways: [edge]\n"),
            virtual_service("b", "[a.example]", some, more="  gateways: [edge]\n"),
        ]
        assert names(self.hosts(gateway("edge", server(80)), *tables)["a.example:80"]) == ["b", "all"]

    def test_gateways_on_one_port_share_it_and_ports_are_told_apart(self) -> None:
        gateways = [gateway("a", server(80)), gateway("b", server(80), server(81))]
        tables = [
            virtual_service("a", "[a.example]", answer("a"), more="  gateways: [a]\n"),
            virtual_service("b", "[b.example]", answer("b"), more="  gateways: [a, b]\n"),
        ]
        assert list(self.hosts(*gateways, *tables)) == ["a.example:80", "b.example:80"]
        assert names(self.hosts(*gateways, *tables)["b.example:80"]) == ["b"]
        assert list(self.hosts(*gateways, *tables, port=81)) == ["b.example:81"]
        assert list(self.hosts(*gateways, *tables, gateways=["default/a"])) == ["a.example:80", "b.example:80"]
        assert list(self.hosts(*gateways, *tables, gateways=["default/b"])) == ["b.example:80"]

    @pytest.mark.parametrize(
        ("match", "counts"),
        [
            ("gateways: [edge]", True),
            ("gateways: [mesh]", False),
            ("sourceLabels: {app: a}", False),
            ("sourceNamespace: default", True),
            ("sourceNamespace: shop", False),
            ("port: 80", True),
            ("port: 81", False),
        ],
    )
    def test_a_match_counts_at_some_gateways(self, match: str, counts: bool) -> None:
        rule = f"match: [{{{match}}}], {answer('special')}"
        table = virtual_service("v", "[a.example]", rule, answer("rest"), more="  gateways: [edge, mesh]\n")
        (host,) = self.hosts(gateway("edge", server(80)), table).values()
        assert names(host) == (["special"] if counts else ["rest"])


class TestExport:
    """Among VirtualServices of one host: private to the caller's namespace, then exported to it, then public ones."""

    @pytest.mark.parametrize(
        ("exports", "namespace", "winner"),
        [
            (("['*']", "['*']", "['*']"), "default", 1.0),
            (("['*']", "[default]", "['*']"), "default", 2.0),
            (("['*']", "['*']", "[., shop]"), "default", 3.0),
            (("['*']", "[shop]", "[., shop]"), "default", 3.0),
            (("['*']", "[shop]", "[., shop]"), "shop", 2.0),
            (("['*']", "['*']", "['~']"), "default", 1.0),
        ],
    )
    def test_the_narrowest_comes_first(self, exports: tuple[str, ...], namespace: str, winner: float) -> None:
        tables = [
            virtual_service(
                f"v{number}",
                f"[{FQDN}]",
                f"timeout: {number}s, route: [{{destination: {{host: {FQDN}}}}}]",
                more=f"  exportTo: {export}\n",
                namespace="other" if number == 2 else "default",
            )
            for number, export in enumerate(exports, 1)
        ]
        (host,) = mesh_hosts(topology(service("reviews"), *tables), namespace=namespace, labels={})
        assert host.routes[0].timeout == winner
