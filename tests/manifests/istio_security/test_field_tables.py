"""No field of a security kind is forgotten, and no value of a wrong type is more than a diagnostic."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.istio_security.fields import AUTHORIZATION_POLICY, ENVOY_FILTER, REQUEST_AUTHENTICATION
from meshtest.manifests.patch import put
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Severity
from meshtest.model.document import Documents
from tests.crds import schemas_of, unlike

KINDS = {
    "AuthorizationPolicy": AUTHORIZATION_POLICY,
    "RequestAuthentication": REQUEST_AUTHENTICATION,
    "EnvoyFilter": ENVOY_FILTER,
}

EVERYTHING = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: all, annotations: {istio.io/dry-run: "true"}}
spec:
  action: DENY
  selector: {matchLabels: {app: web}}
  rules:
  - from:
    - source: {principals: [a], requestPrincipals: [a], namespaces: [a], ipBlocks: [10.0.0.1], notPrincipals: [a],
               remoteIpBlocks: [10.0.0.0/8], trustDomains: [a]}
    - source: {serviceAccounts: [a/b], notServiceAccounts: [c], notIpBlocks: [10.0.0.1]}
    to:
    - operation: {hosts: [a], notHosts: [b], ports: ["80"], notPorts: ["81"], methods: [GET], notMethods: [PUT],
                  paths: [/a, "/b/{*}"], notPaths: [/c]}
    when:
    - {key: "request.headers[x]", values: [a], notValues: [b]}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: all}
spec:
  targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: a}]
  jwtRules:
  - issuer: a
    audiences: [a]
    jwksUri: http://a.b/keys
    fromHeaders: [{name: a, prefix: b}]
    fromParams: [a]
    fromCookies: [a]
    outputPayloadToHeader: a
    outputClaimToHeaders: [{claim: a, header: b}]
    forwardOriginalToken: true
    timeout: 1s
    presence: REQUIRED
    spaceDelimitedClaims: [a]
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: all}
spec:
  priority: 1
  workloadSelector: {labels: {app: web}}
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      context: SIDECAR_INBOUND
      listener:
        name: virtualInbound
        portNumber: 80
        filterChain: {name: a, sni: b, transportProtocol: tls, applicationProtocols: h2, destinationPort: 80,
                      filter: {name: a, subFilter: {name: b}}}
    patch: {operation: INSERT_BEFORE, value: {name: a}}
  - applyTo: HTTP_ROUTE
    match: {routeConfiguration: {name: a, portNumber: 80, gateway: a/b,
                                 vhost: {name: a, domainName: b, route: {name: a, action: ROUTE}}}}
    patch: {operation: MERGE, value: {}}
  - applyTo: CLUSTER
    match: {cluster: {name: a, portNumber: 80, service: a, subset: b}}
    patch: {operation: REMOVE}
"""


@pytest.mark.parametrize("kind", KINDS)
def test_every_property_of_the_crd_is_translated_or_reported(kind: str, schemas: Path) -> None:
    spec = KINDS[kind].read["spec"]
    assert spec is not None
    assert unlike(schemas_of(schemas / "istio.yaml")[kind], spec) == []


def test_everything_is_understood() -> None:
    notes = compile(read_text(EVERYTHING)).diagnostics
    assert [str(n) for n in notes if n.severity is Severity.ERROR] == []
    assert {n.code for n in notes} <= {"not-supported", "denies-tcp", "unknown-host", "no-effect", "shared"}


def test_an_unknown_field_is_an_error_wherever_it_stands() -> None:
    for document in read_text(EVERYTHING):
        for path in document.lines:
            found: Any = document.data
            for step in path:
                found = found[step]
            if isinstance(found, dict) and path[-1:] not in (("matchLabels",), ("labels",), ("value",)):
                if "annotations" in path:
                    continue
                notes = compile(Documents((put(document, (*path, "zzz"), "x"),))).diagnostics
                assert [n.severity for n in notes if "zzz`; " in n.message] == [Severity.ERROR], path


def test_no_value_of_a_wrong_type_is_more_than_a_diagnostic() -> None:
    documents = read_text(EVERYTHING)
    values: list[Any] = [1, "x", [], {}, [None], {"a": 1}, True, [[]], 1.5, -1, None, [{}], ""]
    for document in documents:
        for path, value in itertools.product(document.lines, values):
            if len(path) > 1 and path != ("metadata", "name"):
                compile(documents.apply([put(document, path, value)]))
