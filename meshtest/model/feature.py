"""What a provider can do and a scenario may need. The difference is a skip with a reason, never a silence."""

from __future__ import annotations

import enum


class Feature(enum.StrEnum):
    """One word a capability; `@pytest.mark.mesh_requires("mirror")` names them."""

    WEIGHTS = "weights"
    MATCHES = "matches"
    REWRITES = "rewrites"
    REDIRECTS = "redirects"
    HEADER_EDITS = "header-edits"
    RETRIES = "retries"
    TIMEOUTS = "timeouts"
    CORS = "cors"
    MIRROR = "mirror"
    FAULT_DELAY = "fault-delay"
    FAULT_ABORT = "fault-abort"
    FAULT_AT_DESTINATION = "fault-at-destination"
    LOAD_BALANCING = "load-balancing"
    CONNECTION_POOL = "connection-pool"
    OUTLIER_DETECTION = "outlier-detection"
    LOCALITY = "locality"
    INGRESS = "ingress"
    TLS = "tls"
    """TLS at gateways, terminated or passed through, and to endpoints."""
    MUTUAL_TLS = "mutual-tls"
    """Between workloads, with an identity each."""
    AUTHORIZATION = "authorization"
    JWT = "jwt"
    PROXY_PATCHES = "proxy-patches"
    """EnvoyFilter."""
    SERVICE_ENTRIES = "service-entries"
    HTTP2 = "http2"
    GRPC = "grpc"
    WEBSOCKET = "websocket"
    TCP = "tcp"
    PODS = "pods"
    """Start, terminate and kill replicas."""
    HOPS = "hops"
    """An access-log record of every proxy for every request."""
