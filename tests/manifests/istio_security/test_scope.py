"""Which policies count for which proxy, and what is said of those that count for none."""

from __future__ import annotations

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.istio_security.links import gateway_proxies
from meshtest.manifests.reader import read_text
from meshtest.model.route import Gateway
from meshtest.model.security import Authorization, Proxy, ProxyPatches, Scope, Target, applying, covers, patches_for

WEB = Proxy(namespace="shop", labels={"app": "web", "version": "v1"})
INGRESS = gateway_proxies([Gateway(name="front", namespace="shop", servers=(), selector={"istio": "edge"})])[0]
OWN = gateway_proxies([Gateway(name="own", namespace="shop", servers=(), address="shop/own")])[0]
GROUP = "gateway.networking.k8s.io"


@pytest.mark.parametrize(
    ("scope", "web", "ingress", "own"),
    [
        (Scope(namespace="shop"), True, False, True),
        (Scope(namespace="other"), False, False, False),
        (Scope(namespace="istio-system"), True, True, True),
        (Scope(namespace="shop", labels={"app": "web"}), True, False, False),
        (Scope(namespace="istio-system", labels={"app": "web"}), True, False, False),
        (Scope(namespace="istio-system", labels={"istio": "edge"}), False, True, False),
        (Scope(namespace="shop", labels={"gateway.networking.k8s.io/gateway-name": "own"}), False, False, True),
        (Scope(namespace="shop", targets=(Target(kind="Gateway", name="own", group=GROUP),)), False, False, True),
        (Scope(namespace="other", targets=(Target(kind="Gateway", name="own", group=GROUP),)), False, False, False),
        (Scope(namespace="shop", targets=(Target(kind="Service", name="web"),)), False, False, False),
    ],
)
def test_a_scope_covers(scope: Scope, web: bool, ingress: bool, own: bool) -> None:
    assert (covers(scope, WEB), covers(scope, INGRESS), covers(scope, OWN)) == (web, ingress, own)


def test_policies_come_from_the_root_first_then_the_oldest() -> None:
    def one(name: str, namespace: str, created: str) -> Authorization:
        return Authorization(name=name, scope=Scope(namespace=namespace), created=created)

    policies = [one("b", "shop", "2"), one("a", "shop", "2"), one("c", "shop", "1"), one("d", "istio-system", "9")]
    assert [p.name for p in applying(policies, WEB)] == ["d", "c", "a", "b"]


def test_patches_are_applied_by_priority_within_a_namespace() -> None:
    def one(name: str, namespace: str, priority: int) -> ProxyPatches:
        return ProxyPatches(name=name, scope=Scope(namespace=namespace), priority=priority)

    patches = [one("late", "shop", 3), one("early", "shop", -3), one("root", "istio-system", 9)]
    assert [p.name for p in patches_for(patches, WEB)] == ["root", "early", "late"]


MESH = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
"""


@pytest.mark.parametrize(
    ("namespace", "labels", "hint"),
    [
        ("default", "{app: wbe}", "did you mean app=web?"),
        ("default", "{istio: ingressgateway}", "gateways are in namespace 'istio-system' here"),
        ("other", "{app: web}", "there are some in default"),
        ("other", "{}", "namespace 'other' does not have any pod"),
    ],
)
@pytest.mark.parametrize("kind", ["AuthorizationPolicy", "RequestAuthentication"])
def test_a_policy_for_nobody_is_told_with_what_was_meant(kind: str, namespace: str, labels: str, hint: str) -> None:
    selector = f"{{selector: {{matchLabels: {labels}}}}}" if labels != "{}" else "{}"
    text = f"""\
apiVersion: security.istio.io/v1
kind: {kind}
metadata: {{name: a, namespace: {namespace}}}
spec: {selector}
"""
    notes = compile(read_text(MESH + text, "m.yaml")).diagnostics
    found = [str(n) for n in notes if n.code == "selects-nothing"]
    assert len(found) == 1
    assert found[0].startswith(f"m.yaml:17: warning: {kind} `a` has no effect")
    assert hint in found[0]


def test_addresses_that_do_not_exist_here_are_told_never_passed_over() -> None:
    text = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: a}
spec:
  rules:
  - from: [{source: {ipBlocks: [10.0.0.0/8]}}]
    when:
    - {key: destination.ip, values: [10.0.0.1]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: g, namespace: istio-system}
spec: {rules: [{from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]}]}
"""
    notes = compile(read_text(MESH + text, "m.yaml")).diagnostics
    found = sorted(str(n).partition(":")[2].partition(" is ")[0] for n in notes if n.code == "not-supported")
    assert found[0].startswith("22: warning: `source.ip`")
    assert found[1].startswith("24: warning: `destination.ip`")
    assert "29: warning: `remote.ip`: at a gateway every client" in found[2]
