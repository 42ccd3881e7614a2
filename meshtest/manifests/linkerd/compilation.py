"""What makes a mesh Linkerd's: its routes, its annotations, and its defaults where they differ from Istio's.

Linkerd retries nothing that it was not told to, has no request timeout, and balances by latency (of two random choices;
the nearest here is LEAST_REQUEST). A route with a filter it does not know is not in force at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from meshtest.manifests.gateway_api.attachment import attach
from meshtest.manifests.gateway_api.backends import Backends
from meshtest.manifests.gateway_api.http_route import read_route
from meshtest.manifests.gateway_api.listeners import Listeners
from meshtest.manifests.gateway_api.references import Grants
from meshtest.manifests.gateway_api.route import RouteSpec
from meshtest.manifests.gateway_api.statuses import route_statuses, unattached
from meshtest.manifests.gateway_api.tables import for_services
from meshtest.manifests.linkerd import kinds, services
from meshtest.manifests.linkerd.fields import HTTP_ROUTE
from meshtest.manifests.linkerd.services import Wishes, wishes
from meshtest.manifests.linkerd.traffic_split import table as split_table
from meshtest.manifests.linkerd.traffic_split import traffic_split
from meshtest.manifests.memo import per_document
from meshtest.model.diagnostic import Diagnostic, Severity, Source
from meshtest.model.document import Document, Documents
from meshtest.model.policy import HostPolicy
from meshtest.model.route import MESH, Retry, Route, RouteTable
from meshtest.model.status import Status
from meshtest.model.topology import Topology
from meshtest.spi.dialect import Compiled

ANNOTATED = (
    "/Service", kinds.HTTP_ROUTE, "gateway.networking.k8s.io/HTTPRoute", "gateway.networking.k8s.io/GRPCRoute",
)  # fmt: skip


@per_document
def linkerd_route(document: Document, notes: list[Diagnostic]) -> RouteSpec | None:
    return read_route(document, notes, kinds.HTTP_ROUTE, HTTP_ROUTE)


class Compilation:
    def __init__(self, documents: Documents, topology: Topology, reason: Document) -> None:
        self.documents, self.topology = documents, topology
        self.notes: list[Diagnostic] = list(_ignored_by_linkerd(documents, reason))
        self.statuses: list[Status] = []
        self.asked: dict[Source, Wishes] = {}
        """By where the object stands."""
        for document in documents:
            if document.kind in ANNOTATED:
                parsed = wishes(document)
                self.notes += parsed.notes
                self.asked[document.where()] = parsed.value

    def compiled(self) -> Compiled:
        before = self.topology
        opened = tuple(services.with_opaque_ports(s, self._of(s.source)) for s in before.services)
        self.topology = replace(before, services=opened, default_retry=None)
        splits = tuple(self._splits())
        tables = list(self._beside(splits, [*before.tables, *self._own_tables()]))
        told = [self._told(table, before.default_retry) for table in tables if not self._refused(table)]
        told += splits
        claimed = {host for table in told if MESH in table.gateways for host in table.hosts}
        plain = [
            table
            for service in opened
            if service.fqdn not in claimed and (table := services.table(service, self._of(service.source)))
        ]
        topology = replace(self.topology, tables=(*told, *plain), policies=self._policies(before.policies))
        return Compiled(topology, tuple(self.notes), tuple(self.statuses))

    def _of(self, source: Source) -> Wishes:
        return self.asked.get(source, Wishes())

    # ---- routes

    def _own_tables(self) -> Iterator[RouteTable]:
        """HTTPRoutes of policy.linkerd.io whose parents are Services."""
        hosts = {service.fqdn: service for service in self.topology.services}
        nowhere = Listeners([], [], grants=Grants(()), credentials={}, namespaces={})
        backends = Backends(services=hosts, grants=Grants(()), enforced=False)
        for document in self.documents.of(kinds.HTTP_ROUTE):
            parsed = linkerd_route(document)
            self.notes += parsed.notes
            if parsed.value is None:
                continue
            route = parsed.value
            self.notes += _of_servers(route)
            parents = [parent for parent in route.parents if parent.kind != kinds.SERVER]
            attachments = [attach(route, parent, nowhere, hosts) for parent in parents]
            checked = backends.opened(enforced=False)
            yield from for_services(route, [a for a in attachments if a.host], checked, hosts)
            self.notes += [*checked.notes, *unattached(route, attachments)]
            self.statuses += route_statuses(route, attachments, checked.problem)

    def _splits(self) -> Iterator[RouteTable]:
        hosts = {service.fqdn: service for service in self.topology.services}
        for document in self.documents.of(kinds.TRAFFIC_SPLIT):
            parsed = traffic_split(document)
            self.notes += parsed.notes
            if parsed.value and (found := split_table(parsed.value, hosts, self.notes)):
                self._unannotated(found)
                yield found

    def _unannotated(self, split: RouteTable) -> None:
        asked = self._of(self._parent(split))
        if asked.retries_set or asked.timeouts_set:
            text = f"retries and timeouts of this Service do not count beside TrafficSplit `{split.name}`"
            self.notes.append(Diagnostic(Severity.WARNING, "not-in-force", f"{text} ({split.source})", asked.source))

    def _beside(self, splits: Iterable[RouteTable], tables: Iterable[RouteTable]) -> Iterator[RouteTable]:
        """Tables that count although there are splits."""
        split = {host: one for one in splits for host in one.hosts}
        for one in tables:
            other = split.get(one.hosts[0]) if MESH in one.gateways and one.kind != "VirtualService" else None
            if other is None:
                yield one
                continue
            text = f"{one.kind} `{one.namespace}/{one.name}` is not in force: TrafficSplit `{other.name}` "
            text += f"({other.source}) has its Service, too, and comes first"
            self.notes.append(Diagnostic(Severity.WARNING, "not-in-force", text, one.source))

    def _refused(self, table: RouteTable) -> bool:
        """Linkerd does not accept a route that has a filter it lacks (convert_gateway_filter)."""
        if MESH not in table.gateways or table.kind == "VirtualService":
            return False
        lacks = next((word for route in table.routes for word in _lacking(route)), None)
        if lacks:
            text = f"{table.kind} `{table.namespace}/{table.name}` is not in force: Linkerd has no {lacks}"
            self.notes.append(Diagnostic(Severity.WARNING, "not-supported", text, table.source))
        return lacks is not None

    def _told(self, table: RouteTable, istios: Retry | None) -> RouteTable:
        """With the retries and timeouts of the annotations, in place of Istio's default ones."""
        if MESH not in table.gateways or table.kind == "VirtualService":
            return table
        own, parent = self._of(table.source), self._of(self._parent(table))
        routes = tuple(_told(route, table.kind, own, parent, istios) for route in table.routes)
        if any(route.retry and len(route.destinations) > 1 for route in routes):
            self._stays(table)
        return replace(table, routes=routes)

    def _stays(self, table: RouteTable) -> None:
        """Linkerd's proxy retries above the choice of a backend (linkerd2-proxy, logical/policy/route.rs)."""
        text = f"retries of {table.kind} `{table.namespace}/{table.name}` stay with the backend that was chosen first; "
        text += "Linkerd chooses one by weight for each of them"
        self.notes.append(Diagnostic(Severity.WARNING, "not-supported", text, table.source))

    def _parent(self, table: RouteTable) -> Source:
        service = self.topology.service(table.hosts[0])
        return service.source if service else table.source

    def _policies(self, known: Mapping[str, HostPolicy]) -> dict[str, HostPolicy]:
        asked = (services.policy(service, self._of(service.source)) for service in self.topology.services)
        return {policy.host: policy for policy in asked if policy} | dict(known)


