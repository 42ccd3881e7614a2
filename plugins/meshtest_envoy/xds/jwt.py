"""RequestAuthentications as Envoy's jwt_authn filter (Istio: pilot/pkg/security/authn/policy_applier.go).

A request without a token passes - that is for an AuthorizationPolicy to refuse - and one with a bad token is answered
401. The claims stay behind in dynamic metadata, where RBAC rules and the routes of a gateway find them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from meshtest.manifests.istio_security.links import key_server
from meshtest.model.security import Authentication, TokenRule
from meshtest.model.service import Service
from meshtest_envoy.xds import names
from meshtest_envoy.xds.rbac import PAYLOAD
from meshtest_envoy.xds.resources import Json, seconds

CACHE = "300s"
"""How long fetched keys are kept; Istio's figure."""

NOBODYS_KEYS = (
    '{"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "nobody", '
    '"x": "bTHWG-jwc8cA2pLvmYZVLtLbbxEN5273r6oMCNdFW9Y", "y": "RNEXvVRuMroJku5Qv8vyDeqo473DCwMZ_QKyHITv6WM"}]}'
)
"""For an issuer whose keys cannot be had: nobody has the private half, so every token is refused (as Istio does)."""

SPACE_DELIMITED = ("permission", "scope")


def config(authentications: Iterable[Authentication], services: Sequence[Service], *, edge: bool) -> Json:
    """The fields of the filter; none where nothing applies. `edge`: routes may ask for claims (a gateway)."""
    rules = [rule for authentication in authentications for rule in authentication.rules]
    # Istio sorts by issuer, so that the filter does not change with the order of documents
    named = {f"origins-{i}": rule for i, rule in enumerate(sorted(rules, key=lambda rule: rule.issuer))}
    if not named:
        return {}
    return {
        "providers": {name: provider(rule, services, edge=edge) for name, rule in named.items()},
        "rules": [{"match": {"prefix": "/"}, "requires": requirement(named)}],
        "bypass_cors_preflight": True,
    }


def requirement(named: dict[str, TokenRule]) -> Json:
    """Every token that is there must be valid. With several issuers one valid token is enough where they share a place,
    because each of the others would find that token, and not know it."""
    each = [_valid_or_missing(name, rule) for name, rule in named.items()]
    if len(each) == 1:
        return each[0]
    one = [{"provider_name": name} for name in named]
    return {"requires_any": {"requirements": [*one, {"requires_all": {"requirements": each}}]}}


def _valid_or_missing(name: str, rule: TokenRule) -> Json:
    valid: Json = {"provider_name": name}
    return valid if rule.required else {"requires_any": {"requirements": [valid, {"allow_missing": {}}]}}


def provider(rule: TokenRule, services: Sequence[Service], *, edge: bool) -> Json:
    result: dict[str, Any] = {
        "issuer": rule.issuer,
        "audiences": list(rule.audiences),
        "forward": rule.forward,
        "forward_payload_header": rule.payload_header,
        "payload_in_metadata": PAYLOAD,
        "normalize_payload_in_metadata": {
            "space_delimited_claims": sorted({*SPACE_DELIMITED, *rule.space_delimited}),
        },
        "from_headers": [{"name": name, "value_prefix": prefix} for name, prefix in rule.from_headers],
        "from_params": list(rule.from_params),
        "from_cookies": list(rule.from_cookies),
        "claim_to_headers": [{"claim_name": c, "header_name": h} for c, h in rule.claim_headers],
        "clear_route_cache": edge,
    }
    return {field: value for field, value in result.items() if value} | keys(rule, services)


def keys(rule: TokenRule, services: Sequence[Service]) -> Json:
    if rule.jwks_uri and (found := key_server(rule.jwks_uri, services)):
        service, port = found
        uri = {
            "uri": rule.jwks_uri,
            "cluster": names.outbound_cluster(service.fqdn, port),
            "timeout": seconds(rule.timeout),
        }
        return {"remote_jwks": {"http_uri": uri, "cache_duration": CACHE}}
    return {"local_jwks": {"inline_string": rule.jwks or NOBODYS_KEYS}}
