"""RequestAuthentication: whose tokens the selected workloads take.

Rules and their wording: istio pkg/config/validation validateJwtRule, and the CRD's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from meshtest.manifests.istio_security import jwks, wording
from meshtest.manifests.istio_security.fields import REQUEST_AUTHENTICATION
from meshtest.manifests.istio_security.scope import scope
from meshtest.manifests.memo import per_document
from meshtest.manifests.quantities import seconds
from meshtest.manifests.view import View, metadata, shown
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document
from meshtest.model.security import Authentication, TokenRule

HEADER = "^[-_A-Za-z0-9]+$"


@per_document
def authentication(document: Document, notes: list[Diagnostic]) -> Authentication | None:
    view = View.of(document, REQUEST_AUTHENTICATION, notes)
    metadata(view)
    spec = view.child("spec")
    if spec is None:
        view.require("spec")
        return None
    return Authentication(
        name=document.name,
        scope=scope(spec),
        rules=tuple(_rules(spec)),
        created=str(document.metadata.get("creationTimestamp") or ""),
        source=document.where(),
    )


def _rules(spec: View) -> Iterator[TokenRule]:
    for rule in wording.objects(spec, "jwtRules"):
        if "issuer" in rule and not rule.string("issuer"):
            wording.too_short(rule, "issuer")
        text, uri = rule.string("jwks"), _uri(rule)
        if _keys(rule, text, uri):
            yield TokenRule(
                issuer=rule.string("issuer"),
                audiences=wording.all_filled(rule, "audiences"),
                jwks=text,
                jwks_uri=uri,
                from_headers=tuple(_headers(rule)),
                from_params=wording.all_filled(rule, "fromParams"),
                from_cookies=wording.all_filled(rule, "fromCookies"),
                payload_header=rule.string("outputPayloadToHeader"),
                claim_headers=tuple(_claims(rule)),
                forward=rule.boolean("forwardOriginalToken") or False,
                required=wording.word(rule, "presence", ("OPTIONAL", "REQUIRED"), "OPTIONAL") == "REQUIRED",
                space_delimited=wording.all_filled(rule, "spaceDelimitedClaims"),
                timeout=_timeout(rule),
                source=rule.source(),
            )


def _uri(rule: View) -> str:
    """`jwksUri`, or by its old spelling."""
    keys = [key for key in ("jwks", "jwksUri", "jwks_uri") if key in rule]
    if len(keys) > 1:
        rule.error("bad-value", f"{rule.name()}: only one of jwks or jwksUri can be set", keys[1])
    for key in ("jwksUri", "jwks_uri"):
        if key not in rule:
            continue
        uri = rule.string(key)
        if not uri:
            wording.too_short(rule, key)
        elif not _is_http(uri):
            rule.error("bad-value", f"{rule.name(key)}: url must have scheme http:// or https://, not {uri!r}", key)
        return uri
    return ""


def _is_http(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _keys(rule: View, text: str, uri: str) -> bool:
    """The rule can check a signature; complains if not."""
    if not rule.string("issuer") and not uri:
        rule.error("missing-field", f"{rule.name()}: issuer or jwksUri must be non-empty string")
    if text and (wrong := jwks.problem(text)):
        rule.error("bad-key", f"{rule.name('jwks')}: jwks parse error: it {_about(wrong)}", "jwks")
        return False
    if text and (given := jwks.private_members(text)):
        said = f"{rule.name('jwks')} holds a private key ({', '.join(given)}): publish the public half only"
        rule.warn("private-key", said, "jwks")
    if not text and not uri:
        said = (
            f"{rule.name()} has neither jwks nor jwksUri: Istio would ask the issuer's OpenID configuration for its "
            "keys, but nothing leaves this machine; every token of this issuer is refused"
        )
        rule.warn("no-keys", said)
    return True


def _about(wrong: str) -> str:
    return wrong if wrong.startswith(("is ", "has ", "must ")) else f"has a bad key: {wrong}"


def _headers(rule: View) -> Iterator[tuple[str, str]]:
    for header in wording.objects(rule, "fromHeaders"):
        if wording.filled(header, "name"):
            yield header.string("name"), header.string("prefix")


def _claims(rule: View) -> Iterator[tuple[str, str]]:
    for entry in wording.objects(rule, "outputClaimToHeaders"):
        if wording.filled(entry, "claim") & wording.filled(entry, "header"):
            yield entry.string("claim"), wording.matching(entry, "header", HEADER)


def _timeout(rule: View) -> float:
    written = rule.data.get("timeout")
    if written is None:
        return 5.0
    found = seconds(written) if isinstance(written, str) else None
    if found is None or found < 0.001:
        text = f"{shown((*rule.path, 'timeout'))}: must be a valid duration greater than 1ms, not {written!r}"
        rule.error("bad-value", text, "timeout")
        return 5.0
    return found
