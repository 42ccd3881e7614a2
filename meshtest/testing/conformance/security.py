"""Who may call whom: identities, policies, tokens, and what the user adds to a proxy."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from meshtest.model.feature import Feature
from meshtest.testing.conformance.case import Cases
from meshtest.testing.conformance.manifests import CALLER, WEB, deployment, service

if TYPE_CHECKING:
    from meshtest.mesh import Mesh
    from meshtest.testing.tokens import Issuer

CASES = cases = Cases()

STRICT = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
---
"""


@cases(Feature.MUTUAL_TLS, WEB + CALLER + STRICT)
def a_caller_proves_who_it_is(mesh: Mesh) -> None:
    reply = mesh.ask("GET http://web/", source="front")
    seen = {name.lower(): str(value) for name, value in reply.json["headers"].items()}
    assert reply.status == 200
    assert "URI=spiffe://cluster.local/ns/default/sa/front" in seen["x-forwarded-client-cert"]


ONLY_FRONT = """\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  action: ALLOW
  rules:
  - from: [{source: {principals: [cluster.local/ns/default/sa/front]}}]
    to: [{operation: {methods: [GET], paths: ["/books/*"]}}]
---
"""


@cases(Feature.AUTHORIZATION, WEB + CALLER + service("other") + deployment("other", "v1") + STRICT + ONLY_FRONT)
def only_the_named_identity_gets_to_the_named_paths(mesh: Mesh) -> None:
    meant = {("front", "GET", "/books/1"): 200, ("front", "GET", "/"): 403, ("front", "POST", "/books/1"): 403,
             ("other", "GET", "/books/1"): 403}  # fmt: skip
    for (source, method, path), status in meant.items():
        assert mesh.ask(f"{method} http://web{path}", source=source).status == status, (source, method, path)


@cache
def issuer() -> Issuer:
    from meshtest.testing.tokens import Issuer

    return Issuer()


def with_tokens() -> str:
    from meshtest.testing.tokens import key_set

    return (
        WEB
        + f"""\
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  jwtRules: [{{issuer: "{issuer().name}", jwks: '{key_set(issuer())}'}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: web}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  rules: [{{from: [{{source: {{requestPrincipals: ["*"]}}}}]}}]
---
"""
    )


@cases(Feature.JWT, with_tokens)
def a_token_is_checked_and_one_is_needed(mesh: Mesh) -> None:
    assert mesh.ask("GET http://web/", headers=issuer().headers()).status == 200
    assert mesh.ask("GET http://web/", headers=issuer().headers(valid=-600)).status == 401
    assert mesh.ask("GET http://web/").status == 403


LIMIT = """\
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: limit}
spec:
  workloadSelector: {labels: {app: web}}
  configPatches:
  - applyTo: HTTP_FILTER
    match:
      context: SIDECAR_INBOUND
      listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}
    patch:
      operation: INSERT_BEFORE
      value:
        name: envoy.filters.http.local_ratelimit
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit
          stat_prefix: limit
          token_bucket: {max_tokens: 3, tokens_per_fill: 1, fill_interval: 3600s}
          filter_enabled: {default_value: {numerator: 100, denominator: HUNDRED}}
          filter_enforced: {default_value: {numerator: 100, denominator: HUNDRED}}
---
"""


@cases(Feature.PROXY_PATCHES, service("web") + deployment("web", "v1") + LIMIT)
def a_local_rate_limit_turns_away_what_is_too_much(mesh: Mesh) -> None:
    assert [mesh.ask("GET http://web/").status for _ in range(5)] == [200, 200, 200, 429, 429]
