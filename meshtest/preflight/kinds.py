"""Kinds as documents name them: group and kind, without the version."""

from __future__ import annotations

NETWORKING = "networking.istio.io"
SECURITY = "security.istio.io"
GATEWAY_API = "gateway.networking.k8s.io"

VIRTUAL_SERVICE = f"{NETWORKING}/VirtualService"
DESTINATION_RULE = f"{NETWORKING}/DestinationRule"
GATEWAY = f"{NETWORKING}/Gateway"
SERVICE_ENTRY = f"{NETWORKING}/ServiceEntry"
WORKLOAD_ENTRY = f"{NETWORKING}/WorkloadEntry"
WORKLOAD_GROUP = f"{NETWORKING}/WorkloadGroup"
SIDECAR = f"{NETWORKING}/Sidecar"
ENVOY_FILTER = f"{NETWORKING}/EnvoyFilter"
PROXY_CONFIG = f"{NETWORKING}/ProxyConfig"

AUTHORIZATION_POLICY = f"{SECURITY}/AuthorizationPolicy"
PEER_AUTHENTICATION = f"{SECURITY}/PeerAuthentication"
REQUEST_AUTHENTICATION = f"{SECURITY}/RequestAuthentication"
TELEMETRY = "telemetry.istio.io/Telemetry"
WASM_PLUGIN = "extensions.istio.io/WasmPlugin"

K8S_GATEWAY = f"{GATEWAY_API}/Gateway"
GATEWAY_CLASS = f"{GATEWAY_API}/GatewayClass"
HTTP_ROUTE = f"{GATEWAY_API}/HTTPRoute"
GRPC_ROUTE = f"{GATEWAY_API}/GRPCRoute"
TCP_ROUTE = f"{GATEWAY_API}/TCPRoute"
TLS_ROUTE = f"{GATEWAY_API}/TLSRoute"
REFERENCE_GRANT = f"{GATEWAY_API}/ReferenceGrant"
ROUTES = (HTTP_ROUTE, GRPC_ROUTE, TCP_ROUTE, TLS_ROUTE)

SERVICE = "/Service"
POD = "/Pod"
NAMESPACE = "/Namespace"
SECRET = "/Secret"
CONFIG_MAP = "/ConfigMap"
NODE = "/Node"
SERVICE_ACCOUNT = "/ServiceAccount"
DEPLOYMENT = "apps/Deployment"
ROLLOUT = "argoproj.io/Rollout"
WORKLOADS = (DEPLOYMENT, "apps/StatefulSet", "apps/DaemonSet", "apps/ReplicaSet", ROLLOUT)
"""Kinds that make pods of a template."""
CLUSTER_WIDE = frozenset({NAMESPACE, NODE, GATEWAY_CLASS})
"""Kinds without a namespace; their names stand alone."""
