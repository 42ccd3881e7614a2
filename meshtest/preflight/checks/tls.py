"""TLS towards destinations: certificates that nobody checks, and plaintext to who wants mutual TLS.

Upstream: istio/istio pkg/config/analysis/analyzers/destinationrule/ca-certificates.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from meshtest.manifests.istio.names import ROOT_NAMESPACE
from meshtest.model.document import Document, Path
from meshtest.model.service import within
from meshtest.preflight.dig import Object, labels, object_at, objects, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import DESTINATION_RULE, PEER_AUTHENTICATION
from meshtest.preflight.rules import across, each
from meshtest.preflight.scene import Host, Pods, Scene

Tls = tuple[Path, Object]


@each(DESTINATION_RULE, analyzer="destinationrule.CaCertificateAnalyzer")
def unverified(document: Document) -> Iterator[Hit]:
    """IST0128 for the host, IST0129 for a port: TLS, and nothing to check the server's certificate with."""
    spec = object_at(document.data, "spec")
    policy = object_at(spec, "trafficPolicy")
    narrowed = "workloadSelector" in spec
    if _unverified(object_at(policy, "tls"), narrowed):
        mode = text(policy, "tls", "mode")
        message = f"TLS to `{text(spec, 'host')}` ({mode}) accepts any certificate"
        yield Hit("IST0128", document, ("spec", "trafficPolicy", "tls", "mode"), message)
    for index, setting in objects(policy, "portLevelSettings"):
        if _unverified(object_at(setting, "tls"), narrowed):
            number = object_at(setting, "port").get("number")
            message = f"TLS to port {number} of `{text(spec, 'host')}` accepts any certificate"
            yield Hit("IST0129", document, ("spec", "trafficPolicy", "portLevelSettings", index, "tls"), message)


def _unverified(tls: Object, narrowed: bool) -> bool:
    """A credential is read by sidecars only where a workloadSelector says which ones."""
    if text(tls, "mode") not in ("SIMPLE", "MUTUAL") or text(tls, "caCertificates"):
        return False
    return not (narrowed and text(tls, "credentialName"))


@across(DESTINATION_RULE)
def plaintext_into_strict(scene: Scene) -> Iterator[Hit]:
    """MT018: mode DISABLE, and the workloads behind the host take mutual TLS only."""
    for document in scene.of(DESTINATION_RULE):
        disabled = [path for path, tls in _modes(document) if text(tls, "mode") == "DISABLE"]
        if not disabled:
            continue
        host = scene.host(text(document.data, "spec", "host"), document.namespace)
        strict = _strict(scene, host) if host else None
        if host and strict:
            message = f"plaintext is sent to `{host.fqdn}`, and {strict.where()} asks for mutual TLS there"
            yield from (Hit("MT018", document, path, message) for path in disabled)


def _modes(document: Document) -> Iterator[Tls]:
    """The TLS settings that count for a whole host, or for a subset."""
    base: Path = ("spec", "trafficPolicy", "tls")
    yield base, object_at(document.data, "spec", "trafficPolicy", "tls")
    for index, subset in objects(document.data, "spec", "subsets"):
        yield ("spec", "subsets", index, "trafficPolicy", "tls"), object_at(subset, "trafficPolicy", "tls")


def _strict(scene: Scene, host: Host) -> Document | None:
    """The PeerAuthentication that counts, if it is STRICT: of the workload, else the namespace, else the mesh."""
    if not host.selector:
        return None
    namespace = host.document.namespace
    found = list(scene.of(PEER_AUTHENTICATION))
    pods = list(scene.selected(host.selector, namespace))
    own = (d for d in found if d.namespace == namespace and _selector(d) and _hits(_selector(d), pods))
    shared = (d for home in (namespace, ROOT_NAMESPACE) for d in found if d.namespace == home and not _selector(d))
    first = next((d for d in chain(own, shared) if _mode(d) not in ("", "UNSET")), None)
    return first if first is not None and _mode(first) == "STRICT" else None


def _selector(document: Document) -> Mapping[str, str]:
    return labels(document.data, "spec", "selector", "matchLabels")


def _hits(selector: Mapping[str, str], pods: Sequence[Pods]) -> bool:
    return any(within(selector, p.labels) for p in pods)


def _mode(document: Document) -> str:
    return text(document.data, "spec", "mtls", "mode")
