"""Routes as tables: for the servers of gateways they attach to, and for callers of Services that are their parents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from meshtest.manifests.gateway_api import kinds
from meshtest.manifests.gateway_api.attachment import Attachment
from meshtest.manifests.gateway_api.backends import BROKEN, Backends
from meshtest.manifests.gateway_api.route import RouteSpec, Rule
from meshtest.model.route import (
    MESH,
    Destination,
    DirectResponse,
    Match,
    Route,
    RouteTable,
    StreamMatch,
    StreamRoute,
)
from meshtest.model.service import Service


def for_gateways(route: RouteSpec, attachments: list[Attachment], backends: Backends) -> Iterator[RouteTable]:
    """One table for all listeners in force."""
    keys = dict.fromkeys(one.key for a in attachments for one in a.listeners if one.server is not None)
    table = _table(route, backends)
    if keys:
        yield replace(table, hosts=route.hostnames or ("*",), gateways=tuple(keys))


def for_services(
    route: RouteSpec, attachments: list[Attachment], backends: Backends, services: dict[str, Service]
) -> Iterator[RouteTable]:
    """One for each Service and port that is a parent."""
    table = _table(route, backends)
    done: set[tuple[str, int | None]] = set()
    for attachment in attachments:
        port = _port(attachment, services[attachment.host])
        if (attachment.host, port) not in done:
            done.add((attachment.host, port))
            yield _for_service(table, attachment, port)


def _port(attachment: Attachment, service: Service) -> int | None:
    """The parent's port, by number or by name."""
    parent = attachment.parent
    if parent.port is None and parent.section:
        return next(port.number for port in service.ports if port.name == parent.section)
    return parent.port


def _for_service(table: RouteTable, attachment: Attachment, port: int | None) -> RouteTable:
    """A route in the Service's namespace counts for everyone, another for its own namespace only (GAMMA)."""
    namespace = attachment.parent.namespace
    return replace(
        table,
        hosts=(attachment.host,),
        gateways=(MESH,),
        visible_to=() if table.namespace == namespace else (table.namespace,),
        routes=tuple(replace(r, match=replace(r.match, port=port)) for r in table.routes) if port else table.routes,
        tcp=tuple(replace(s, match=StreamMatch(port=port)) for s in table.tcp),
    )


def _table(route: RouteSpec, backends: Backends) -> RouteTable:
    table = RouteTable(
        name=route.name,
        namespace=route.namespace,
        hosts=("*",),
        order="specific",
        kind=route.short_kind,
        created=route.created,
        source=route.source,
    )
    if route.kind in (kinds.TLS_ROUTE, kinds.TCP_ROUTE):
        streams = tuple(_stream(route, rule, backends) for rule in route.rules)
        return replace(table, tls=streams) if route.kind == kinds.TLS_ROUTE else replace(table, tcp=streams)
    return replace(table, routes=tuple(r for rule in route.rules for r in _routes(route, rule, backends)))


def _stream(route: RouteSpec, rule: Rule, backends: Backends) -> StreamRoute:
    """Connections of invalid backends are refused: they have no destination."""
    destinations = tuple(d for d in backends.destinations(route, rule) if not d.broken)
    match = StreamMatch(sni_hosts=route.hostnames)
    return StreamRoute(name=rule.name or route.name, match=match, destinations=destinations, source=rule.source)


def _routes(route: RouteSpec, rule: Rule, backends: Backends) -> Iterator[Route]:
    """A route a match."""
    template = _template(route, rule, backends)
    for match in rule.matches or (Match(),):
        yield Route(**{**vars(template), "match": match})


def _template(route: RouteSpec, rule: Rule, backends: Backends) -> Route:
    wanted = rule.filters
    destinations = backends.destinations(route, rule)
    general = Route(
        name=rule.name,
        mirrors=backends.mirrors(route, wanted),
        cors=wanted.cors,
        request_headers=wanted.request,
        response_headers=wanted.response,
        source=rule.source,
    )
    if wanted.redirect is not None and not wanted.extended:
        return replace(general, redirect=wanted.redirect, mirrors=())
    if not _served(destinations) or wanted.extended:
        return replace(general, direct_response=DirectResponse(status=BROKEN), mirrors=())
    retry = backends.retry(rule)
    # without a retry the only try is the whole request
    limits = [limit for limit in (rule.request_timeout, None if retry else rule.backend_timeout) if limit]
    timeout = min(limits, default=None)
    general = replace(general, resting=backends.resting(rule))
    return replace(general, destinations=destinations, rewrite=wanted.rewrite, timeout=timeout, retry=retry)


def _served(destinations: tuple[Destination, ...]) -> bool:
    """Some request goes somewhere."""
    return any(not d.broken for d in destinations)


def called(tables: Iterable[RouteTable]) -> dict[str, set[int]]:
    """Ports by host that GRPCRoutes lead to."""
    found: dict[str, set[int]] = {}
    for table in tables:
        for route in table.routes if table.kind == "GRPCRoute" else ():
            for destination in route.destinations:
                found.setdefault(destination.host, set()).add(destination.port)
    return found


def spoken(service: Service, called: set[int]) -> Service:
    """With the protocol its routes imply: what a GRPCRoute leads to speaks gRPC, whatever the name of the port."""
    if not any(p.number in called and p.protocol == "http" for p in service.ports):
        return service
    ports = (replace(p, protocol="grpc") if p.number in called and p.protocol == "http" else p for p in service.ports)
    return replace(service, ports=tuple(ports))
