"""No field is forgotten: the tables hold every property of the CRDs, and what they call translated is really read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshtest.manifests import view as view_module
from meshtest.manifests.compiler import compile
from meshtest.manifests.fields import METADATA, Fields
from meshtest.manifests.gateway_api import fields
from meshtest.manifests.patch import put
from meshtest.manifests.reader import read_text
from meshtest.manifests.view import View
from tests.crds import schemas_of, unlike
from tests.manifests.gateway_api.shop import SHOP

TABLES = {
    "httproutes": fields.HTTP_ROUTE,
    "grpcroutes": fields.GRPC_ROUTE,
    "gateways": fields.GATEWAY,
    "gatewayclasses": fields.GATEWAY_CLASS,
    "referencegrants": fields.REFERENCE_GRANT,
    "backendtlspolicies": fields.BACKEND_TLS_POLICY,
}
EXPERIMENTAL = {
    "httproutes": {
        "spec.useDefaultGateways", "spec.rules.retry", "spec.rules.sessionPersistence",
        "spec.rules.filters.externalAuth", "spec.rules.backendRefs.filters.externalAuth",
    },
    "grpcroutes": {"spec.useDefaultGateways", "spec.rules.sessionPersistence"},
    "gateways": {"spec.defaultScope"},
}  # fmt: skip
"""Fields of the experimental channel only; the schemas are those of the standard one."""


@pytest.mark.parametrize("plural", TABLES)
def test_every_property_of_the_crd_is_translated_or_reported(plural: str, schemas: Path) -> None:
    (crd,) = schemas_of(schemas / f"gateway-api-{plural}.yaml").values()
    spec = TABLES[plural].read["spec"]
    assert spec is not None
    assert unlike(crd, spec) == sorted(f"{path} is not in the CRD" for path in EXPERIMENTAL.get(plural, ()))


def test_a_listener_of_a_set_has_the_fields_of_a_gateways() -> None:
    of_set, of_gateway = fields.LISTENER_SET.read["spec"], fields.GATEWAY.read["spec"]
    assert of_set is not None
    assert of_gateway is not None
    assert of_set.read["listeners"] is of_gateway.read["listeners"]


EVERYTHING = """\
apiVersion: v1
kind: Namespace
metadata: {name: default, labels: {a: b}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: any}
spec: {controllerName: example.com/any}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: any
  allowedListeners: {namespaces: {from: Same}}
  tls:
    backend: {clientCertificateRef: {group: "", kind: Secret, name: a, namespace: default}}
    frontend:
      default: {validation: {mode: AllowValidOnly, caCertificateRefs: [{group: "", kind: ConfigMap, name: a,
                                                                        namespace: default}]}}
      perPort: [{port: 443, tls: {validation: {mode: AllowInsecureFallback, caCertificateRefs: [{name: a}]}}}]
  listeners:
  - {name: http, hostname: "*.example.com", port: 80, protocol: HTTP,
     allowedRoutes: {kinds: [{group: gateway.networking.k8s.io, kind: HTTPRoute}],
                     namespaces: {from: Selector, selector: {matchLabels: {a: b}, matchExpressions: [
                       {key: a, operator: In, values: [b]}]}}}}
  - {name: https, port: 443, protocol: HTTPS,
     tls: {mode: Terminate, certificateRefs: [{group: "", kind: Secret, name: a, namespace: default}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more}
spec:
  parentRef: {group: gateway.networking.k8s.io, kind: Gateway, name: edge, namespace: default}
  listeners: [{name: http, port: 81, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  parentRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: edge, namespace: default, sectionName: http,
                port: 80}]
  hostnames: [a.example.com]
  rules:
  - name: one
    matches:
    - {path: {type: PathPrefix, value: /}, method: GET, headers: [{type: Exact, name: a, value: b}],
       queryParams: [{type: Exact, name: a, value: b}]}
    filters: &filters
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}], add: [{name: a, value: b}],
                                                            remove: [a]}}
    - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: a, value: b}]}}
    - {type: RequestMirror, requestMirror: {backendRef: {group: "", kind: Service, name: web, namespace: default,
                                                         port: 80}, percent: 1}}
    - {type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}, fraction: {numerator: 1,
                                                                                          denominator: 2}}}
    - {type: URLRewrite, urlRewrite: {hostname: a, path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}
    - {type: CORS, cors: {allowOrigins: ["*"], allowMethods: [GET], allowHeaders: [a], exposeHeaders: [a], maxAge: 1,
                          allowCredentials: true}}
    backendRefs: [{group: "", kind: Service, name: web, namespace: default, port: 80, weight: 1, filters: *filters}]
    timeouts: {request: 1s, backendRequest: 1s}
    retry: {codes: [500], attempts: 1, backoff: 1s}
  - filters:
    - {type: RequestRedirect, requestRedirect: {scheme: https, hostname: a, port: 1, statusCode: 301,
                                                path: {type: ReplaceFullPath, replaceFullPath: /}}}
  - backendRefs:
    - {name: web, port: 80, filters: [{type: RequestRedirect, requestRedirect: {
        scheme: https, hostname: a, port: 1, statusCode: 301, path: {type: ReplaceFullPath, replaceFullPath: /}}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: grpc}
spec:
  parentRefs: [{name: edge}]
  hostnames: [a.example.com]
  rules:
  - name: one
    matches: [{method: {type: Exact, service: a, method: b}, headers: [{type: Exact, name: a, value: b}]}]
    filters: &grpc
    - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}], add: [], remove: [a]}}
    - {type: ResponseHeaderModifier, responseHeaderModifier: {}}
    - {type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}, percent: 1}}
    - {type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}, fraction: {numerator: 1}}}
    backendRefs: [{name: web, port: 80, weight: 1, filters: *grpc}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: tls}
