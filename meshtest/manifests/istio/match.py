"""HTTPMatchRequest: which requests a rule takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from meshtest.manifests.istio import names
from meshtest.manifests.view import View
from meshtest.model.route import HeaderMatch, Match, StringMatch

PSEUDO = {"method": ":method", "authority": ":authority", "scheme": ":scheme"}
PRESENT = StringMatch(kind="present")
CLAIMS = "@request.auth.claims"
"""What stands before the path of a claim: `@request.auth.claims.group.id`, `@request.auth.claims[group][id]`."""


def match(view: View) -> Match:
    headers, without = view.named("headers"), view.named("withoutHeaders")
    return Match(
        name=view.string("name"),
        path=_path(view),
        headers=(*_headers(headers, without), *_pseudo(view)),
        query=tuple((name, string_match(m)) for name, m in view.named("queryParams").items()),
        port=view.port("port"),
        caller_labels=view.string_map("sourceLabels"),
        caller_namespace=view.string("sourceNamespace"),
        gateways=tuple(names.gateway(g, view.document.namespace) for g in view.strings("gateways")),
    )


def string_match(view: View) -> StringMatch:
    """`{}` and the regex `*` ask for presence only (Istio)."""
    given = [kind for kind in ("exact", "prefix", "regex") if kind in view]
    if len(given) > 1:
        view.error("bad-value", f"{view.name()} takes one of exact, prefix, regex; it has {', '.join(given)}")
    exact, prefix = view.string("exact"), view.string("prefix")
    if "exact" in given:
        return StringMatch(kind="exact", value=exact)
    if "prefix" in given:
        return StringMatch(kind="prefix", value=prefix)
    regex = "" if view.string("regex") == "*" else view.regex("regex")
    return StringMatch(kind="regex", value=regex) if regex else PRESENT


def _path(view: View) -> StringMatch | None:
    ignore_case = bool(view.boolean("ignoreUriCase"))
    uri = view.child("uri")
    found = string_match(uri) if uri is not None else PRESENT
    if found.kind == "present":
        return None
    # Envoy's case_sensitive does not reach regular expressions.
    return StringMatch(kind=found.kind, value=found.value, ignore_case=ignore_case and found.kind != "regex")


def _headers(headers: dict[str, View], without: dict[str, View]) -> list[HeaderMatch]:
    found = [_header(name, view) for name, view in headers.items()]
    for name, view in without.items():
        header = _header(name, view)
        absent_matches = header.match is not PRESENT and not header.claim
        found.append(replace(header, invert=True, missing_is_empty=absent_matches))
    return sorted(found, key=lambda header: header.name)


def _header(name: str, view: View) -> HeaderMatch:
    if not name.lower().startswith(CLAIMS):
        return HeaderMatch(name=name.lower(), match=string_match(view))
    path = claim_path(name[len(CLAIMS) :])
    if not path:
        text = f"{view.name()} names no claim; write {CLAIMS}.NAME, or {CLAIMS}[NAME][BELOW]"
        view.error("bad-value", text)
    return HeaderMatch(name=CLAIMS + name[len(CLAIMS) :], match=string_match(view), claim=path)


def claim_path(text: str) -> tuple[str, ...]:
    """`.group.id` and `[group][id]` -> ("group", "id"); () for anything else (Istio's jwt.ToRoutingClaim)."""
    if text.startswith("."):
        path = tuple(text[1:].split("."))
    elif text.startswith("[") and text.endswith("]"):
        path = tuple(text[1:-1].split("]["))
    else:
        return ()
    return path if all(path) else ()


def _pseudo(view: View) -> Iterator[HeaderMatch]:
    for key, name in PSEUDO.items():
        if (below := view.child(key)) is not None:
            yield HeaderMatch(name=name, match=string_match(below))
