"""Security policies on the real Envoy: what is denied is denied, at once, for connections that are already open too.

client ──► outbound ──► inbound [jwt | deny | allow] ──► web
user   ──► gateway [jwt | deny | allow] ──► web
"""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from meshtest import Mesh

from .web import WEB


def policy(spec: str, *, name: str = "web", namespace: str = "default") -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}, namespace: {namespace}}}
spec: {spec}
"""


def authentication(rule: str, *, selector: str = "{app: web}", namespace: str = "default") -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: web, namespace: {namespace}}}
spec: {{selector: {{matchLabels: {selector}}}, jwtRules: [{rule}]}}
"""


class Issuer:
    """Makes tokens; its public key is a JSON Web Key Set."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        numbers = self._key.public_key().public_numbers()
        key = {"kty": "EC", "crv": "P-256", "kid": "1", "x": _number(numbers.x), "y": _number(numbers.y)}
        self.jwks = json.dumps({"keys": [key]})

    def token(self, **claims: Any) -> str:
        claims = {"iss": "issuer", "sub": "alice", "exp": int(time.time()) + 600, **claims}
        text = ".".join(_text(json.dumps(part).encode()) for part in ({"alg": "ES256", "kid": "1"}, claims))
        r, s = decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_text(r.to_bytes(32) + s.to_bytes(32))}"


def _number(value: int) -> str:
    return _text(value.to_bytes(32))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def status(mesh: Mesh, request: str, headers: dict[str, str] | None = None, source: str | None = None) -> int:
    return mesh.ask(request, headers=headers or {}, source=source).status


@pytest.fixture
def web(mesh: Mesh) -> Mesh:
    mesh.apply(text=WEB)
    return mesh


def test_a_denied_path_is_answered_403_and_the_others_are_served(web: Mesh) -> None:
    web.apply(text=policy('{action: DENY, rules: [{to: [{operation: {paths: ["/admin*"], notMethods: [GET]}}]}]}'))
    assert status(web, "POST http://web/admin/users") == 403
    assert status(web, "GET http://web/admin/users") == 200
    assert status(web, "POST http://web/") == 200


def test_a_policy_counts_at_once_for_open_connections_and_so_does_its_end(web: Mesh) -> None:
    with web.load("GET http://web/secret", rps=300, lanes=("keepalive",), connections=4) as load:
        load.until(requests=30)
        for _ in range(3):
            web.apply(text=policy('{action: DENY, rules: [{to: [{operation: {paths: ["/secret"]}}]}]}'))
            load.until(requests=60)
            assert {r.status for r in load.here.requests} == {403}
            web.apply(text=policy('{action: DENY, rules: [{to: [{operation: {paths: ["/other"]}}]}]}'))
            load.until(requests=60)
            assert {r.status for r in load.here.requests} == {200}


def test_an_allow_policy_lets_in_what_it_names_and_nothing_else(web: Mesh) -> None:
    rules = (
        '{to: [{operation: {paths: ["/a/{*}/c"], hosts: [web]}}], when: [{key: "request.headers[x]", values: ["1"]}]}'
    )
    web.apply(text=policy(f"{{selector: {{matchLabels: {{app: web}}}}, rules: [{rules}]}}"))
    assert status(web, "GET http://web/a/b/c", {"x": "1"}) == 200
    assert status(web, "GET http://web/a/b/d", {"x": "1"}) == 403
    assert status(web, "GET http://web/a/b/c", {"x": "2"}) == 403
    assert status(web, "GET http://web/a/b/c") == 403


def test_a_port_is_the_pods_own(web: Mesh) -> None:
    web.apply(text=policy('{rules: [{to: [{operation: {ports: ["8080"]}}]}]}'))
    assert status(web, "GET http://web/") == 200
    web.apply(text=policy('{rules: [{to: [{operation: {ports: ["80"]}}]}]}'))
    assert status(web, "GET http://web/") == 403


def test_a_dry_run_is_counted_and_not_enforced(web: Mesh) -> None:
    web.apply(
        text="""
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: web, annotations: {istio.io/dry-run: "true"}}
spec: {action: DENY, rules: [{}]}
"""
    )
    assert status(web, "GET http://web/") == 200
    assert sum(web.provider.counters(r"rbac.istio_dry_run_deny_.shadow_denied").values()) == 1


def test_an_unknown_authorizer_denies_as_in_istio(web: Mesh) -> None:
    web.apply(text=policy('{action: CUSTOM, provider: {name: opa}, rules: [{to: [{operation: {paths: ["/x"]}}]}]}'))
    assert status(web, "GET http://web/x") == 403
    assert status(web, "GET http://web/") == 200
    assert any(d.code == "unknown-provider" for d in web.diagnostics)


def test_a_client_address_is_what_the_last_proxy_wrote(web: Mesh) -> None:
    web.apply(text=policy('{action: DENY, rules: [{from: [{source: {remoteIpBlocks: ["10.1.0.0/16"]}}]}]}'))
    assert status(web, "GET http://web/", {"x-forwarded-for": "192.0.2.1, 10.1.2.3"}) == 403
    assert status(web, "GET http://web/", {"x-forwarded-for": "10.1.2.3, 192.0.2.1"}) == 200


def test_a_bad_token_is_401_none_is_for_the_policy_to_refuse_and_claims_reach_it(web: Mesh) -> None:
    issuer, stranger = Issuer(), Issuer()
    web.apply(text=authentication(f"{{issuer: issuer, jwks: '{issuer.jwks}', audiences: [web]}}"))
    assert status(web, "GET http://web/") == 200
    assert status(web, "GET http://web/", bearer(issuer.token(aud="web"))) == 200
    assert status(web, "GET http://web/", bearer(issuer.token(aud="other"))) == 403  # Envoy: a good token, for others
    for wrong in ({"iss": "other"}, {"aud": "web", "exp": 1}):
        assert status(web, "GET http://web/", bearer(issuer.token(**wrong))) == 401, wrong
    assert status(web, "GET http://web/", bearer(stranger.token(aud="web"))) == 401
    web.apply(
        text=policy(
            '{rules: [{from: [{source: {requestPrincipals: ["issuer/*"]}}], '
            'when: [{key: "request.auth.claims[groups]", values: [admin]}]}]}'
        )
    )
    assert status(web, "GET http://web/") == 403
    assert status(web, "GET http://web/", bearer(issuer.token(aud="web"))) == 403
    assert status(web, "GET http://web/", bearer(issuer.token(aud="web", groups=["dev", "admin"]))) == 200


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def test_keys_are_changed_under_open_connections(web: Mesh) -> None:
    old, new = Issuer(), Issuer()
    web.apply(text=authentication(f"{{issuer: issuer, jwks: '{old.jwks}'}}"))
    with web.load("GET http://web/", headers=bearer(new.token()), rps=200, lanes=("keepalive",), connections=4) as load:
        load.until(requests=40)
        assert {r.status for r in load.here.requests} == {401}
        web.apply(text=authentication(f"{{issuer: issuer, jwks: '{new.jwks}'}}"))
        load.until(requests=40)
        assert {r.status for r in load.here.requests} == {200}


def test_tokens_of_two_issuers_in_other_places(web: Mesh) -> None:
    one, two = Issuer(), Issuer()
    rules = (
        f"{{issuer: one, jwks: '{one.jwks}', fromHeaders: [{{name: x-token, prefix: 'T '}}]}}, "
        f"{{issuer: two, jwks: '{two.jwks}', fromParams: [token], fromCookies: [token]}}"
    )
    web.apply(text=authentication(rules))
    assert status(web, "GET http://web/", {"x-token": f"T {one.token(iss='one')}"}) == 200
    assert status(web, "GET http://web/", {"x-token": f"T {two.token(iss='two')}"}) == 401
    assert status(web, f"GET http://web/?token={two.token(iss='two')}") == 200
    assert status(web, "GET http://web/", {"cookie": f"token={one.token(iss='two')}"}) == 401


def test_a_gateway_is_guarded_by_policies_of_the_root_namespace(web: Mesh) -> None:
    selector = "selector: {matchLabels: {istio: ingressgateway}}"
    rules = "action: DENY, rules: [{to: [{operation: {paths: [/private]}}]}]"
    web.apply(text=policy(f"{{{selector}, {rules}}}", namespace="istio-system"))
    assert status(web, "GET http://shop.example.com/private", source="ingress") == 403
    assert status(web, "GET http://shop.example.com/", source="ingress") == 200
    assert status(web, "GET http://nobody.example.com/private", source="ingress") == 403
    assert status(web, "GET http://web/private") == 200


def test_a_gateway_routes_by_the_claims_of_a_token(web: Mesh) -> None:
    issuer = Issuer()
    rule = f"{{issuer: issuer, jwks: '{issuer.jwks}'}}"
    web.apply(text=authentication(rule, selector="{istio: ingressgateway}", namespace="istio-system"))
    web.apply(
        text="""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: front}
