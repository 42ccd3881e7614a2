"""Filters of a rule or of a backendRef in neutral terms.

Not here: whether the backend of a mirror exists (backends.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field, replace

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.gateway_api import kinds
from meshtest.manifests.gateway_api.references import ObjectRef, object_ref
from meshtest.manifests.view import View
from meshtest.model.route import NO_EDITS, Cors, HeaderEdits, Match, Redirect, Rewrite, StringMatch

BODIES = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestMirror": "requestMirror",
    "RequestRedirect": "requestRedirect",
    "URLRewrite": "urlRewrite",
    "CORS": "cors",
    "ExtensionRef": "extensionRef",
    "ExternalAuth": "externalAuth",
}
"""The field that holds what a filter of each type does."""
REDIRECTS = (301, 302, 303, 307, 308)
SCHEME_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What the filters of one list do together."""

    request: HeaderEdits = NO_EDITS
    response: HeaderEdits = NO_EDITS
    mirrors: tuple[tuple[ObjectRef, float], ...] = ()
    """(backend, percent)"""
    redirect: Redirect | None = None
    rewrite: Rewrite | None = None
    cors: Cors | None = None
    extended: tuple[str, ...] = field(default=())
    """Types that only an implementation of its own knows: the rule must not serve as if they were not there."""


def filters(view: View) -> Filters:
    """The list `filters` of a rule, or of a backendRef."""
    found = Filters()
    for one in view.children("filters"):
        allowed = tuple(name for name, body in BODIES.items() if body in one.fields.known)
        kind = one.choice("type", allowed, "") if one.require("type") else ""
        if kind and one.require(BODIES[kind]):
            found = _with(found, kind, one)
    if found.redirect and found.rewrite:
        view.error("bad-value", f"{view.name('filters')} takes one of RequestRedirect, URLRewrite; it has both")
    return found


def _with(found: Filters, kind: str, view: View) -> Filters:
    if kind in ("ExtensionRef", "ExternalAuth"):
        return replace(found, extended=(*found.extended, kind))
    body = view.child(BODIES[kind])
    assert body is not None
    match kind:
        case "RequestHeaderModifier":
            return replace(found, request=header_edits(body))
        case "ResponseHeaderModifier":
            return replace(found, response=header_edits(body))
        case "RequestMirror":
            return replace(found, mirrors=(*found.mirrors, *_mirror(body)))
        case "RequestRedirect":
            return replace(found, redirect=redirect(body))
        case "URLRewrite":
            return replace(found, rewrite=rewrite(body))
        case _:
            return replace(found, cors=cors(body))


def header_edits(view: View) -> HeaderEdits:
    """Of several entries for one header only the first counts (spec of HTTPHeaderFilter)."""
    return HeaderEdits(set=_headers(view, "set"), add=_headers(view, "add"), remove=view.strings("remove"))


def _headers(view: View, key: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in view.children(key):
        if one.require("name") and one.require("value"):
            name = one.string("name")
            if name.lower() not in {known.lower() for known in found}:
                found[name] = one.string("value")
    return found


def _mirror(view: View) -> Iterator[tuple[ObjectRef, float]]:
    below, fraction = view.child("backendRef"), view.child("fraction")
    percent = view.integer("percent", least=0, most=100)
    if below is None:
        view.require("backendRef")
        return
    share = 100.0 if percent is None else float(percent)
    if fraction is not None:
        if percent is not None:
            view.error("bad-value", f"{view.name()} takes one of percent, fraction; it has both")
        numerator, whole = fraction.integer("numerator", least=0), fraction.integer("denominator", least=1) or 100
        fraction.require("numerator")
        if (numerator or 0) > whole:
            fraction.error("bad-value", f"{fraction.name()} must not be more than the whole: {numerator}/{whole}")
        share = min(100.0, 100.0 * (numerator or 0) / whole)
    if share:
        yield object_ref(below, kinds.SERVICE), share


def redirect(view: View) -> Redirect:
    """Unset: status 302 (the CRD), host and path of the request, the port of the scheme or else of the listener."""
    scheme = view.choice("scheme", ("http", "https"), "")
    status = view.integer("statusCode")
    if status is not None and status not in REDIRECTS:
        text = f"{view.name('statusCode')} must be one of {', '.join(map(str, REDIRECTS))}, not {status}"
        view.error("bad-value", text, "statusCode")
        status = None
    whole, prefix = _path(view.child("path"))
    return Redirect(
        status=status or 302,
        scheme=scheme,
        authority=view.string("hostname"),
        port=view.port("port") or SCHEME_PORTS.get(scheme, 0),
        path=whole,
        prefix=prefix,
    )


def rewrite(view: View) -> Rewrite:
    whole, prefix = _path(view.child("path"))
    return Rewrite(authority=view.string("hostname"), full_path=whole, prefix=prefix)


def _path(view: View | None) -> tuple[str, str]:
    """(full path, prefix). A trailing slash of a new prefix does not count; an empty one is `/`."""
    if view is None:
        return "", ""
    full, prefix = view.string("replaceFullPath"), view.string("replacePrefixMatch")
    match view.choice("type", ("ReplaceFullPath", "ReplacePrefixMatch"), ""):
        case "ReplaceFullPath":
            return full or "/", ""
        case "ReplacePrefixMatch":
            return "", prefix.rstrip("/") or "/"
        case _:
            view.require("type")
            return "", ""


def check_prefixes(view: View, found: Filters, matches: tuple[Match, ...]) -> None:
    """ReplacePrefixMatch needs a prefix to replace (a CEL rule of the CRD)."""
    edit = found.rewrite or found.redirect
    if edit is not None and edit.prefix and any(m.path is None or m.path.kind != "path_prefix" for m in matches):
        view.error("bad-value", f"{view.name('filters')}: ReplacePrefixMatch needs matches of type PathPrefix only")


def cors(view: View) -> Cors:
    """Preflights of other origins are answered by the proxy, without a word of permission."""
    return Cors(
        origins=tuple(origin(text) for text in view.strings("allowOrigins")),
        methods=view.strings("allowMethods"),
        headers=view.strings("allowHeaders"),
        expose_headers=view.strings("exposeHeaders"),
        max_age=float(view.integer("maxAge", least=1) or 5),
        credentials=view.boolean("allowCredentials") or None,
        forward_unmatched_preflights=False,
    )


def origin(text: str) -> StringMatch:
    """`https://*.example.com`: the wildcard stands for any number of labels; `*` for every origin."""
    if "*" not in text:
        return StringMatch(kind="exact", value=text)
    return StringMatch(kind="regex", value=".*".join(re.escape(part) for part in text.split("*")))
