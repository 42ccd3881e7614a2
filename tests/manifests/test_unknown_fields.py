"""Nothing is passed over in silence: an unknown key in any mapping, a wrong type at any place, a word that is none."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Diagnostic, Severity

Where = tuple[str | int, ...]

FULL = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: class}
spec: {controllerName: example.com/controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: istio
  allowedListeners: {namespaces: {from: Same}}
  listeners:
  - name: http
    hostname: "*.example.com"
    port: 80
    protocol: HTTP
    allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}, kinds: [{kind: HTTPRoute}]}
  - name: https
    port: 443
    protocol: HTTPS
    tls: {mode: Terminate, certificateRefs: [{kind: Secret, name: cert}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{name: edge, sectionName: http}]
  hostnames: [a.example.com]
  rules:
  - name: main
    matches:
    - path: {type: PathPrefix, value: /a}
      method: GET
      headers: [{type: Exact, name: x, value: y}]
      queryParams: [{type: Exact, name: x, value: y}]
    filters:
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: a, value: b}], add: [{name: c, value: d}], remove: [e]}
    - type: RequestMirror
      requestMirror: {backendRef: {name: web, port: 80}, fraction: {numerator: 1, denominator: 2}}
    - type: URLRewrite
      urlRewrite: {hostname: b.example.com, path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}
    backendRefs:
    - {name: web, port: 80, weight: 1, filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {remove: [a]}}]}
    timeouts: {request: 2s, backendRequest: 1s}
    retry: {codes: [500], attempts: 2, backoff: 100ms}
  - matches: [{path: {type: Exact, value: /old}}]
    filters:
    - type: RequestRedirect
      requestRedirect: {scheme: https, hostname: c.example.com, port: 8443, statusCode: 301,
                        path: {type: ReplaceFullPath, replaceFullPath: /new}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: calls}
spec:
  parentRefs: [{name: edge}]
  rules:
  - matches: [{method: {type: Exact, service: a.B, method: C}, headers: [{name: x, value: y}]}]
    backendRefs: [{name: web, port: 80}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: tls}
spec:
  parentRefs: [{name: edge}]
  hostnames: [t.example.com]
  rules: [{backendRefs: [{name: web, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: tcp}
spec: {parentRefs: [{name: edge}], rules: [{backendRefs: [{name: web, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: grant}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other}]
  to: [{group: "", kind: Service, name: web}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: backend}
spec:
  targetRefs: [{group: "", kind: Service, name: web, sectionName: http}]
  validation:
    caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]
    hostname: web.example.com
    subjectAltNames: [{type: Hostname, hostname: web.example.com}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more}
spec:
  parentRef: {name: edge}
  listeners: [{name: extra, port: 8080, protocol: HTTP, allowedRoutes: {namespaces: {from: Same}}}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: peers}
spec: {selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}, portLevelMtls: {8080: {mode: DISABLE}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: who}
spec:
  selector: {matchLabels: {app: web}}
  action: ALLOW
  rules:
  - from: [{source: {principals: [a], namespaces: [b], ipBlocks: [10.0.0.0/8], requestPrincipals: ["*"]}}]
    to: [{operation: {hosts: [a], ports: ["80"], methods: [GET], paths: [/a]}}]
    when: [{key: "request.headers[x]", values: [y]}]
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens}
spec:
  selector: {matchLabels: {app: web}}
  jwtRules:
  - issuer: a
    jwks: '{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}'
    audiences: [b]
    fromHeaders: [{name: x, prefix: y}]
    fromParams: [z]
    outputClaimToHeaders: [{header: h, claim: c}]
    forwardOriginalToken: true
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside}
spec:
  hosts: [out.example.com]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  endpoints: [{address: 127.0.0.2, ports: {http: 8080}, labels: {version: v1}, locality: eu/eu-1, weight: 2}]
  exportTo: ["*"]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: machine}
spec: {address: 127.0.0.3, ports: {http: 8080}, labels: {app: machine}, weight: 1, serviceAccount: m}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: only}
spec:
  workloadSelector: {labels: {app: web}}
  egress: [{hosts: ["./*"]}]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: patch}
spec:
  workloadSelector: {labels: {app: web}}
  priority: 1
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      context: SIDECAR_INBOUND
      listener:
        portNumber: 8080
        filterChain: {filter: {name: envoy.filters.network.http_connection_manager,
                               subFilter: {name: envoy.filters.http.router}}}
    patch:
      operation: INSERT_BEFORE
      value: {name: lua, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}}
  - applyTo: CLUSTER
    match: {context: SIDECAR_OUTBOUND, cluster: {service: web.default.svc.cluster.local, portNumber: 80}}
    patch: {operation: MERGE, value: {connect_timeout: 1s}}
  - applyTo: HTTP_ROUTE
    match:
      context: GATEWAY
      routeConfiguration: {name: http.80, vhost: {name: a, route: {name: b, action: ROUTE}}}
    patch: {operation: MERGE, value: {route: {timeout: 1s}}}
---
apiVersion: v1
kind: Service
metadata:
  name: web
  annotations: {retry.linkerd.io/http: 5xx, retry.linkerd.io/limit: "2", timeout.linkerd.io/request: 1s}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080, protocol: TCP}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - match: [{uri: {exact: /a}, headers: {x: {exact: y}}}]
    route: [{destination: {host: web, port: {number: 80}}}]
  tcp: [{match: [{port: 80}], route: [{destination: {host: web}}]}]
  tls: [{match: [{port: 443, sniHosts: [web]}], route: [{destination: {host: web}}]}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  trafficPolicy:
    loadBalancer: {localityLbSetting: {enabled: true}, simple: ROUND_ROBIN}
    connectionPool: {tcp: {maxConnections: 1}, http: {maxRetries: 1}}
    outlierDetection: {consecutive5xxErrors: 1}
    tls: {mode: SIMPLE, sni: web}
  subsets: [{name: v1, labels: {version: v1}}]
"""
DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
OBJECTS: dict[str, dict[str, Any]] = {f"{o['apiVersion']} {o['kind']}": o for o in yaml.safe_load_all(FULL)}
OTHERS = read_text(FULL, "others.yaml")

