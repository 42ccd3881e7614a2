"""ServiceEntries and WorkloadEntries as services, and what of them callers can name."""

from __future__ import annotations

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.hosts import mesh_hosts
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Severity
from meshtest.model.service import Endpoint, Service, ServicePort
from meshtest.model.topology import Topology

HEAD = "apiVersion: networking.istio.io/v1\nkind: "
HTTP = "{number: 80, name: http, protocol: HTTP}"


def entry(spec: str, *, name: str = "e", namespace: str = "default", meta: str = "") -> str:
    head = f"---\n{HEAD}ServiceEntry\nmetadata: {{name: {name}, namespace: {namespace}{meta}}}\n"
    return f"{head}spec: {{{spec}}}\n"


def workload_entry(spec: str, *, name: str = "w", labels: str = "{}") -> str:
    return f"---\n{HEAD}WorkloadEntry\nmetadata: {{name: {name}, labels: {labels}}}\nspec: {{{spec}}}\n"


def topology(text: str) -> Topology:
    compiled = compile(read_text(text))
    assert [str(d) for d in compiled.diagnostics if d.severity is Severity.ERROR] == []
    return compiled.topology


def the_service(text: str) -> Service:
    (found,) = topology(text).services
    return found


def said(text: str) -> list[str]:
    notes = compile(read_text(text, "m.yaml")).diagnostics
    return [str(d) for d in notes if d.severity >= Severity.WARNING]


def domains(text: str, namespace: str = "default") -> dict[str, tuple[str, ...]]:
    return {h.name: h.domains for h in mesh_hosts(topology(text), namespace=namespace, labels={})}


