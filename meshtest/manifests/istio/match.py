"""HTTPMatchRequest: which requests a rule takes."""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.manifests.istio import names
from meshtest.manifests.view import View
from meshtest.model.route import HeaderMatch, Match, StringMatch

PSEUDO = {"method": ":method", "authority": ":authority", "scheme": ":scheme"}
PRESENT = StringMatch(kind="present")
CLAIMS = "@request.auth.claims"
"""Names of claims keep their case."""


def match(view: View) -> Match | None:
    """A condition on a claim of a token is a header match by the name `@request.auth.claims...`, as Istio writes it."""
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
    exact, prefix, regex = (view.string(kind) for kind in ("exact", "prefix", "regex"))
    if "exact" in given:
        return StringMatch(kind="exact", value=exact)
    if "prefix" in given:
        return StringMatch(kind="prefix", value=prefix)
    return StringMatch(kind="regex", value=regex) if regex not in {"", "*"} else PRESENT


def _path(view: View) -> StringMatch | None:
    ignore_case = bool(view.boolean("ignoreUriCase"))
    uri = view.child("uri")
    found = string_match(uri) if uri is not None else PRESENT
    if found.kind == "present":
        return None
    # Envoy's case_sensitive does not reach regular expressions.
    return StringMatch(kind=found.kind, value=found.value, ignore_case=ignore_case and found.kind != "regex")


def _headers(headers: dict[str, View], without: dict[str, View]) -> list[HeaderMatch]:
    found = [HeaderMatch(name=_name(name), match=string_match(m)) for name, m in headers.items()]
    for name, view in without.items():
        wanted = string_match(view)
        absent_matches = wanted is not PRESENT
        found.append(HeaderMatch(name=_name(name), match=wanted, invert=True, missing_is_empty=absent_matches))
    return sorted(found, key=lambda header: header.name)


def _name(name: str) -> str:
    return name if name.startswith(CLAIMS) else name.lower()


def _pseudo(view: View) -> Iterator[HeaderMatch]:
    for key, name in PSEUDO.items():
        if (below := view.child(key)) is not None:
            yield HeaderMatch(name=name, match=string_match(below))
