"""The kinds of Gateway API, and how they are named here."""

from __future__ import annotations

GROUP = "gateway.networking.k8s.io"
EXPERIMENTAL_GROUP = "gateway.networking.x-k8s.io"
API_VERSION = f"{GROUP}/v1"

GATEWAY = f"{GROUP}/Gateway"
GATEWAY_CLASS = f"{GROUP}/GatewayClass"
LISTENER_SET = f"{GROUP}/ListenerSet"
X_LISTENER_SET = f"{EXPERIMENTAL_GROUP}/XListenerSet"
HTTP_ROUTE = f"{GROUP}/HTTPRoute"
GRPC_ROUTE = f"{GROUP}/GRPCRoute"
TLS_ROUTE = f"{GROUP}/TLSRoute"
TCP_ROUTE = f"{GROUP}/TCPRoute"
UDP_ROUTE = f"{GROUP}/UDPRoute"
REFERENCE_GRANT = f"{GROUP}/ReferenceGrant"
BACKEND_TLS_POLICY = f"{GROUP}/BackendTLSPolicy"
NAMESPACE = "/Namespace"

SERVICE = "/Service"
SECRET = "/Secret"
CONFIG_MAP = "/ConfigMap"
HOSTNAME = "networking.istio.io/Hostname"
"""Istio's extension: the host of a ServiceEntry."""

LINKERDS_HTTP_ROUTE = "policy.linkerd.io/HTTPRoute"
"""Of the same shape, but its rules have no names."""

ROUTES_OF_PROTOCOL = {
    "HTTP": (HTTP_ROUTE, GRPC_ROUTE),
    "HTTPS": (HTTP_ROUTE, GRPC_ROUTE),
    "TLS": (TLS_ROUTE, TCP_ROUTE),
    "TCP": (TCP_ROUTE,),
    "UDP": (UDP_ROUTE,),
}
"""Kinds that may attach to a listener of each protocol (spec of Listener.protocol)."""


def group_kind(group: str, kind: str) -> str:
    """`group/Kind`; the core group is "" (and may be spelled `core`)."""
    return f"{'' if group == 'core' else group}/{kind}"
