"""`spec.service` of a Canary: the Services, and what its routes are made of, which is kept as written.

Of the latter only the shape is checked here; the rest is said of the objects that are made of it (objects/).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshtest.manifests.view import View
from meshtest.rollouts.canary.spec import Service

STRINGS = ("exact", "prefix", "regex")


def service(view: View, target: str) -> Service:
    """`target`: whose name the Services get if they have none."""
    view.require("port")
    _check_routes(view)
    _check_policy(view.child("trafficPolicy"))
    for key in ("timeout", "backendTimeout", "trafficDistribution"):
        view.string(key)
    for key in ("portDiscovery", "headless"):
        view.boolean(key)
    return Service(
        name=view.string("name") or target,
        port=view.port("port") or 80,
        port_name=view.string("portName") or "http",
        target_port=view.int_or_name("targetPort", 0) or None,
        app_protocol=view.string("appProtocol"),
        hosts=view.strings("hosts"),
        gateways=view.strings("gateways"),
        gateway_refs=tuple(_reference(one) for one in view.children("gatewayRefs")),
        delegation=bool(view.boolean("delegation")),
        data=view.data,
    )


def chosen(view: View) -> Mapping[str, Any]:
    """One condition of `analysis.match`."""
    for key in ("headers", "queryParams"):
        for one in view.named(key).values():
            _texts(one, *one.fields.read)
    view.string_map("sourceLabels")
    return view.data


def _reference(view: View) -> Mapping[str, Any]:
    """To an object; the name is all it needs."""
    view.require("name")
    _texts(view, *(key for key in view.fields.read if key != "port"))
    view.port("port")
    return view.data


def _texts(view: View | None, *keys: str) -> None:
    for key in keys if view else ():
        assert view
        view.string(key)


def _check_routes(view: View) -> None:
    for one in view.children("match"):
        _check_match(one)
    for one in view.children("mirror"):
        if one.require("backendRef") and (ref := one.child("backendRef")):
            _reference(ref)
    if retries := view.child("retries"):
        retries.integer("attempts")
        _texts(retries, "perTryTimeout", "retryOn")
    _texts(view.child("rewrite"), "uri", "authority", "type")
    if headers := view.child("headers"):
        for side in ("request", "response"):
            _check_edits(headers.child(side))
    _check_cors(view.child("corsPolicy"))
    for key in ("apex", "primary", "canary"):
        if metadata := view.child(key):
            metadata.string_map("labels")
            metadata.string_map("annotations")
    if kept := view.child("unmanagedMetadata"):
        kept.strings("labels")
        kept.strings("annotations")


def _check_match(view: View) -> None:
    for key in ("uri", "scheme", "method", "authority"):
        _texts(view.child(key), *STRINGS)
    for key in ("headers", "queryParams", "withoutHeaders"):
        for one in view.named(key).values():
            _texts(one, *one.fields.read)
    _texts(view, "name", "sourceNamespace")
    view.boolean("ignoreUriCase")
    view.port("port")
    view.strings("gateways")
    view.string_map("sourceLabels")


def _check_edits(view: View | None) -> None:
    if view:
        view.string_map("add")
        view.string_map("set")
        view.strings("remove")


def _check_cors(view: View | None) -> None:
    if view is None:
        return
    for key in ("allowOrigin", "allowMethods", "allowHeaders", "exposeHeaders"):
        view.strings(key)
    for one in view.children("allowOrigins"):
        _texts(one, *one.fields.read)
    view.string("maxAge")
    view.boolean("allowCredentials")


def _check_policy(view: View | None) -> None:
    if view is None:
        return
    if (pool := view.child("connectionPool")) and (http := pool.child("http")):
        _texts(http, "h2UpgradePolicy", "idleTimeout")
        _integers(http, "http1MaxPendingRequests", "http2MaxRequests", "maxRequestsPerConnection", "maxRetries")
    _check_balancing(view.child("loadBalancer"))
    if outliers := view.child("outlierDetection"):
        _texts(outliers, "interval", "baseEjectionTime")
        outliers.boolean("splitExternalLocalOriginErrors")
        _integers(outliers, *(key for key in outliers.fields.read if key.startswith(("consecutive", "m"))))
    if tls := view.child("tls"):
        _texts(tls, "mode", "sni", "caCertificates", "clientCertificate", "privateKey")
        tls.strings("subjectAltNames")


def _integers(view: View, *keys: str) -> None:
    for key in keys:
        view.integer(key)


def _check_balancing(view: View | None) -> None:
    if view is None:
        return
    _texts(view, "simple", "warmupDurationSecs")
    if hashed := view.child("consistentHash"):
        _texts(hashed, "httpHeaderName")
        _texts(hashed.child("httpCookie"), "name", "path", "ttl")
        hashed.boolean("useSourceIp")
        hashed.integer("minimumRingSize")
    if locality := view.child("localityLbSetting"):
        locality.boolean("enabled")
        for one in locality.children("failover"):
            _texts(one, "from", "to")
        for one in locality.children("distribute"):
            one.string("from")
            one.free("to")
