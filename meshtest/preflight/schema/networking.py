"""Shapes of the kinds that say what there is: ServiceEntry, WorkloadEntry, WorkloadGroup, Sidecar, ProxyConfig."""

from __future__ import annotations

from meshtest.preflight.kinds import PROXY_CONFIG, SERVICE_ENTRY, SIDECAR, WORKLOAD_ENTRY, WORKLOAD_GROUP
from meshtest.preflight.schema import predicates as p
from meshtest.preflight.schema.common import (
    ENDPOINT,
    LABELS,
    POOL,
    PORT,
    SELECTOR,
    SERVER_TLS,
    document,
    endpoint,
)
from meshtest.preflight.schema.shapes import (
    NAME,
    UNSIGNED,
    Shape,
    entries,
    items,
    one_of,
    string,
    thing,
    whole,
)

_ENTRY = thing(
    p.at_most_one("workloadSelector", "endpoints", say="only one of WorkloadSelector or Endpoints can be set"),
    p.CIDR_RESOLUTION,
    p.NONE_WITHOUT_ENDPOINTS,
    p.ONE_ROUND_ROBIN_ENDPOINT,
    required="hosts",
    addresses=items(string(most=64), most=256),
    endpoints=items(ENDPOINT, most=4096),
    hosts=items(string(p.NO_WILDCARD_HOST), fewest=1, most=256),
    location=one_of("MESH_EXTERNAL MESH_INTERNAL"),
    ports=items(
        thing(
            required="number name",
            name=string(most=256),
            number=PORT,
            protocol=string(most=256),
            targetPort=PORT,
        ),
        p.PORTS_DIFFER,
        most=256,
        keys="name",
    ),
    resolution=one_of("NONE STATIC DNS DNS_ROUND_ROBIN DYNAMIC_DNS"),
    workloadSelector=LABELS,
)

_COUNT = whole(0)
_PROBE = thing(
    exec=thing(required="command", command=items(NAME)),
    failureThreshold=_COUNT,
    grpc=thing(port=PORT),
    httpGet=thing(
        required="port",
        httpHeaders=items(thing(name=string(pattern="^[-_A-Za-z0-9]+$"))),
        port=PORT,
        scheme=string(p.SCHEME),
    ),
    initialDelaySeconds=_COUNT,
    periodSeconds=_COUNT,
    successThreshold=_COUNT,
    tcpSocket=thing(required="port", port=PORT),
    timeoutSeconds=_COUNT,
)
_GROUP = thing(
    required="template",
    metadata=thing(annotations=entries(most=256), labels=entries(most=256)),
    probe=_PROBE,
    template=endpoint(),
)

_CAPTURE = one_of("DEFAULT IPTABLES NONE")
_SIDE_PORT = thing(number=UNSIGNED, targetPort=UNSIGNED)
_SIDECAR = thing(
    egress=items(thing(required="hosts", captureMode=_CAPTURE, port=_SIDE_PORT)),
    inboundConnectionPool=POOL,
    ingress=items(thing(required="port", captureMode=_CAPTURE, connectionPool=POOL, port=_SIDE_PORT, tls=SERVER_TLS)),
    outboundTrafficPolicy=thing(
        egressProxy=thing(required="host", port=thing(number=UNSIGNED)),
        mode=one_of("REGISTRY_ONLY ALLOW_ANY"),
    ),
    workloadSelector=LABELS,
)

_PROXY = thing(concurrency=whole(0), environmentVariables=entries(string(most=2048)), selector=SELECTOR)

NETWORKING: dict[str, Shape] = {
    SERVICE_ENTRY: document(_ENTRY, needed=True),
    WORKLOAD_ENTRY: document(ENDPOINT, needed=True),
    WORKLOAD_GROUP: document(_GROUP, needed=True),
    SIDECAR: document(_SIDECAR),
    PROXY_CONFIG: document(_PROXY),
}
