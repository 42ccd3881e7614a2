"""Shapes of the kinds that move requests: VirtualService, DestinationRule, Gateway."""

from __future__ import annotations

from meshtest.preflight.kinds import DESTINATION_RULE, GATEWAY, VIRTUAL_SERVICE
from meshtest.preflight.schema import predicates as p
from meshtest.preflight.schema.common import POOL, SELECTOR, SERVER_TLS, document
from meshtest.preflight.schema.shapes import (
    UNSIGNED,
    Shape,
    entries,
    items,
    one_of,
    real,
    string,
    thing,
    whole,
)

# -- VirtualService

_PORT = thing(number=UNSIGNED)
_DESTINATION = thing(required="host", port=_PORT)
_ROUTES = items(thing(required="destination", destination=_DESTINATION))

_HTTP = thing(
    corsPolicy=thing(maxAge=string(p.DURATION), unmatchedPreflights=one_of("UNSPECIFIED FORWARD IGNORE")),
    directResponse=thing(required="status", status=UNSIGNED),
    fault=thing(delay=thing(exponentialDelay=string(p.DURATION), fixedDelay=string(p.DURATION))),
    match=items(thing(port=UNSIGNED)),
    mirror=_DESTINATION,
    mirrorPercent=UNSIGNED,
    mirror_percent=UNSIGNED,
    mirrors=items(thing(required="destination", destination=_DESTINATION)),
    redirect=thing(derivePort=one_of("FROM_PROTOCOL_DEFAULT FROM_REQUEST_PORT"), port=UNSIGNED, redirectCode=UNSIGNED),
    retries=thing(backoff=string(p.DURATION), perTryTimeout=string(p.DURATION)),
    route=_ROUTES,
    timeout=string(p.DURATION),
)
_TCP = thing(match=items(thing(port=UNSIGNED)), route=_ROUTES)
_TLS = thing(required="match", match=items(thing(required="sniHosts", port=UNSIGNED)), route=_ROUTES)

# -- DestinationRule

_COOKIE = thing(required="name", attributes=items(thing(required="name")))
_WARMUP = thing(required="duration", aggression=real(0), duration=string(p.DURATION), minimumPercent=real(0, 100))
_BALANCER = thing(
    backendUtilization=thing(errorUtilizationPenaltyPercent=UNSIGNED),
    consistentHash=thing(
        httpCookie=_COOKIE,
        maglev=thing(tableSize=whole(0)),
        minimumRingSize=whole(0),
        ringHash=thing(minimumRingSize=whole(0)),
    ),
    localityLbSetting=thing(distribute=items(thing(to=entries(UNSIGNED)))),
    simple=one_of("UNSPECIFIED LEAST_CONN RANDOM PASSTHROUGH ROUND_ROBIN LEAST_REQUEST"),
    warmup=_WARMUP,
    warmupDurationSecs=string(p.DURATION),
    zoneAwareLbSetting=thing(minClusterSize=whole(1, 2**32 - 1)),
)
_EJECTION = thing(
    baseEjectionTime=string(p.DURATION),
    consecutive5xxErrors=UNSIGNED,
    consecutiveGatewayErrors=UNSIGNED,
    consecutiveLocalOriginFailures=UNSIGNED,
    interval=string(p.DURATION),
    outlierDetectionHttpErrorCodes=items(whole(100, 599)),
)
_BLOCKS = {
    "connectionPool": POOL,
    "loadBalancer": _BALANCER,
    "outlierDetection": _EJECTION,
    "tls": thing(mode=one_of("DISABLE SIMPLE MUTUAL ISTIO_MUTUAL")),
}
_POLICY = thing(
    also=_BLOCKS,
    portLevelSettings=items(thing(also=_BLOCKS, port=_PORT), most=4096),
    proxyProtocol=thing(version=one_of("V1 V2")),
    retryBudget=thing(minRetryConcurrency=UNSIGNED, percent=real(0, 100)),
    tunnel=thing(required="targetHost targetPort", targetPort=UNSIGNED),
)

# -- Gateway

_SERVER = thing(
    required="port hosts",
    port=thing(required="number protocol name", number=UNSIGNED, targetPort=UNSIGNED),
    tls=SERVER_TLS,
)

TRAFFIC: dict[str, Shape] = {
    VIRTUAL_SERVICE: document(thing(http=items(_HTTP), tcp=items(_TCP), tls=items(_TLS))),
    DESTINATION_RULE: document(
        thing(
            required="host",
            subsets=items(thing(required="name", trafficPolicy=_POLICY)),
            trafficPolicy=_POLICY,
            workloadSelector=SELECTOR,
        ),
    ),
    GATEWAY: document(thing(servers=items(_SERVER))),
}