WORDS = {"mode", "type", "protocol", "from", "kind", "action", "applyTo", "context", "operation", "location"}
WORDS |= {"resolution", "simple", "scheme", "method"}
"""Fields of which some words are allowed, wherever they stand."""
OPEN = {"GRPCRoute": {"method"}, "ReferenceGrant": {"kind"}}
"""Where any name may stand: a method of the user's own, kinds of other projects."""

UNREAD = frozenset({"annotations", "labels"})
"""Below metadata they are whoever's; what matters here is read where it does."""

FREE = {"WorkloadEntry": ("spec", "ports")}
"""Keys are names of the user's own."""


def envoys(at: Where) -> bool:
    """What an EnvoyFilter puts in is Envoy's to know: the translator checks it (tests/envoy/test_patches.py)."""
    return at[:2] == ("spec", "configPatches") and at[3:5] == ("patch", "value")


def nodes(value: Any, at: Where = ()) -> Iterator[tuple[Where, Any]]:
    yield at, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in children:
        if at != ("metadata",) or key not in UNREAD:
            yield from nodes(below, (*at, key))


def changed(root: dict[str, Any], at: Where, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(root)
    holder: Any = made
    for key in at[:-1]:
        holder = holder[key]
    holder[at[-1]] = value
    return made


def told(made: dict[str, Any]) -> list[Diagnostic]:
    """What is said of the object, beside the others."""
    documents = OTHERS.apply(read_text(yaml.dump(made, Dumper=DUMPER, sort_keys=False), "m.yaml"))
    notes = compile(documents).diagnostics
    return [n for n in notes if n.severity > Severity.INFO and n.source.file == "m.yaml"]


@pytest.mark.parametrize("kind", OBJECTS)
def test_an_unknown_key_is_told_in_every_mapping(kind: str) -> None:
    root = OBJECTS[kind]
    silent = []
    for at, value in nodes(root):
        if isinstance(value, dict) and not envoys(at) and FREE.get(root["kind"]) != at:
            notes = told(changed(root, (*at, "zzz"), 1))
            if not any("zzz" in n.message and n.source.line > 1 for n in notes):
                silent.append(at)
    assert silent == [], silent


@pytest.mark.parametrize("kind", OBJECTS)
def test_a_value_of_the_wrong_type_is_told_everywhere(kind: str) -> None:
    root = OBJECTS[kind]
    usual = {str(note) for note in told(root)}
    silent = []
    for at, value in nodes(root):
        if at and at[0] == "spec" and not (envoys(at) and len(at) > 5):
            wrong: Any = {"zzz": 1} if not isinstance(value, dict) else "zzz"
            if {str(note) for note in told(changed(root, at, wrong))} <= usual:
                silent.append(at)
    assert silent == [], silent


@pytest.mark.parametrize("kind", OBJECTS)
def test_the_objects_themselves_are_without_an_error(kind: str) -> None:
    assert [n for n in told(OBJECTS[kind]) if n.severity is Severity.ERROR] == []


@pytest.mark.parametrize("kind", OBJECTS)
def test_a_word_that_is_none_of_the_allowed_is_told(kind: str) -> None:
    root = OBJECTS[kind]
    asked = WORDS - OPEN.get(root["kind"], set())
    words = [at for at, value in nodes(root["spec"], ("spec",)) if isinstance(value, str) and at[-1] in asked]
    usual = {str(note) for note in told(root)}
    silent = [at for at in words if not envoys(at) and {str(note) for note in told(changed(root, at, "Zzz"))} <= usual]
    assert silent == [], silent
