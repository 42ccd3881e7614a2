"""RequestAuthentication: rules as written, key sets that Envoy could not read, keys that cannot be had."""

from __future__ import annotations

import json

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.istio_security import jwks
from meshtest.manifests.reader import read_text
from meshtest.model.security import TokenRule

X = "bTHWG-jwc8cA2pLvmYZVLtLbbxEN5273r6oMCNdFW9Y"
KEY = {"kty": "EC", "crv": "P-256", "x": X, "y": X}
KEYS = json.dumps({"keys": [KEY]})
KEY_SERVER = """\
---
apiVersion: v1
kind: Service
metadata: {name: issuer, namespace: auth}
spec: {selector: {app: issuer}, ports: [{port: 8000, name: http}]}
"""


def document(rule: str, more: str = "") -> str:
    return f"""\
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: a}}
spec:
  jwtRules:
  - {rule}
{more}"""


def notes(rule: str, more: str = "") -> list[str]:
    found = compile(read_text(document(rule, more), "m.yaml")).diagnostics
    return [str(n) for n in found if n.code not in ("selects-nothing", "unused")]


def test_everything_a_rule_says_is_read() -> None:
    rule = (
        f"{{issuer: i, audiences: [a], jwks: '{KEYS}', fromHeaders: [{{name: x, prefix: 'T '}}], fromParams: [p], "
        "fromCookies: [c], outputPayloadToHeader: o, outputClaimToHeaders: [{claim: sub, header: x-sub}], "
        "forwardOriginalToken: true, presence: REQUIRED, spaceDelimitedClaims: [roles], timeout: 2s}"
    )
    assert compile(read_text(document(rule))).topology.authentications[0].rules == (
        TokenRule(
            issuer="i",
            audiences=("a",),
            jwks=KEYS,
            from_headers=(("x", "T "),),
            from_params=("p",),
            from_cookies=("c",),
            payload_header="o",
            claim_headers=(("sub", "x-sub"),),
            forward=True,
            required=True,
            space_delimited=("roles",),
            timeout=2.0,
        ),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "has no `keys`"),
        ('{"keys": []}', "has no `keys`"),
        ('{"keys": [{"kty": "RSB"}]}', "key 0: `kty` must be one of RSA, EC, OKP, oct, not 'RSB'"),
        ('{"keys": [{"kty": "RSA", "e": "AQAB"}]}', "key 0: a key of type RSA needs `n`"),
        ('{"keys": [{"kty": "RSA", "e": "AQAB", "n": "?!"}]}', "key 0: `n` is not base64url"),
        (json.dumps({"keys": [KEY, {**KEY, "crv": "P-999"}]}), "key 1: `crv` must be one of"),
        (json.dumps({"keys": [{**KEY, "crv": "P-384"}]}), "key 0: `x` of a key on P-384 has 48 bytes, not 32"),
    ],
)
def test_a_key_set_that_envoy_could_not_read_is_an_error_with_its_line(text: str, message: str) -> None:
    assert message in jwks.problem(text)
    said = notes(f"{{issuer: i, jwks: '{text}'}}")
    assert said[0].startswith("m.yaml:6: error: `spec.jwtRules[0].jwks`: jwks parse error: ")


def test_a_good_key_set_is_good_and_a_private_one_is_told() -> None:
    assert notes(f"{{issuer: i, jwks: '{KEYS}'}}") == []
    private = json.dumps({"keys": [{**KEY, "d": X}]})
    assert "holds a private key (d): publish the public half only" in notes(f"{{issuer: i, jwks: '{private}'}}")[0]


def test_keys_are_had_from_a_service_of_the_mesh_and_from_nowhere_else() -> None:
    near = "{issuer: i, jwksUri: 'http://issuer.auth:8000/keys'}"
    assert notes(near, KEY_SERVER) == []
    assert "leads to no service and port of this mesh" in notes(near)[0]
    assert "every token of 'i' is refused" in notes("{issuer: i, jwksUri: 'https://example.com/keys'}", KEY_SERVER)[0]
    assert "has neither jwks nor jwksUri" in notes("{issuer: i}")[0]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("{audiences: [a]}", "issuer or jwksUri must be non-empty string"),
        ("{issuer: ''}", "issuer in body should be at least 1 chars long"),
        (f"{{issuer: i, jwks: '{KEYS}', jwksUri: 'http://a'}}", "only one of jwks or jwksUri can be set"),
        ("{issuer: i, jwksUri: 'ftp://a/b'}", "url must have scheme http:// or https://"),
        ("{issuer: i, fromHeaders: [{prefix: a}]}", "spec.jwtRules[0].fromHeaders[0].name: Required value"),
        ("{issuer: i, outputClaimToHeaders: [{claim: a, header: ':x'}]}", "header in body should match"),
        ("{issuer: i, timeout: soon}", "must be a valid duration greater than 1ms"),
        ("{issuer: i, presence: MANDATORY}", 'Unsupported value: "MANDATORY"'),
    ],
)
def test_what_istio_refuses_is_refused_in_its_words(rule: str, message: str) -> None:
    assert any(message in text and ": error: " in text for text in notes(rule)), notes(rule)