class TestService:
    def test_each_host_is_a_service(self) -> None:
        text = entry(
            f"hosts: [a.example, '*.b.example'], ports: [{HTTP}], addresses: [240.0.0.1/32, 10.0.0.0/8], "
            "location: MESH_INTERNAL, exportTo: [., shop], subjectAltNames: [spiffe://a]"
        )
        one, two = topology(text).services
        assert (one.fqdn, two.fqdn) == ("a.example", "*.b.example")
        assert one.ports == (ServicePort(number=80, name="http", target=80),)
        assert (one.external, one.resolution, one.endpoints) == (False, "NONE", ())
        assert one.addresses == ("240.0.0.1", "10.0.0.0/8")
        assert (one.visible_to, one.subject_alt_names) == (("default", "shop"), ("spiffe://a",))

    def test_an_endpoint_port_is_its_own_or_the_target_port_or_the_port(self) -> None:
        ports = "{number: 80, name: a, targetPort: 8080}, {number: 81, name: b}, {number: 82, name: c, protocol: TCP}"
        found = the_service(
            entry(
                f"hosts: [a.example], ports: [{ports}], resolution: STATIC, endpoints: [{{address: 127.0.0.2, "
                "ports: {c: 99}, labels: {version: v1}, locality: r/z, weight: 5, serviceAccount: s}]"
            )
        )
        assert found.endpoints == (
            Endpoint(
                address="127.0.0.2",
                ports=(("a", 8080), ("b", 81), ("c", 99)),
                labels={"version": "v1"},
                locality="r/z",
                weight=5,
                service_account="s",
            ),
        )
        assert [port.protocol for port in found.ports] == ["http", "http", "tcp"]

    def test_a_host_without_endpoints_is_looked_up(self) -> None:
        found = the_service(entry(f"hosts: [a.example], ports: [{HTTP}], resolution: DNS"))
        assert (found.resolution, found.endpoints) == ("DNS", (Endpoint(address="a.example", ports=(("http", 80),)),))

    def test_a_selector_finds_workload_entries_and_pods(self, reviews: str) -> None:
        text = reviews + entry(
            f"hosts: [a.example], ports: [{HTTP}], resolution: STATIC, workloadSelector: {{labels: {{app: reviews}}}}"
        )
        text += workload_entry("address: 10.0.0.1, ports: {http: 81}, labels: {app: reviews}")
        text += workload_entry("address: 10.0.0.2", name="x", labels="{app: reviews}")
        text += workload_entry("address: 10.0.0.3, labels: {app: other}", name="y")
        found = topology(text)
        kubernetes, own = found.services
        assert [(e.address, e.ports) for e in own.endpoints] == [
            ("10.0.0.1", (("http", 81),)),
            ("10.0.0.2", (("http", 80),)),
        ]
        assert own.resolution == "PODS"
        assert [w.name for w in found.backends(own)] == ["reviews-v1", "reviews-v2"]
        assert [e.address for e in kubernetes.endpoints] == ["10.0.0.1", "10.0.0.2"]

    def test_entries_of_one_host_and_namespace_share_ports_and_endpoints(self) -> None:
        text = entry(f"hosts: [a.example], ports: [{HTTP}], resolution: STATIC, endpoints: [{{address: 127.0.0.2}}]")
        text += entry(
            "hosts: [a.example], ports: [{number: 81, name: b}], resolution: STATIC, endpoints: [{address: 127.0.0.3}]",
            name="f",
        )
        found = the_service(text)
        assert [port.number for port in found.ports] == [80, 81]
        assert [e.address for e in found.endpoints] == ["127.0.0.2", "127.0.0.3"]

    def test_a_name_is_no_endpoint_where_nobody_looks_it_up(self) -> None:
        text = entry(f"hosts: [a.example], ports: [{HTTP}], resolution: STATIC, endpoints: [{{address: 127.0.0.2}}]")
        text += entry("hosts: [a.example], ports: [{number: 81, name: b}], resolution: DNS", name="f")
        assert [e.address for e in the_service(text).endpoints] == ["127.0.0.2"]
        assert said(text) == [
            "m.yaml:2: warning: `a.example` is reached by resolution STATIC, which looks up no name: `a.example` gets "
            "no request [unresolved-endpoint]"
        ]

    def test_a_machine_with_a_name_is_no_endpoint_of_pods(self, reviews: str) -> None:
        text = reviews + workload_entry("address: vm.example", labels="{app: reviews}")
        found = topology(text).services
        assert [e for service in found for e in service.endpoints] == []
        assert any("`vm.example` gets no request" in line for line in said(text))

    def test_the_oldest_entry_of_a_host_counts(self) -> None:
        young = entry(f"hosts: [a.example], ports: [{HTTP}]", meta=", creationTimestamp: '2025-01-01T00:00:00Z'")
        old = entry("hosts: [a.example], ports: [{number: 81, name: b}]", namespace="b", meta="")
        assert [p.number for p in the_service(young + old).ports] == [81]
        assert said(young + old) == [
            "m.yaml:2: warning: `a.example` is already the host of a ServiceEntry (m.yaml:7): this ServiceEntry is "
            "left out [duplicate-host]"
        ]

    def test_a_service_of_kubernetes_comes_first(self, reviews: str) -> None:
        text = reviews + entry(f"hosts: [reviews.default.svc.cluster.local], ports: [{HTTP}]")
        assert the_service(text).host == ""
        assert "is already the host of a Service (<text>:1)" in compile(read_text(text)).diagnostics[-1].message


