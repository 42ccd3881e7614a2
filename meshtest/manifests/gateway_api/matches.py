"""Matches of HTTPRoute and GRPCRoute as neutral conditions; a gRPC method is a path (`/package.Service/Method`)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meshtest.lib.regex import refusal
from meshtest.manifests.view import View
from meshtest.model.route import HeaderMatch, Match, StringMatch

PATHS = {"Exact": "exact", "PathPrefix": "path_prefix", "RegularExpression": "regex"}
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
TYPES = ("Exact", "RegularExpression")
NOTHING = "a^"
EVERYTHING = StringMatch(kind="path_prefix", value="/")


def http_match(view: View) -> Match:
    method = view.choice("method", METHODS, "")
    headers = tuple(_headers(view))
    if method:
        headers = (HeaderMatch(name=":method", match=StringMatch(kind="exact", value=method)), *headers)
    return Match(path=_path(view.child("path")), headers=headers, query=tuple(_query(view)))


def _path(view: View | None) -> StringMatch:
    """The CRD's default is PathPrefix `/`."""
    if view is None:
        return EVERYTHING
    kind = view.choice("type", tuple(PATHS), "PathPrefix")
    value = view.string("value", "/")
    if kind == "RegularExpression":
        return StringMatch(kind="regex", value=_regex(view, value, "value"))
    if not value.startswith("/"):
        view.error("bad-value", f"{view.name('value')} must begin with `/`, not {value!r}", "value")
    return StringMatch(kind="exact" if kind == "Exact" else "path_prefix", value=value)


def _headers(view: View) -> Iterator[HeaderMatch]:
    """Of several for one header only the first counts (spec of HTTPRouteMatch.headers)."""
    seen: set[str] = set()
    for one in view.children("headers"):
        name = one.string("name").lower()
        if one.require("name") and name not in seen:
            seen.add(name)
            yield HeaderMatch(name=name, match=_value(one))


def _query(view: View) -> Iterator[tuple[str, StringMatch]]:
    seen: set[str] = set()
    for one in view.children("queryParams"):
        name = one.string("name")
        if one.require("name") and name not in seen:
            seen.add(name)
            yield name, _value(one)


def _value(view: View) -> StringMatch:
    view.require("value")
    if view.choice("type", TYPES, "Exact") == "RegularExpression":
        return StringMatch(kind="regex", value=_regex(view, view.string("value"), "value"))
    return StringMatch(kind="exact", value=view.string("value"))


def _regex(view: View, pattern: str, *below: str) -> str:
    """The pattern, or one that matches nothing in place of one that Envoy would refuse."""
    if why := refusal(pattern):
        view.error("bad-value", f"{view.name(*below)} is no regular expression (RE2): {why}", *below)
        return NOTHING
    return pattern


def grpc_match(view: View) -> Match:
    return Match(path=_method(view.child("method")), headers=tuple(_headers(view)))


def _method(view: View | None) -> StringMatch:
    if view is None:
        return EVERYTHING
    kind, service, method = view.choice("type", TYPES, "Exact"), view.string("service"), view.string("method")
    if not service and not method:
        view.error("missing-field", f"{view.name()} needs `service` or `method`")
    if kind == "RegularExpression":
        pattern = f"/{service or '[^/]+'}/{method or '[^/]+'}"
        return StringMatch(kind="regex", value=_regex(view, pattern))
    if service and method:
        return StringMatch(kind="exact", value=f"/{service}/{method}")
    if service:
        return StringMatch(kind="prefix", value=f"/{service}/")
    return StringMatch(kind="regex", value=f"/[^/]+/{re.escape(method)}")
