"""Which listeners a route attaches to, and which Services in the mesh: parentRefs against everything else.

A parent admits a route by section name, port, the namespaces and kinds it allows, and a hostname in common (spec of
ParentReference and AllowedRoutes).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.gateway_api import kinds
from meshtest.manifests.gateway_api.listeners import Listener, Listeners
from meshtest.manifests.gateway_api.references import ParentRef
from meshtest.manifests.gateway_api.route import RouteSpec
from meshtest.manifests.wildcards import intersection
from meshtest.model.service import DOMAIN, Service
from meshtest.model.status import Condition

ACCEPTED = Condition("Accepted", True, "Accepted")
LISTENING = (kinds.GATEWAY, kinds.LISTENER_SET, kinds.X_LISTENER_SET)


@dataclass(frozen=True)
class Attachment:
    """What became of one parentRef; `accepted` is None where no controller would write a status."""

    parent: ParentRef
    accepted: Condition | None
    listeners: tuple[Listener, ...] = ()
    host: str = ""
    """Of the Service that is the parent (GAMMA)."""


def attach(route: RouteSpec, parent: ParentRef, listeners: Listeners, services: dict[str, Service]) -> Attachment:
    if parent.kind in LISTENING:
        return _to_listeners(route, parent, listeners)
    if parent.kind == kinds.SERVICE:
        return _to_service(parent, services)
    text = f"a parent of kind {parent.kind.rpartition('/')[2]!r} means nothing here"
    return Attachment(parent, Condition("Accepted", False, "NoMatchingParent", text))


def _to_listeners(route: RouteSpec, parent: ParentRef, listeners: Listeners) -> Attachment:
    group = listeners.of.get((parent.kind, parent.key))
    if group is None:
        return Attachment(parent, None)
    named = [one for one in group if _named(one, parent)]
    if not named:
        text = f"no listener of {parent.kind.rpartition('/')[2]} `{parent.key}` has that section name and port"
        return _refused(parent, "NoMatchingParent", text)
    allowed = [one for one in named if _allowed(one, route, listeners)]
    if not allowed:
        text = f"allowedRoutes of {parent} leave out {route.short_kind}s of namespace {route.namespace!r}"
        return _refused(parent, "NotAllowedByListeners", text)
    meeting = tuple(one for one in allowed if _meet(one, route.hostnames))
    if not meeting:
        text = f"no listener has a hostname in common with {', '.join(route.hostnames)}"
        return _refused(parent, "NoMatchingListenerHostname", text)
    return Attachment(parent, ACCEPTED, meeting)


def _refused(parent: ParentRef, reason: str, text: str) -> Attachment:
    return Attachment(parent, Condition("Accepted", False, reason, text))


def _named(listener: Listener, parent: ParentRef) -> bool:
    spec = listener.spec
    return parent.section in ("", spec.name) and parent.port in (None, spec.port)


def _allowed(listener: Listener, route: RouteSpec, listeners: Listeners) -> bool:
    own = listener.owner.namespace
    return route.kind in listener.kinds and listener.spec.namespaces.admit(route.namespace, own, listeners.namespaces)


def _meet(listener: Listener, hostnames: Iterable[str]) -> bool:
    pattern = listener.spec.hostname
    hostnames = tuple(hostnames)
    return not pattern or not hostnames or any(intersection(pattern, name) for name in hostnames)


def _to_service(parent: ParentRef, services: dict[str, Service]) -> Attachment:
    """GAMMA (GEP-1294): the route is for all callers of the Service, or of the route's namespace."""
    host = f"{parent.name}.{parent.namespace}.svc.{DOMAIN}"
    service = services.get(host)
    if service is None:
        return _refused(parent, "NoMatchingParent", f"there is no {parent}")
    if parent.port is not None and all(port.number != parent.port for port in service.ports):
        return _refused(parent, "NoMatchingParent", f"Service `{parent.key}` has no port {parent.port}")
    if parent.section:
        number = next((port.number for port in service.ports if port.name == parent.section), None)
        if number is None:
            return _refused(parent, "NoMatchingParent", f"Service `{parent.key}` has no port named {parent.section!r}")
    return Attachment(parent, ACCEPTED, host=host)


REQUESTS = (kinds.HTTP_ROUTE, kinds.GRPC_ROUTE)
Attached = tuple[RouteSpec, list[Attachment]]


def one_kind(routes: Sequence[Attached]) -> list[Attached]:
    """HTTPRoutes and GRPCRoutes of one listener share no hostname: the oldest has it (GRPCRouteSpec.hostnames)."""
    if not {route.kind for route, _ in routes}.issuperset(REQUESTS):
        return list(routes)
    taken: dict[str, list[RouteSpec]] = {}
    made: dict[int, list[Attachment]] = {}
    for number in sorted(range(len(routes)), key=lambda n: _age(routes[n][0])):
        route, attachments = routes[number]
        made[number] = [_without_rivals(route, one, taken) for one in attachments]
        for key in {listener.key for one in made[number] for listener in one.listeners}:
            taken.setdefault(key, []).append(route)
    return [(route, made[number]) for number, (route, _) in enumerate(routes)]


def _age(route: RouteSpec) -> tuple[str, str]:
    return route.created, f"{route.namespace}/{route.name}"


def _without_rivals(route: RouteSpec, one: Attachment, taken: dict[str, list[RouteSpec]]) -> Attachment:
    rivals = {
        listener.key: rival
        for listener in one.listeners
        for rival in taken.get(listener.key, ())
        if route.kind in REQUESTS and rival.kind in REQUESTS and rival.kind != route.kind
        if _share(route.hostnames, rival.hostnames)
    }
    left = tuple(listener for listener in one.listeners if listener.key not in rivals)
    if left or not rivals:
        return replace(one, listeners=left)
    text = f"{next(iter(rivals.values()))} is older, of the other kind, and has a hostname in common"
    return Attachment(one.parent, Condition("Accepted", False, "Conflicted", text))


def _share(one: Sequence[str], other: Sequence[str]) -> bool:
    return not one or not other or any(intersection(a, b) for a in one for b in other)
