"""Which of several routes of one host comes first where the most specific match decides, whatever the manifests' order.

By the spec of HTTPRouteRule.matches: exact path, longest prefix, method, most headers, most query parameters; then the
oldest route, then by namespace and name, then the order within a route. Regular expressions come behind prefixes, and
whatever takes every request comes last, as in Istio (pilot/pkg/config/kube/gateway/conversion.go, sortHTTPRoutes).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from meshtest.model.route import Match, Route, RouteTable

RANKS = {"exact": 0, "path_prefix": 1, "prefix": 1, "regex": 2}


def specific(tables: Iterable[tuple[RouteTable, Iterable[Route]]]) -> tuple[Route, ...]:
    """The routes of all tables in the order in which they are tried, up to the first that takes every request."""
    ranked = [
        ((*rank(route.match), table.created, f"{table.namespace}/{table.name}", index), route)
        for table, routes in tables
        for index, route in enumerate(routes)
    ]
    ordered = [route for _, route in sorted(ranked, key=lambda pair: pair[0])]
    end = next((number for number, route in enumerate(ordered, 1) if route.match.is_catch_all), len(ordered))
    return tuple(ordered[:end])


def rank(match: Match) -> tuple[Any, ...]:
    """The smaller, the more specific."""
    path = match.path
    pseudo = sum(header.name.startswith(":") for header in match.headers)
    return (
        match.is_catch_all,
        RANKS.get(path.kind, 3) if path else 3,
        -len(path.value) if path else 0,
        not any(header.name == ":method" for header in match.headers),
        pseudo - len(match.headers),
        -len(match.query),
    )