class TestHosts:
    def test_a_host_is_named_with_its_port_and_80_without(self) -> None:
        text = entry(f"hosts: [a.example], addresses: [240.0.0.1, 10.0.0.0/8, 'fd::1'], ports: [{HTTP}]")
        assert domains(text)["a.example:80"] == (
            "a.example:80", "a.example", "240.0.0.1:80", "240.0.0.1", "[fd::1]:80", "[fd::1]",
        )  # fmt: skip

    def test_other_ports_are_named(self) -> None:
        text = entry("hosts: ['*.example'], ports: [{number: 81, name: http}, {number: 82, name: t, protocol: TLS}]")
        assert domains(text) == {"*.example:81": ("*.example:81",)}

    def test_a_host_that_looks_like_a_service_has_its_short_names(self) -> None:
        text = entry(f"hosts: [a.b.svc.cluster.local], ports: [{HTTP}]")
        assert "a.b:80" in domains(text)["a.b.svc.cluster.local:80"]

    def test_it_is_seen_where_it_is_exported_to(self) -> None:
        text = entry(f"hosts: [a.example], ports: [{HTTP}], exportTo: [.]")
        assert domains(text)
        assert domains(text, namespace="other") == {}

    def test_a_virtual_service_routes_it(self) -> None:
        text = entry("hosts: [a.example], ports: [{number: 8080, name: http}]")
        text += f"---\n{HEAD}VirtualService\nmetadata: {{name: v}}\nspec:\n  hosts: ['*.example']\n"
        text += "  http: [{timeout: 7s, route: [{destination: {host: a.example}}]}]\n"
        (host,) = mesh_hosts(topology(text), namespace="default", labels={})
        assert (host.name, host.routes[0].timeout) == ("a.example:8080", 7.0)
        assert host.routes[0].destinations[0].port == 8080

    def test_subsets_are_over_the_labels_of_endpoints(self) -> None:
        text = entry(
            f"hosts: [a.example], ports: [{HTTP}], resolution: STATIC, "
            "endpoints: [{address: 127.0.0.2, labels: {version: v1}}]"
        )
        text += f"---\n{HEAD}DestinationRule\nmetadata: {{name: d}}\nspec:\n  host: a.example\n"
        text += "  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]\n"
        assert [s.name for s in topology(text).policies["a.example"].subsets] == ["v1", "v2"]
        (warning,) = said(text)
        assert warning.endswith("subset `v2` of `a.example` selects no endpoint (version=v2) [empty-subset]")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("hosts: []", "`spec.hosts` needs at least one host"),
        ("hosts: ['*']", "`spec.hosts[0]` must be a host or *.DOMAIN, not '*'"),
        ("hosts: [a.b], resolution: STATIK", "did you mean 'STATIC'?"),
        ("hosts: [a.b], ports: [{number: 80}]", "`spec.ports[0].name` is required"),
        ("hosts: [a.b], ports: [{number: 80, name: a}, {number: 80, name: b}]", "port 80 stands twice"),
        ("hosts: [a.b], ports: [{number: 80, name: a, protocol: HTPP}]", "did you mean 'HTTP'?"),
        ("hosts: [a.b], addresses: [ten]", "`spec.addresses[0]` must be an IP address or CIDR, not 'ten'"),
        ("hosts: [a.b], resolution: DNS, addresses: [10.0.0.0/8]", "CIDRs go with NONE and STATIC only"),
        ("hosts: ['*.b'], resolution: DNS", "'*.b' cannot be looked up (DNS); give endpoints, or use NONE"),
        ("hosts: [a.b], endpoints: [{address: 1.2.3.4}]", "with resolution NONE requests go where the caller sends"),
        (
            "hosts: [a.b], resolution: STATIC, endpoints: [{address: c.d}]",
            "`spec.endpoints[0].address` must be an IP address with resolution STATIC, not 'c.d'; use DNS",
        ),
        (
            "hosts: [a.b], resolution: DNS_ROUND_ROBIN, endpoints: [{address: c.d}, {address: e.f}]",
            "DNS_ROUND_ROBIN takes at most one",
        ),
        (
            "hosts: [a.b], resolution: STATIC, workloadSelector: {labels: {a: b}}, endpoints: [{address: 1.2.3.4}]",
            "takes one of workloadSelector, endpoints; it has both",
        ),
        (
            "hosts: [a.b], ports: [{number: 80, name: a}], resolution: STATIC, "
            "endpoints: [{address: 1.2.3.4, ports: {b: 80}}]",
            "`spec.endpoints[0].ports.b` is no port of the entry; it has a",
        ),
        (
            "hosts: [a.b], resolution: STATIC, endpoints: [{address: 1.2.3.4, ports: {b: x}}]",
            "`spec.endpoints[0].ports.b` must be 1 to 65535, not 'x'",
        ),
        ("hosts: [a.b], resolution: STATIC, endpoints: [{labels: {a: b}}]", "`spec.endpoints[0].address` is required"),
    ],
)
def test_each_complaint_has_its_place(spec: str, message: str) -> None:
    assert any(message in text for text in said(entry(spec)))
