"""HTTPMatchRequest: which requests a rule takes."""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.manifests.istio import names
from meshtest.manifests.view import View
from meshtest.model.route import HeaderMatch, Match, StringMatch

PSEUDO = {"method": ":method", "authority": ":authority", "scheme": ":scheme"}
PRESENT = StringMatch(kind="present")
CLAIMS = "@request.auth.claims"


def match(view: View) -> Match | None:
    """None for a match that can never hold here."""
    headers, without = view.named("headers"), view.named("withoutHeaders")
    claims = [name for name in (*headers, *without) if name.startswith(CLAIMS)]
    for name in claims:
        key = "headers" if name in headers else "withoutHeaders"
        view.not_supported("requests carry no verified token, so this match is left out", key, name)
    found = Match(
        name=view.string("name"),
        path=_path(view),
        headers=(*_headers(headers, without), *_pseudo(view)),
        query=tuple((name, string_match(m)) for name, m in view.named("queryParams").items()),
        port=view.port("port"),
        caller_labels=view.string_map("sourceLabels"),
        caller_namespace=view.string("sourceNamespace"),
        gateways=tuple(names.gateway(g, view.document.namespace) for g in view.strings("gateways")),
    )
    return None if claims else found


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
    found = [HeaderMatch(name=name.lower(), match=string_match(m)) for name, m in headers.items()]
    for name, view in without.items():
        wanted = string_match(view)
        absent_matches = wanted is not PRESENT
        found.append(HeaderMatch(name=name.lower(), match=wanted, invert=True, missing_is_empty=absent_matches))
    return sorted(found, key=lambda header: header.name)


def _pseudo(view: View) -> Iterator[HeaderMatch]:
    for key, name in PSEUDO.items():
        if (below := view.child(key)) is not None:
            yield HeaderMatch(name=name, match=string_match(below))