spec:
  hosts: [shop.example.com]
  gateways: [front]
  http:
  - match: [{headers: {"@request.auth.claims.groups": {exact: admin}}}]
    route: [{destination: {host: web}}]
  - directResponse: {status: 418}
"""
    )
    url = "GET http://shop.example.com/"
    assert status(web, url, bearer(issuer.token(groups=["admin"])), source="ingress") == 200
    assert status(web, url, bearer(issuer.token(groups=["dev"])), source="ingress") == 418
    assert status(web, url, source="ingress") == 418
    assert status(web, url, bearer(Issuer().token()), source="ingress") == 401


def test_keys_of_a_service_of_the_mesh_are_fetched(web: Mesh) -> None:
    """The stand-in serves no key set, so what is shown is that Envoy asked it, and refuses the token."""
    web.apply(text=authentication("{issuer: issuer, jwksUri: 'http://web.default/keys'}", selector="{app: web}"))
    assert status(web, "GET http://web/") == 200
    assert status(web, "GET http://web/", bearer(Issuer().token())) == 401
    assert sum(web.provider.counters(r"jwt_authn.jwks_fetch_(failed|success)").values()) > 0


TEMPLATES = ["/{*}", "/{**}", "/a/{*}/", "/{*}/b/{**}", "/{**}/b", "/a-._~%!$&'()+,;:@=/{*}", "/{*}/{*}/{*}/{*}/{*}"]


def test_envoy_takes_every_path_template_that_passes_our_check(web: Mesh) -> None:
    """It must: on one that it does not take, Envoy 1.40 aborts."""
    listed = ", ".join(f'"{template}"' for template in TEMPLATES)
    web.apply(text=policy(f"{{rules: [{{to: [{{operation: {{paths: [{listed}]}}}}]}}]}}"))
    assert status(web, "GET http://web/any") == 200
