"""PeerAuthentication: what is read, and what counts where several meet."""

from __future__ import annotations

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.mutual import mutual_tls
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Severity
from meshtest.model.identity import PeerMode, identity, peer_mode
from meshtest.model.service import Container, Workload
from meshtest.model.topology import Topology

WEB = Workload(
    name="web", labels={"app": "web"}, service_account="keeper", containers=(Container(name="web", image="web"),)
)


def policy(name: str, spec: str, namespace: str = "default", created: str = "") -> str:
    more = f", creationTimestamp: {created!r}" if created else ""
    return f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {name}, namespace: {namespace}{more}}}
spec: {spec}
---
"""


def topology(*texts: str) -> Topology:
    compiled = compile(read_text("".join(texts), "m.yaml"))
    assert [n for n in compiled.diagnostics if n.severity is Severity.ERROR] == []
    return compiled.topology


def mode(port: int, *texts: str) -> PeerMode:
    return peer_mode(topology(*texts).peers, WEB, port)


MESH = policy("mesh", "{mtls: {mode: STRICT}}", "istio-system")
NAMESPACE = policy("namespace", "{mtls: {mode: DISABLE}}")
OWN = policy(
    "own", "{selector: {matchLabels: {app: web}}, mtls: {mode: PERMISSIVE}, portLevelMtls: {90: {mode: STRICT}}}"
)


def test_the_closest_policy_counts() -> None:
    assert mode(80) == "PERMISSIVE"
    assert mode(80, MESH) == "STRICT"
    assert mode(80, MESH, NAMESPACE) == "DISABLE"
    assert mode(80, MESH, NAMESPACE, OWN) == "PERMISSIVE"
    assert mode(90, MESH, NAMESPACE, OWN) == "STRICT"


def test_unset_inherits() -> None:
    unset = policy("own", "{selector: {matchLabels: {app: web}}, mtls: {mode: UNSET}, portLevelMtls: {90: {}}}")
    assert mode(80, MESH, unset) == "STRICT"
    assert mode(90, NAMESPACE, unset) == "DISABLE"
    assert mode(80, MESH, policy("namespace", "{}")) == "STRICT"


def test_the_oldest_of_a_scope_wins_and_the_others_are_named() -> None:
    old = policy("z", "{mtls: {mode: STRICT}}", created="2020-01-01T00:00:00Z")
    new = policy("a", "{mtls: {mode: DISABLE}}", created="2021-01-01T00:00:00Z")
    assert mode(80, new, old) == "STRICT"
    notes = compile(read_text(new + old, "m.yaml")).diagnostics
    assert [str(note) for note in notes if note.code == "overshadowed"] == [
        "m.yaml:2: warning: PeerAuthentication `a` has no effect: `z` (m.yaml:8) already counts for namespace default, "
        "and the older one wins; remove one of them [overshadowed]"
    ]


def test_a_pod_without_a_proxy_takes_plain_text_whatever_is_asked() -> None:
    bare = Workload(name="bare", labels={"sidecar.istio.io/inject": "false"}, containers=WEB.containers)
    assert peer_mode(topology(MESH).peers, bare, 80) == "DISABLE"


def test_identities_are_of_service_accounts() -> None:
    assert identity(WEB) == "spiffe://cluster.local/ns/default/sa/keeper"


def test_mutual_tls_is_in_force_only_where_something_could_tell() -> None:
    assert mutual_tls(topology()) == ""
    assert mutual_tls(topology(NAMESPACE)) == ""
    assert mutual_tls(topology(MESH)) == "PeerAuthentication istio-system/mesh (m.yaml:2)"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            "{mtls: {mode: STRIKT}}",
            "`spec.mtls.mode` must be one of UNSET, DISABLE, PERMISSIVE, STRICT, not 'STRIKT'",
        ),
        ("{portLevelMtls: {80: {mode: STRICT}}}", "`spec.portLevelMtls` needs `spec.selector`"),
        (
            "{selector: {matchLabels: {app: web}}, portLevelMtls: {http: {mode: STRICT}}}",
            "the key must be a container port, 1 to 65535, not 'http'",
        ),
        ("{selector: {matchLabels: {app: '*'}}}", "`spec.selector.matchLabels` takes no wildcards"),
        ("{mtls: {moed: STRICT}}", "unknown field `spec.mtls.moed`; did you mean `mode`?"),
    ],
)
def test_what_is_wrong_is_told(spec: str, message: str) -> None:
    notes = compile(read_text(policy("own", spec), "m.yaml")).diagnostics
    errors = [str(note) for note in notes if note.severity is Severity.ERROR]
    assert len(errors) == 1
    assert message in errors[0]
    assert errors[0].startswith("m.yaml:5: ")
