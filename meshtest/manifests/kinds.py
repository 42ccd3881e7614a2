"""Which kinds there are, so that a misspelt one is told from one that is none of our business."""

from __future__ import annotations

import difflib

from meshtest.lib.words import listed, nearest
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.document import Document

NETWORKING = "networking.istio.io"
SECURITY = "security.istio.io"
ISTIO_VERSIONS = tuple(f"{NETWORKING}/{version}" for version in ("v1", "v1beta1", "v1alpha3"))
GATEWAY_API = "gateway.networking.k8s.io"
SECURITY_VERSIONS = tuple(f"{SECURITY}/{version}" for version in ("v1", "v1beta1"))

VERSIONS = {
    "/Service": ("v1",),
    "/Namespace": ("v1",),
    "apps/Deployment": ("apps/v1",),
    "apps/DaemonSet": ("apps/v1",),
    "discovery.k8s.io/EndpointSlice": ("discovery.k8s.io/v1",),
    "/Secret": ("v1",),
    "/ConfigMap": ("v1",),
    f"{NETWORKING}/VirtualService": ISTIO_VERSIONS,
    f"{NETWORKING}/DestinationRule": ISTIO_VERSIONS,
    f"{NETWORKING}/Gateway": ISTIO_VERSIONS,
    f"{SECURITY}/PeerAuthentication": SECURITY_VERSIONS,
    f"{SECURITY}/AuthorizationPolicy": SECURITY_VERSIONS,
    f"{SECURITY}/RequestAuthentication": SECURITY_VERSIONS,
    f"{NETWORKING}/EnvoyFilter": (f"{NETWORKING}/v1alpha3",),
    f"{NETWORKING}/ServiceEntry": ISTIO_VERSIONS,
    f"{NETWORKING}/WorkloadEntry": ISTIO_VERSIONS,
    f"{NETWORKING}/Sidecar": ISTIO_VERSIONS,
    **{f"{GATEWAY_API}/{kind}": (f"{GATEWAY_API}/v1", f"{GATEWAY_API}/v1beta1")
       for kind in ("Gateway", "GatewayClass", "HTTPRoute", "ReferenceGrant")},
    f"{GATEWAY_API}/GRPCRoute": (f"{GATEWAY_API}/v1", f"{GATEWAY_API}/v1alpha2"),
    f"{GATEWAY_API}/TLSRoute": tuple(f"{GATEWAY_API}/{version}" for version in ("v1", "v1alpha3", "v1alpha2")),
    f"{GATEWAY_API}/TCPRoute": (f"{GATEWAY_API}/v1", f"{GATEWAY_API}/v1alpha2"),
    f"{GATEWAY_API}/BackendTLSPolicy": (f"{GATEWAY_API}/v1", f"{GATEWAY_API}/v1alpha3"),
    f"{GATEWAY_API}/ListenerSet": (f"{GATEWAY_API}/v1",),
    "gateway.networking.x-k8s.io/XListenerSet": ("gateway.networking.x-k8s.io/v1alpha1",),
    "policy.linkerd.io/HTTPRoute": tuple(f"policy.linkerd.io/v{v}" for v in ("1beta3", "1beta2", "1beta1", "1alpha1")),
    "split.smi-spec.io/TrafficSplit": tuple(f"split.smi-spec.io/v1alpha{number}" for number in (1, 2, 3, 4)),
}  # fmt: skip
"""Accepted apiVersions of the kinds that are translated."""

TRAFFIC = {
    NETWORKING: "WorkloadGroup ProxyConfig",
    "extensions.istio.io": "WasmPlugin TrafficExtension",
    GATEWAY_API: "UDPRoute",
    "gateway.networking.x-k8s.io": "XBackendTrafficPolicy XMesh",
    "networking.k8s.io": "Ingress NetworkPolicy",
    "": "Pod ReplicationController Endpoints",
    "apps": "StatefulSet ReplicaSet",
    "argoproj.io": "Rollout",
    "policy.linkerd.io": "HTTPRoute Server ServerAuthorization AuthorizationPolicy MeshTLSAuthentication "
    "NetworkAuthentication HTTPLocalRateLimitPolicy EgressNetwork",
    "linkerd.io": "ServiceProfile",
}
"""Kinds by group that would change where requests go, and are not translated."""

