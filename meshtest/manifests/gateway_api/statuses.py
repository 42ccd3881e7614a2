"""The status of routes: one for each parentRef, as a controller writes it (RouteParentStatus)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshtest.manifests.gateway_api.attachment import Attachment
from meshtest.manifests.gateway_api.route import RouteSpec
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.status import Condition, Status


def route_statuses(route: RouteSpec, attachments: Iterable[Attachment], problem: Condition | None) -> Iterator[Status]:
    """Parents that are not there have no controller that would say so."""
    resolved = problem or Condition("ResolvedRefs", True, "ResolvedRefs")
    for one in attachments:
        if one.accepted is not None:
            yield Status(
                kind=route.kind, namespace=route.namespace, name=route.name,
                part=f"parent {one.parent}", conditions=(one.accepted, resolved), source=route.source,
            )  # fmt: skip


def unattached(route: RouteSpec, attachments: Iterable[Attachment]) -> Iterator[Diagnostic]:
    """A parent that does not take the route: its requests go another way than the author thinks."""
    for one in attachments:
        if one.accepted is None:
            text = f"{route} is attached to nothing: there is no {one.parent}"
            yield Diagnostic(Severity.WARNING, "not-attached", text, one.parent.source)
        elif not one.accepted.holds:
            text = f"{route} is not attached: {one.accepted.reason}: {one.accepted.message}"
            yield Diagnostic(Severity.WARNING, "not-attached", text, one.parent.source)
        elif one.listeners and all(listener.server is None for listener in one.listeners):
            text = f"{route} is attached to {one.parent}, whose listeners are not in force"
            yield Diagnostic(Severity.WARNING, "not-attached", text, one.parent.source)
