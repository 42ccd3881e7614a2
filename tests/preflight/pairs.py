"""For each code the smallest manifests that it is about, and the nearest that it is not about."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from tests.preflight.canary_pairs import CANARY_PAIRS
from tests.preflight.shop import (
    SHOP,
    Object,
    gateway,
    istio,
    route,
    rule,
    service,
    subsets,
    thing,
    to,
    version,
)

Objects = Sequence[Object]
Pair = tuple[Objects, Objects]
GET = {"match": [{"method": {"exact": "GET"}}]}
SPLIT = route(rule(to("web", "v1", 90), to("web", "v2", 10)))


def pod(name: str = "p", labels: Any = None, container: Object | None = None, **metadata: Any) -> Object:
    spec = {"containers": [{"name": "app", "image": "x", **(container or {})}]}
    return thing("Pod", name, api="v1", spec=spec, labels=labels or {"app": "web"}, **metadata)


def namespace(name: str = "default", **labels: str) -> Object:
    named = {key.replace("__", "/").replace("_", "-"): value for key, value in labels.items()}
    return thing("Namespace", name, api="v1", labels=named)


def in_mesh(*objects: Object) -> Objects:
    return (thing("Namespace", "default", api="v1", labels={"istio-injection": "enabled"}), *objects)


def envoy_filter(operation: str, target: str, name: str = "f", match: Object | None = None, **spec: Any) -> Object:
    patch = {"applyTo": target, "patch": {"operation": operation, "value": {"name": "x"}}}
    return istio("EnvoyFilter", name, {"configPatches": [{**patch, "match": match} if match else patch], **spec})


def secret(name: str = "cert", **data: str) -> Object:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {**thing("Secret", name, api="v1", namespace="istio-system"), "data": encoded}


def entry(name: str = "out", protocol: str = "HTTP", **spec: Any) -> Object:
    body = {"hosts": ["out.example"], "ports": [{"number": 80, "name": "p", "protocol": protocol}], "resolution": "DNS"}
    return istio("ServiceEntry", name, {**body, **spec})


def service_port(**port: Any) -> Object:
    return thing("Service", "web", api="v1", spec={"selector": {"app": "web"}, "ports": [port]})


def tls(mode: str, **more: str) -> Object:
    return subsets(tls={"mode": mode, **more})


def selecting(kind: str, name: str, labels: Object | None = None) -> Object:
    key = {"Sidecar": ("workloadSelector", "labels")}.get(kind, ("selector", "matchLabels"))
    return istio(kind, name, {key[0]: {key[1]: labels}} if labels else {})


def canary(rps: str, weight: int = 5) -> Object:
    analysis = {"interval": "10s", "stepWeight": weight, "metrics": []}
    annotations = {"meshtest.dev/rps": rps}
    return thing("Canary", api="flagger.app/v1beta1", spec={"analysis": analysis}, annotations=annotations)


def http_route(namespace: str = "default", port: int = 80, parent: str = "") -> Object:
    backend = {"name": "web", "namespace": namespace, "port": port}
    spec: Object = {"rules": [{"backendRefs": [backend]}]}
    spec |= {"parentRefs": [{"name": parent}]} if parent else {}
    return thing("HTTPRoute", api="gateway.networking.k8s.io/v1", spec=spec)


def image_auto(labels: Object | None = None) -> Object:
    return pod("p", labels, {"name": "istio-proxy", "image": "auto"})


CLAIMED = rule(match=[{"headers": {"@request.auth.claims.group": {"exact": "x"}}}])
AMBIENT = thing("Namespace", "default", api="v1", labels={"istio.io/dataplane-mode": "ambient"})
DRAINED = {"lifecycle": {"preStop": {"sleep": {"seconds": 28}}}}
INJECTOR = {
    **thing("ConfigMap", "istio-sidecar-injector", api="v1", namespace="istio-system"),
    "data": {"values": '{"sidecarInjectorWebhook": {"enableNamespacesByDefault": true}}'},
}
UNLABELLED = thing("Namespace", "shop", api="v1")
ISTIOD = thing(
    "Deployment",
    "istiod",
    api="apps/v1",
    labels={"app": "istiod"},
    spec={"template": {"metadata": {"labels": {"app": "istiod"}}, "spec": {"containers": [{"name": "discovery"}]}}},
)
GUARDED = {
    **ISTIOD,
    "spec": {
        "template": {
            "metadata": {"labels": {"app": "istiod"}},
            "spec": {
                "containers": [
                    {"name": "discovery", "env": [{"name": "BLOCKED_CIDRS_IN_JWKS_URIS", "value": "10.0.0.0/8"}]}
                ]
            },
        }
    },
}
TOKENS = istio("RequestAuthentication", "jwt", {"jwtRules": [{"issuer": "x"}]}, namespace="istio-system")
OTHER_PORT = thing(
    "Service",
    "other",
    api="v1",
    spec={"selector": {"app": "web"}, "ports": [{"name": "http", "port": 81, "targetPort": 8080}]},
)
OTHER_PROTOCOL = thing(
    "Service",
    "other",
    api="v1",
    spec={"selector": {"app": "web"}, "ports": [{"name": "dns", "port": 80, "targetPort": 53, "protocol": "UDP"}]},
)

PAIRS: Mapping[str, Pair] = {
    "IST0002": (
        [*SHOP, route(rule(fault={"delay": {"fixedDelay": "1s", "percent": 5}}))],
        [*SHOP, route(rule(fault={"delay": {"fixedDelay": "1s", "percentage": {"value": 5}}}))],
    ),
    "IST0101": ([*SHOP, route(rule(to("wep")))], [*SHOP, route()]),
    "IST0102": ([UNLABELLED], [thing("Namespace", "shop", api="v1", labels={"istio-injection": "disabled"})]),
    "IST0103": (
        in_mesh(pod()),
        in_mesh(pod(annotations={"sidecar.istio.io/inject": "false"})),
    ),
    "IST0106": ([*SHOP, route(rule(timeout="0.0001s"))], [*SHOP, route(rule(timeout="1s"))]),
    "IST0109": ([*SHOP, route(), route(name="two")], [*SHOP, route(), route(name="two", hosts=["web.example"])]),
    "IST0110": (
        [*SHOP, selecting("Sidecar", "a", {"app": "web"}), selecting("Sidecar", "b", {"version": "v1"})],
        [*SHOP, selecting("Sidecar", "a", {"version": "v2"}), selecting("Sidecar", "b", {"version": "v1"})],
    ),
    "IST0111": ([istio("Sidecar", "a"), istio("Sidecar", "b")], [istio("Sidecar", "a")]),
    "IST0112": (
        [service("web", 80, 81), version(), route()],
        [service("web", 80, 81), version(), route(rule(to(port=81)))],
    ),
    "IST0116": (
        in_mesh(service(), OTHER_PROTOCOL, version()),
        in_mesh(service("web", 81), OTHER_PROTOCOL, version()),
    ),
    "IST0118": ([service_port(name="web", port=80)], [service_port(name="web", port=80, appProtocol="http")]),
    "IST0123": (
        [thing("Namespace", "a", api="v1", labels={"istio-injection": "enabled", "istio.io/rev": "canary"})],
        [thing("Namespace", "a", api="v1", labels={"istio-injection": "disabled", "istio.io/rev": "canary"})],
    ),
    "IST0127": (
        in_mesh(*SHOP, selecting("AuthorizationPolicy", "a", {"app": "wep"})),
        in_mesh(*SHOP, selecting("AuthorizationPolicy", "a", {"app": "web"})),
    ),
    "IST0128": ([*SHOP, tls("SIMPLE")], [*SHOP, tls("SIMPLE", caCertificates="/ca.pem")]),
    "IST0129": (
        [*SHOP, subsets(portLevelSettings=[{"port": {"number": 80}, "tls": {"mode": "SIMPLE"}}])],
        [*SHOP, subsets(portLevelSettings=[{"port": {"number": 80}, "tls": {"mode": "ISTIO_MUTUAL"}}])],
    ),
    "IST0130": (
        [*SHOP, route(rule(), rule(match=[{"uri": {"exact": "/a"}}]))],
        [*SHOP, route(rule(match=[{"uri": {"exact": "/a"}}]), rule())],
    ),
    "IST0131": (
        [*SHOP, route(rule(match=[{"uri": {"prefix": "/a/"}}]), rule(match=[{"uri": {"prefix": "/a/b/"}}]))],
        [*SHOP, route(rule(match=[{"uri": {"prefix": "/a/b/"}}]), rule(match=[{"uri": {"prefix": "/a/"}}]))],
    ),
    "IST0132": (
        [*SHOP, gateway(hosts=["a.example"]), route(hosts=["b.example"], gateways=["shop"])],
        [*SHOP, gateway(hosts=["*.example"]), route(hosts=["b.example"], gateways=["shop"])],
    ),
    "IST0134": ([entry(protocol="TCP")], [entry(protocol="TCP", addresses=["240.0.0.1"])]),
    "IST0137": (in_mesh(service(), OTHER_PORT, version()), in_mesh(service("web", 81), OTHER_PORT, version())),
    "IST0138": (
        [
            gateway("a", 443, ["a.example"], {"mode": "SIMPLE", "credentialName": "x"}),
            gateway("b", 443, ["b.example"], {"mode": "SIMPLE", "credentialName": "x"}),
        ],
        [
            gateway("a", 443, ["a.example"], {"mode": "SIMPLE", "credentialName": "x"}),
            gateway("b", 443, ["b.example"], {"mode": "SIMPLE", "credentialName": "y"}),
        ],
    ),
    "IST0140": (
        [*SHOP, subsets("v1"), route(rule(to("web", "v1"))), gateway(), route(name="in", gateways=["shop"])],
        [
            *SHOP,
            subsets("v1"),
            route(rule(to("web", "v1"))),
            gateway(),
            route(rule(to("web", "v1")), name="in", gateways=["shop"]),
        ],
    ),
    "IST0144": (
        [version(pod={"securityContext": {"runAsUser": 1337}})],
        [version(pod={"securityContext": {"runAsUser": 1338}})],
    ),
    "IST0145": ([gateway("a"), gateway("b")], [gateway("a"), gateway("b", 443)]),
    "IST0146": (
        [version(container={"name": "istio-proxy", "image": "auto"})],
        [version(container={"name": "istio-proxy", "image": "proxyv2"})],
    ),
    "IST0147": ([image_auto()], [pod()]),
    "IST0148": ([INJECTOR, UNLABELLED], [INJECTOR, namespace("shop", istio_injection="disabled")]),
    "IST0149": (
        [*SHOP, gateway(), route(CLAIMED, gateways=["shop"])],
        [*SHOP, gateway(), route(CLAIMED, gateways=["shop"]), TOKENS],
    ),
    "IST0150": (
        [thing("Service", api="v1", spec={"type": "ExternalName", "ports": [{"name": "tcp", "port": 9}]})],
        [thing("Service", api="v1", spec={"type": "ExternalName", "ports": [{"name": "http", "port": 9}]})],
    ),
    "IST0151": (
        [envoy_filter("INSERT_BEFORE", "HTTP_FILTER")],
        [envoy_filter("INSERT_BEFORE", "HTTP_FILTER", priority=10)],
    ),
    "IST0152": ([envoy_filter("REPLACE", "CLUSTER")], [envoy_filter("MERGE", "CLUSTER")]),
    "IST0153": ([envoy_filter("ADD", "HTTP_ROUTE")], [envoy_filter("ADD", "CLUSTER")]),
    "IST0154": ([envoy_filter("REMOVE", "HTTP_ROUTE")], [envoy_filter("MERGE", "HTTP_ROUTE")]),
    "IST0155": (
        [
            envoy_filter("ADD", "HTTP_FILTER", "a", {"proxy": {"proxyVersion": "1.11"}}),
            envoy_filter("INSERT_BEFORE", "HTTP_FILTER", "b"),
        ],
        [envoy_filter("ADD", "HTTP_FILTER", "a"), envoy_filter("INSERT_BEFORE", "HTTP_FILTER", "b")],
    ),
    "IST0157": (
        [istio("Telemetry", "t", {"accessLogging": [{}]})],
        [istio("Telemetry", "t", {"accessLogging": [{"providers": [{"name": "envoy"}]}]})],
    ),
    "IST0159": (
        [*SHOP, selecting("Telemetry", "a", {"app": "web"}), selecting("Telemetry", "b", {"version": "v1"})],
        [*SHOP, selecting("Telemetry", "a", {"version": "v2"}), selecting("Telemetry", "b", {"version": "v1"})],
    ),
    "IST0160": ([istio("Telemetry", "a"), istio("Telemetry", "b")], [istio("Telemetry", "a")]),
    "IST0161": (
        [gateway("a", 443, ["a.example"], {"mode": "SIMPLE", "credentialName": "cert"}), secret(cert="x", key="y")],
        [gateway("a", 443, ["a.example"], {"mode": "SIMPLE", "serverCertificate": "/x"}), secret(cert="x", key="y")],
    ),
    "IST0162": ([gateway(port=8080)], [gateway(port=443)]),
    "IST0165": (
        [*SHOP, route(gateways=["a~istio-autogenerated-k8s-gateway~b"])],
        [*SHOP, gateway(), route(gateways=["shop"])],
    ),
    "IST0166": (
        [
            pod("g", {"gateway.networking.k8s.io/gateway-name": "g"}),
            selecting("RequestAuthentication", "a", {"gateway.networking.k8s.io/gateway-name": "g"}),
        ],
        [pod("g"), selecting("RequestAuthentication", "a", {"app": "web"})],
    ),
    "IST0167": ([AMBIENT, istio("Sidecar", "a")], in_mesh(istio("Sidecar", "a"))),
    "IST0171": (
        [{**service(), "status": {"conditions": [{"type": "istio.io/WaypointBound", "status": "False"}]}}],
        [{**service(), "status": {"conditions": [{"type": "istio.io/WaypointBound", "status": "True"}]}}],
    ),
    "IST0173": ([*SHOP, subsets("v3")], [*SHOP, subsets("v2")]),
    "IST0174": ([*SHOP, subsets(host="wep")], [*SHOP, subsets()]),
    "IST0175": ([ISTIOD, TOKENS], [GUARDED, TOKENS]),
    "IST0177": ([entry("a"), entry("b", "HTTPS")], [entry("a"), entry("b", "http")]),
    # -- ours
    "MT001": (
        [service(), version(replicas=2), subsets(outlierDetection={})],
        [service(), version(replicas=2), subsets(outlierDetection={"maxEjectionPercent": 50})],
    ),
    "MT002": (
        [*SHOP, subsets("v1", "v2", loadBalancer={"consistentHash": {"useSourceIp": True}}), SPLIT],
        [
            *SHOP,
            subsets("v1", "v2", loadBalancer={"consistentHash": {"useSourceIp": True}}),
            route(rule(to("web", "v1", 100), to("web", "v2", 0))),
        ],
    ),
    "MT003": (
        [*SHOP, route(rule(fault={"abort": {"httpStatus": 503}}, retries={"attempts": 3}))],
        [*SHOP, route(rule(fault={"abort": {"httpStatus": 503}}, retries={"attempts": 0}))],
    ),
    "MT004": ([*SHOP, route(rule(mirror={"host": "web"}))], [*SHOP, route(rule(mirror={"host": "web"}, **GET))]),
    "MT005": (
        [
            *SHOP,
            subsets("v1", "v2"),
            gateway(),
            route(rule(to("web", "v1"), to("web", "v2")), gateways=["shop"]),
            version("v1", "cart", container={"env": [{"name": "WEB", "value": "http://web:80/"}]}),
        ],
        [
            *SHOP,
            subsets("v1", "v2"),
            gateway(),
            route(rule(to("web", "v1"), to("web", "v2")), gateways=["shop", "mesh"]),
            version("v1", "cart", container={"env": [{"name": "WEB", "value": "http://web:80/"}]}),
        ],
    ),
    "MT006": (
        [*SHOP, route(rule(match=[{"uri": {"prefix": "/v1"}}]))],
        [*SHOP, route(rule(match=[{"uri": {"prefix": "/v1/"}}]))],
    ),
    "MT007": (
        [*SHOP, route(rule(match=[{"uri": {"prefix": "/"}}]), rule(match=[{"uri": {"exact": "/a"}}]))],
        [*SHOP, route(rule(match=[{"uri": {"exact": "/a"}}]), rule(match=[{"uri": {"prefix": "/"}}]))],
    ),
    "MT008": (
        [*SHOP, route(rule(to(weight=0), to(weight=0)))],
        [*SHOP, route(rule(to(weight=1), to(weight=0)))],
    ),
    "MT009": ([*SHOP, route(rule(to(weight=0)))], [*SHOP, route(rule(to(weight=100)))]),
    "MT012": (
        [*SHOP, route(rule(retries={"attempts": 2, "retryOn": "5xx"}))],
        [*SHOP, route(rule(retries={"attempts": 2, "retryOn": "connect-failure,refused-stream"}))],
    ),
    "MT013": (
        [*SHOP, subsets(outlierDetection={})],
        [*SHOP, subsets(outlierDetection={}, loadBalancer={"localityLbSetting": {"enabled": False}})],
    ),
    "MT014": (
        [*SHOP, istio("DestinationRule", "web", {"host": "web", "subsets": [{"name": "a"}, {"name": "b"}]})],
        [*SHOP, subsets("v1", "v2")],
    ),
    "MT015": (
        [service(), version(container=DRAINED)],
        [service(), version(container=DRAINED, pod={"terminationGracePeriodSeconds": 40})],
    ),
    "MT016": ([canary("10")], [canary("1000")]),
    "MT017": (
        [*SHOP, gateway(), route(gateways=["shop"]), route(name="two", gateways=["shop"])],
        [*SHOP, gateway(), route(gateways=["shop"]), route(name="two", gateways=["shop"], hosts=["b.example"])],
    ),
    "MT018": (
        [*SHOP, tls("DISABLE"), istio("PeerAuthentication", "p", {"mtls": {"mode": "STRICT"}})],
        [*SHOP, tls("DISABLE"), istio("PeerAuthentication", "p", {"mtls": {"mode": "PERMISSIVE"}})],
    ),
    "MT019": (
        [*SHOP, subsets(tls={"mode": "ISTIO_MUTUAL"}, portLevelSettings=[{"port": {"number": 80}}])],
        [
            *SHOP,
            subsets(
                tls={"mode": "ISTIO_MUTUAL"},
                portLevelSettings=[{"port": {"number": 80}, "tls": {"mode": "ISTIO_MUTUAL"}}],
            ),
        ],
    ),
    "MT020": ([service(), version(container={"lifecycle": None})], [service(), version()]),
    "MT021": ([service(), version(container={"readinessProbe": None})], [service(), version()]),
    "MT022": ([http_route("other")], [http_route()]),
    "MT024": ([*SHOP, http_route(port=81)], [*SHOP, http_route(port=80)]),
    "MT025": (
        [*SHOP, http_route(parent="shop")],
        [*SHOP, http_route(parent="shop"), thing("Gateway", "shop", api="gateway.networking.k8s.io/v1", spec={})],
    ),
    "MT023": (
        [*SHOP, route(rule(match=[{"uri": {"regex": "^/a"}}]))],
        [*SHOP, route(rule(match=[{"uri": {"regex": "^/a.*"}}]))],
    ),
    **CANARY_PAIRS,
}