spec: {parentRefs: [{name: edge}], hostnames: [a], rules: [{name: a, backendRefs: [{name: web, port: 80, weight: 1}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: tcp}
spec: {parentRefs: [{name: edge}], rules: [{name: a, backendRefs: [{name: web, port: 80, weight: 1}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: all}
spec:
  from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: default}]
  to: [{group: "", kind: Service, name: web}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: {name: web}
spec:
  targetRefs: [{group: "", kind: Service, name: web, sectionName: http}]
  validation: {hostname: a, wellKnownCACertificates: System, caCertificateRefs: [{group: "", kind: ConfigMap, name: a}],
               subjectAltNames: [{type: Hostname, hostname: a}, {type: URI, uri: "spiffe://a"}]}
---
"""
"""Every translated field; some contradict each other, which is no reason not to read them."""

ALL = {
    **TABLES, "namespace": fields.NAMESPACE, "listenersets": fields.LISTENER_SET, "tlsroutes": fields.TLS_ROUTE,
    "tcproutes": fields.TCP_ROUTE,
}  # fmt: skip


def tables(table: Fields, path: str) -> Iterator[tuple[str, Fields]]:
    yield path, table
    for name, below in table.read.items():
        if below is not None and below is not METADATA:
            yield from tables(below, f"{path}.{name}")


def test_every_field_that_counts_as_translated_is_really_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[tuple[int, str]] = set()
    original = View._get

    def spy(self: View, key: str) -> Any:
        read.add((id(self.fields), key))
        return original(self, key)

    monkeypatch.setattr(view_module.View, "_get", spy)
    notes = compile(read_text(SHOP + EVERYTHING)).diagnostics
    assert not [d for d in notes if d.code in ("unknown-field", "wrong-type", "not-supported")]
    by_document = {"apiVersion", "kind", "metadata"}
    unread = {
        f"{path}.{name}"
        for plural, table in ALL.items()
        for path, below in tables(table, plural)
        for name in below.read
        if (id(below), name) not in read and not (path in ALL and name in by_document)
    }
    assert unread == set()


@pytest.mark.parametrize("plural", ALL)
def test_no_field_is_in_two_sets_and_every_reason_is_given(plural: str) -> None:
    for path, below in tables(ALL[plural], plural):
        assert len(below.known) == len(set(below.known)), path
        assert all(below.unsupported.values()), path


def test_no_value_of_a_wrong_type_is_more_than_a_diagnostic() -> None:
    documents = read_text(EVERYTHING)
    values: Iterator[Any] = itertools.cycle([1, "x", [], {}, [None], {"a": 1}, True, [[]], 1.5, -1, None, [{}], ""])
    for document in documents:
        for path in document.lines:
            if len(path) > 1 and path != ("metadata", "name"):
                compile(documents.apply([put(document, path, next(values))]))


def test_a_misspelt_field_is_told_with_its_place() -> None:
    text = EVERYTHING.replace("replacePrefixMatch: /}", "replacePrefix: /}")
    told = [str(d) for d in compile(read_text(text, "m.yaml")).diagnostics if d.code == "unknown-field"]
    assert told
    assert "did you mean `replacePrefixMatch`?" in told[0]
