"""What the objects' own status says, when they were read from a cluster.

Upstream: istio/istio pkg/config/analysis/analyzers/conditions/conditions.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.model.document import Document, Path
from meshtest.preflight.dig import Object, objects, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import (
    AUTHORIZATION_POLICY,
    GRPC_ROUTE,
    HTTP_ROUTE,
    K8S_GATEWAY,
    SERVICE,
    SERVICE_ENTRY,
    WORKLOAD_ENTRY,
)
from meshtest.preflight.rules import each

_WAYPOINT = frozenset({"istio.io/WaypointBound"})
_GATEWAY_API = frozenset({"Accepted", "Programmed", "ResolvedRefs"})
TELLING = {
    SERVICE: _WAYPOINT,
    SERVICE_ENTRY: _WAYPOINT,
    WORKLOAD_ENTRY: _WAYPOINT,
    AUTHORIZATION_POLICY: frozenset({"ZtunnelAccepted", "WaypointAccepted"}),
    K8S_GATEWAY: _GATEWAY_API,
    HTTP_ROUTE: _GATEWAY_API,
    GRPC_ROUTE: _GATEWAY_API,
}
"""Condition types by kind that are bad news when False."""


@each(*TELLING, analyzer="conditions.ConditionAnalyzer")
def negative(document: Document) -> Iterator[Hit]:
    """IST0171"""
    for path, condition in _conditions(document):
        kind, reason = text(condition, "type"), text(condition, "reason")
        refused = text(condition, "status") == "False" and kind in TELLING[document.kind]
        # A policy that is accepted in part says so with status True.
        partly = document.kind == AUTHORIZATION_POLICY and (kind, reason) == ("WaypointAccepted", "PartiallyInvalid")
        for _ in range(refused + partly):
            message = f"status says {kind}={text(condition, 'status')}: {reason} {text(condition, 'message')}".rstrip()
            yield Hit("IST0171", document, path, message)


def _conditions(document: Document) -> Iterator[tuple[Path, Object]]:
    if document.kind in (HTTP_ROUTE, GRPC_ROUTE):
        for i, parent in objects(document.data, "status", "parents"):
            for j, condition in objects(parent, "conditions"):
                yield ("status", "parents", i, "conditions", j), condition
    else:
        for i, condition in objects(document.data, "status", "conditions"):
            yield ("status", "conditions", i), condition