HARMLESS = {
    "": "ServiceAccount ConfigMap Secret PersistentVolume PersistentVolumeClaim LimitRange ResourceQuota "
    "PodTemplate Event Node Binding List",
    "apps": "ControllerRevision",
    "networking.k8s.io": "IngressClass IPAddress ServiceCIDR",
    "telemetry.istio.io": "Telemetry",
    "batch": "Job CronJob",
    "autoscaling": "HorizontalPodAutoscaler",
    "policy": "PodDisruptionBudget PodSecurityPolicy",
    "rbac.authorization.k8s.io": "Role RoleBinding ClusterRole ClusterRoleBinding",
}
"""Kinds by group that do not matter to requests."""

MESHES = ("istio.io", GATEWAY_API, "gateway.networking.x-k8s.io", "linkerd.io")
"""Ends of groups whose kinds matter to requests, also those that are not known yet."""

REHEARSED = {"flagger.app": "Canary MetricTemplate AlertProvider"}
"""Kinds by group that a controller acts upon; here only when it is told to."""

RETIRED_GROUPS = frozenset({"extensions", "config.istio.io"})


def _kinds(table: dict[str, str]) -> frozenset[str]:
    return frozenset(f"{group}/{kind}" for group, kinds in table.items() for kind in kinds.split())


_TRAFFIC = _kinds(TRAFFIC)
_REHEARSED = _kinds(REHEARSED)
_KNOWN = _TRAFFIC | _REHEARSED | _kinds(HARMLESS) | VERSIONS.keys()
_GROUPS = frozenset(known.partition("/")[0] for known in _KNOWN)


def check(document: Document, handled: frozenset[str]) -> Diagnostic | None:
    """What there is to say about a document's kind; `handled` are the kinds the dialects take."""
    kind = str(document.data["kind"])
    named = f"{kind} `{document.name}`"
    if versions := _other_versions(document, handled):
        text = f"{kind} has no apiVersion {document.data['apiVersion']!r}; accepted: {listed(versions)}"
        return Diagnostic(Severity.ERROR, "unknown-version", text, document.where("apiVersion"))
    if document.kind in handled:
        return None
    if near := _meant(document):
        text = f"unknown kind `{kind}`; did you mean `{near}`?"
        return Diagnostic(Severity.ERROR, "unknown-kind", text, document.where("kind"))
    if document.kind in _TRAFFIC or (document.kind not in _KNOWN and _group(document.kind).endswith(MESHES)):
        text = f"{named} is not supported: requests may go another way than on a cluster"
        return Diagnostic(Severity.WARNING, "not-supported", text, document.where())
    text = f"{named} has no effect by itself: `meshtest rehearse` performs it"
    if document.kind not in _REHEARSED:
        text = f"{named} has no effect here"
    return Diagnostic(Severity.INFO, "unused", text, document.where())


def _group(kind: str) -> str:
    return kind.partition("/")[0]


def _other_versions(document: Document, handled: frozenset[str]) -> tuple[str, ...]:
    """The accepted apiVersions when this one is not among them, though the kind is one of ours."""
    if document.kind in handled:
        accepted = VERSIONS.get(document.kind, ())
        return () if document.data["apiVersion"] in accepted else accepted
    group, _, kind = document.kind.partition("/")
    homes = sorted(home for home in handled if home.endswith(f"/{kind}"))
    close = group in _GROUPS or group in RETIRED_GROUPS or difflib.get_close_matches(group, _GROUPS, cutoff=0.85)
    if document.kind in _KNOWN or not close:
        return ()
    return tuple(version for home in homes for version in VERSIONS.get(home, ()))


def _meant(document: Document) -> str | None:
    """The kind of the same group that was most likely meant."""
    if document.kind in _KNOWN:
        return None
    group, _, kind = document.kind.partition("/")
    return nearest(kind, sorted(known.partition("/")[2] for known in _KNOWN if _group(known) == group))