def _told(route: Route, kind: str, own: Wishes, parent: Wishes, istios: Retry | None) -> Route:
    chosen, limits = own if own.retries_set else parent, own if own.timeouts_set else parent
    asked = chosen.grpc_retry if kind == "GRPCRoute" else chosen.retry
    plain = route.retry if route.retry is None or route.retry.on != (istios.on if istios else ()) else None
    return replace(route, retry=asked or plain, timeout=limits.timeouts.request or route.timeout)


def _lacking(route: Route) -> Iterator[str]:
    if route.mirrors or any(d.mirrors for d in route.destinations):
        yield "RequestMirror"
    if route.rewrite or any(d.rewrite for d in route.destinations):
        yield "URLRewrite"
    if route.cors:
        yield "CORS"


def _of_servers(route: RouteSpec) -> Iterator[Diagnostic]:
    for parent in route.parents:
        if parent.kind == kinds.SERVER:
            text = f"{route}: a Server as a parent is inbound policy, which is not enforced"
            yield Diagnostic(Severity.WARNING, "not-supported", text, parent.source)


def _ignored_by_linkerd(documents: Iterable[Document], reason: Document) -> Iterator[Diagnostic]:
    for document in documents:
        if document.kind in kinds.ISTIO_ROUTING:
            kind = document.data["kind"]
            text = f"{kind} `{document.name}` would be ignored by Linkerd, whose mesh this is ({reason.where()})"
            yield Diagnostic(Severity.WARNING, "not-supported", text, document.where())
