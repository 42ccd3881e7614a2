"""Conditions in Istio's words, as a Canary has them, in those of Gateway API.

Rules: mapRouteMatches and mergeMatchConditions of fluxcd/flagger pkg/router/gateway_api.go. Where a condition has no
counterpart, Flagger refuses the Canary; in `analysis.match` it forgets all of them instead, and says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshtest.model.document import Path
from meshtest.rollouts.canary.objects.istio import held, service_match
from meshtest.rollouts.canary.objects.origin import Json, Origin, filled, mapping, mappings
from meshtest.rollouts.canary.spec import Canary

KINDS = {"regex": "RegularExpression", "exact": "Exact"}
PATHS = {**KINDS, "prefix": "PathPrefix"}
EVERYTHING = {"path": {"type": "PathPrefix", "value": "/"}}
SERVICE: Path = ("spec", "service", "match")


class Unsupported(Exception):
    """Gateway API cannot say this; the path of it below the list of conditions."""

    def __init__(self, *path: str | int) -> None:
        super().__init__()
        self.path = path


def of_service(canary: Canary, origin: Origin) -> list[Json]:
    """`spec.service.match`, or everything. ManifestError for what Flagger refuses."""
    return _of_service(canary, origin) or [EVERYTHING]


def _of_service(canary: Canary, origin: Origin) -> list[Json]:
    try:
        return list(_translated(service_match(canary)))
    except Unsupported as unsupported:
        path = (*SERVICE, *unsupported.path)
        text = f"`{'.'.join(map(str, path))}` has no counterpart in Gateway API; write `exact` or `regex`"
        text += ", or for a path `prefix`" if "uri" in path else ""
        raise origin.refuse("bad-value", text, *path) from None


def of_analysis(canary: Canary) -> list[Json]:
    try:
        return list(_translated(mappings(canary.analysis.match)))
    except Unsupported:
        return []


def with_cookie(canary: Canary, origin: Origin, cookie: str) -> list[Json]:
    """The service's conditions, of users who have the cookie."""
    header = {"type": KINDS["regex"], "name": "Cookie", "value": held(cookie)}
    return merged([{"headers": [header]}], _of_service(canary, origin))


def merged(chosen: list[Json], defaults: list[Json]) -> list[Json]:
    """Of the chosen conditions headers and query parameters, in place of those of the defaults."""
    if not chosen or not defaults:
        return chosen or defaults
    own = [{key: one[key] for key in ("headers", "queryParams") if one.get(key)} for one in chosen]
    return [default | one for one in own for default in defaults]


def _translated(conditions: list[Json]) -> Iterator[Json]:
    """What has none of the four is left out, so that it does not count as a condition at all."""
    for index, one in enumerate(conditions):
        found = filled(
            path=_path(one, index),
            method=_method(one, index),
            headers=[_named(index, one, "headers", name) for name in mapping(one.get("headers"))],
            queryParams=[_named(index, one, "queryParams", name) for name in mapping(one.get("queryParams"))],
        )
        if found:
            yield found


def _path(one: Json, index: int) -> Json | None:
    return None if one.get("uri") is None else _worded(one["uri"], PATHS, index, "uri")


def _method(one: Json, index: int) -> Any:
    if one.get("method") is None:
        return None
    if not (exact := mapping(one["method"]).get("exact")):
        raise Unsupported(index, "method")
    return exact


def _named(index: int, one: Json, key: str, name: str) -> Json:
    kinds = {"exact": KINDS["exact"], "regex": KINDS["regex"]}  # an exact value counts before an expression
    return {"name": name, **_worded(one[key][name], kinds, index, key, name)}


def _worded(match: Any, kinds: dict[str, str], *path: str | int) -> Json:
    for key, kind in kinds.items():
        if value := mapping(match).get(key):
            return {"type": kind, "value": value}
    raise Unsupported(*path)
