"""What callers know of the mesh when a Sidecar says so."""

from __future__ import annotations

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.hosts import mesh_hosts
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Severity

HEAD = "---\napiVersion: networking.istio.io/v1\nkind: "


def service(name: str, namespace: str = "default", port: int = 80) -> str:
    head = f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
    return f"{head}spec: {{ports: [{{port: {port}}}], selector: {{app: {name}}}}}\n"


def sidecar(*hosts: str, namespace: str = "default", name: str = "s", more: str = "", port: str = "") -> str:
    listed = ", ".join(f"'{host}'" for host in hosts)
    spec = f"egress: [{{{port}hosts: [{listed}]}}]" if hosts else ""
    return f"{HEAD}Sidecar\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{{spec}{more}}}\n"


MESH = service("a") + service("b") + service("c", "shop") + service("d", "shop", 81)


def known(text: str, namespace: str = "default", **labels: str) -> list[str]:
    hosts = mesh_hosts(compile(read_text(MESH + text)).topology, namespace=namespace, labels=labels)
    return [host.name.partition(".")[0] for host in hosts]


def said(text: str) -> list[str]:
    notes = compile(read_text(MESH + text, "m.yaml")).diagnostics
    return [str(d).partition(": ")[2] for d in notes if d.severity >= Severity.WARNING]


def test_without_one_a_caller_knows_everything() -> None:
    assert known("") == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("hosts", "found"),
    [
        (["./*"], ["a", "b"]),
        (["shop/*"], ["c", "d"]),
        (["*/*"], ["a", "b", "c", "d"]),
        (["./a.default.svc.cluster.local"], ["a"]),
        (["*/c.shop.svc.cluster.local"], ["c"]),
        (["shop/*.shop.svc.cluster.local", "./b.default.svc.cluster.local"], ["b", "c", "d"]),
        (["~/*"], []),
        (["*/*", "~shop/c.shop.svc.cluster.local"], ["a", "b", "d"]),
    ],
)
def test_hosts_of_its_namespace_and_of_others(hosts: list[str], found: list[str]) -> None:
    assert known(sidecar(*hosts)) == found


def test_it_counts_in_its_namespace() -> None:
    assert known(sidecar("./*"), namespace="shop") == ["a", "b", "c", "d"]


def test_one_of_the_root_namespace_counts_where_there_is_no_other() -> None:
    text = sidecar("./*", namespace="istio-system") + sidecar("*/*", namespace="shop", name="t")
    assert known(text) == []
    assert known(text, namespace="shop") == ["a", "b", "c", "d"]


def test_one_for_a_workload_comes_before_that_of_the_namespace() -> None:
    selecting = sidecar("shop/*", name="t", more=", workloadSelector: {labels: {app: a}}")
    assert known(sidecar("./*") + selecting, app="a") == ["c", "d"]
    assert known(sidecar("./*") + selecting, app="b") == ["a", "b"]


def test_a_port_of_its_own() -> None:
    text = sidecar("shop/*", port="port: {number: 81}, ")
    assert known(text) == ["d"]


def test_routes_of_hosts_that_are_not_known_do_not_count() -> None:
    rule = "http: [{timeout: 7s, route: [{destination: {host: a}}]}]"
    table = f"{HEAD}VirtualService\nmetadata: {{name: v, namespace: shop}}\nspec: {{hosts: [out.example, "
    table += f"a.default.svc.cluster.local], {rule.replace('host: a', 'host: a.default.svc.cluster.local')}}}\n"
    assert known(table + sidecar("./*")) == ["a", "b"]
    topology = compile(read_text(MESH + table + sidecar("./*"))).topology
    assert mesh_hosts(topology, namespace="default", labels={})[0].routes[0].timeout is None
    assert "out" in known(table + sidecar("shop/*"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            sidecar("./a.defalt.svc.cluster.local"),
            "warning: Sidecar `s` imports `default/a.defalt.svc.cluster.local`, which is no Service here; did you "
            "mean `default/a.default.svc.cluster.local`? [unknown-host]",
        ),
        (
            sidecar("a"),
            "error: `spec.egress[0].hosts[0]` must be NAMESPACE/HOST, as `./*` or `*/*`, not 'a' [bad-value]",
        ),
        (
            sidecar("./*", more=", outboundTrafficPolicy: {mode: ALLOW_ANY}"),
            "warning: `spec.outboundTrafficPolicy.mode` is not supported: nothing leaves this machine, so unknown "
            "hosts are answered with 502 [not-supported]",
        ),
        (
            sidecar("./*", more=", ingress: [{port: {number: 1}}]"),
            "warning: `spec.ingress` is not supported: requests to a pod arrive at the ports of its Services "
            "[not-supported]",
        ),
    ],
)
def test_each_complaint_has_its_place(text: str, message: str) -> None:
    assert said(text) == [message]
