"""Shapes of the kinds that protect, watch and extend: policies, Telemetry, EnvoyFilter, WasmPlugin."""

from __future__ import annotations

from meshtest.preflight.kinds import (
    AUTHORIZATION_POLICY,
    ENVOY_FILTER,
    PEER_AUTHENTICATION,
    REQUEST_AUTHENTICATION,
    TELEMETRY,
    WASM_PLUGIN,
)
from meshtest.preflight.schema import predicates as p
from meshtest.preflight.schema.common import LABELS, ONE_TARGET, SELECTOR, TARGET, TARGETS, document
from meshtest.preflight.schema.shapes import (
    NAME,
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

_AIMED = {"selector": SELECTOR, "targetRef": TARGET, "targetRefs": TARGETS}

# -- security

_ACCOUNTS = items(string(most=320), most=16)
_SOURCE = thing(p.ACCOUNTS_ALONE, serviceAccounts=_ACCOUNTS, notServiceAccounts=_ACCOUNTS)
_RULE = thing(also={"from": items(thing(source=_SOURCE), most=512)}, when=items(thing(required="key")))
_AUTHORIZATION = thing(ONE_TARGET, also=_AIMED, action=one_of("ALLOW DENY AUDIT CUSTOM"), rules=items(_RULE, most=512))

_MODE = thing(mode=one_of("UNSET DISABLE PERMISSIVE STRICT"))
_PEERS = thing(
    p.PORTS_NEED_SELECTOR, mtls=_MODE, portLevelMtls=entries(_MODE, p.PORT_KEYS, fewest=1), selector=SELECTOR
)

_KEYS = string(p.WEB_URL, fewest=1, most=2048)
_CLAIM = thing(required="header claim", claim=NAME, header=string(fewest=1, pattern="^[-_A-Za-z0-9]+$"))
_JWT = thing(
    p.at_most_one("jwksUri", "jwks_uri", "jwks", say="only one of jwks or jwksUri can be set"),
    audiences=items(NAME),
    fromCookies=items(NAME),
    fromHeaders=items(thing(required="name", name=NAME)),
    fromParams=items(NAME),
    issuer=NAME,
    jwksUri=_KEYS,
    jwks_uri=_KEYS,
    outputClaimToHeaders=items(_CLAIM),
    presence=one_of("OPTIONAL REQUIRED"),
    spaceDelimitedClaims=items(NAME, most=64),
    timeout=string(p.DURATION),
)
_REQUESTS = thing(ONE_TARGET, also=_AIMED, jwtRules=items(_JWT, most=4096))

# -- Telemetry

_SIDE = one_of("CLIENT_AND_SERVER CLIENT SERVER")
_PROVIDERS = items(thing(required="name", name=NAME))
_METRIC = one_of(
    "ALL_METRICS REQUEST_COUNT REQUEST_DURATION REQUEST_SIZE RESPONSE_SIZE TCP_OPENED_CONNECTIONS "
    "TCP_CLOSED_CONNECTIONS TCP_SENT_BYTES TCP_RECEIVED_BYTES GRPC_REQUEST_MESSAGES GRPC_RESPONSE_MESSAGES"
)
_OVERRIDE = thing(
    match=thing(customMetric=NAME, metric=_METRIC, mode=_SIDE),
    tagOverrides=entries(thing(p.UPSERT_VALUE, p.REMOVE_VALUE, operation=one_of("UPSERT REMOVE"))),
)
_NAMED, _VALUED = thing(required="name", name=NAME), thing(required="value", value=NAME)
_TAG = thing(environment=_NAMED, formatter=_VALUED, header=_NAMED, literal=_VALUED)
_TELEMETRY = thing(
    ONE_TARGET,
    also=_AIMED,
    accessLogging=items(thing(match=thing(mode=_SIDE), providers=_PROVIDERS)),
    metrics=items(thing(overrides=items(_OVERRIDE), providers=_PROVIDERS, reportingInterval=string(p.DURATION))),
    tracing=items(
        thing(
            customTags=entries(_TAG),
            match=thing(mode=_SIDE),
            providers=_PROVIDERS,
            randomSamplingPercentage=real(0, 100),
        ),
    ),
)

# -- EnvoyFilter

_PORTED = thing(portNumber=UNSIGNED)
_PATCH_MATCH = thing(
    p.WAYPOINT_MATCH,
    cluster=_PORTED,
    context=one_of("ANY SIDECAR_INBOUND SIDECAR_OUTBOUND GATEWAY WAYPOINT"),
    listener=thing(filterChain=thing(destinationPort=UNSIGNED), portNumber=UNSIGNED),
    routeConfiguration=thing(
        portNumber=UNSIGNED,
        vhost=thing(route=thing(action=one_of("ANY ROUTE REDIRECT DIRECT_RESPONSE"))),
    ),
    waypoint=thing(portNumber=whole(0, 2**32 - 1, p.PORT)),
)
_PATCH = thing(
    applyTo=one_of(
        "INVALID LISTENER FILTER_CHAIN NETWORK_FILTER HTTP_FILTER ROUTE_CONFIGURATION VIRTUAL_HOST HTTP_ROUTE CLUSTER "
        "EXTENSION_CONFIG BOOTSTRAP LISTENER_FILTER"
    ),
    match=_PATCH_MATCH,
    patch=thing(
        filterClass=one_of("UNSPECIFIED AUTHN AUTHZ STATS"),
        operation=one_of(
            "INVALID MERGE ADD REMOVE INSERT_BEFORE INSERT_AFTER INSERT_FIRST REPLACE MERGE_AND_REPLACE_LIST"
        ),
    ),
)
_FILTER = thing(
    p.at_most_one("workloadSelector", "targetRefs", say="only one of targetRefs or workloadSelector can be set"),
    configPatches=items(_PATCH),
    targetRefs=TARGETS,
    workloadSelector=LABELS,
)

# -- WasmPlugin

_VARIABLE = thing(
    p.INLINE_VALUE,
    required="name",
    name=string(fewest=1, most=256),
    value=string(most=2048),
    valueFrom=one_of("INLINE HOST"),
)
_WASM = thing(
    ONE_TARGET,
    also=_AIMED,
    required="url",
    failStrategy=one_of("FAIL_CLOSE FAIL_OPEN FAIL_RELOAD"),
    imagePullPolicy=one_of("UNSPECIFIED_POLICY IfNotPresent Always"),
    imagePullSecret=string(fewest=1, most=253),
    match=items(
        thing(
            mode=one_of("UNDEFINED CLIENT SERVER CLIENT_AND_SERVER"),
            ports=items(thing(required="number", number=whole(1, 65535)), keys="number"),
        ),
    ),
    phase=one_of("UNSPECIFIED_PHASE AUTHN AUTHZ STATS"),
    pluginName=string(fewest=1, most=256),
    sha256=string(pattern="(^$|^[a-f0-9]{64}$)"),
    type=one_of("UNSPECIFIED_PLUGIN_TYPE HTTP NETWORK"),
    url=string(p.MODULE_URL, fewest=1),
    vmConfig=thing(env=items(_VARIABLE, most=256, keys="name")),
)

OTHERS: dict[str, Shape] = {
    AUTHORIZATION_POLICY: document(_AUTHORIZATION),
    PEER_AUTHENTICATION: document(_PEERS),
    REQUEST_AUTHENTICATION: document(_REQUESTS),
    TELEMETRY: document(_TELEMETRY),
    ENVOY_FILTER: document(_FILTER),
    WASM_PLUGIN: document(_WASM, needed=True),
}
