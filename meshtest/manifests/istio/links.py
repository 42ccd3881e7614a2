"""VirtualServices against the other objects: destinations get their ports, and what leads nowhere is an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace

from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, nearest
from meshtest.manifests.hosts import EXTERNAL_PORT
from meshtest.manifests.istio import names
from meshtest.manifests.wildcards import covers
from meshtest.model.diagnostic import Diagnostic, Severity, Source
from meshtest.model.document import Document
from meshtest.model.policy import HostPolicy
from meshtest.model.route import MESH, Destination, Gateway, Mirror, Route, RouteTable, StreamRoute
from meshtest.model.service import Service
from meshtest.model.topology import Topology
from meshtest.model.visibility import Scope


def link(
    tables: Sequence[tuple[Document, RouteTable]], topology: Topology
) -> tuple[list[RouteTable], list[Diagnostic]]:
    """The tables with every port filled in that does not depend on the caller."""
    linker = _Linker(
        services={service.fqdn: service for service in topology.services},
        gateways={gateway.key: gateway for gateway in topology.gateways},
        policies=topology.policies,
        own_policies=_by_host(topology.namespace_policies),
    )
    linked = [linker.table(document, table) for document, table in tables]
    linker.check_claims([table for _, table in sorted(tables, key=lambda pair: names.age(pair[0]))])
    return linked, list(linker.notes)


def _by_host(policies: Mapping[tuple[str, str], HostPolicy]) -> dict[str, dict[str, HostPolicy]]:
    found: dict[str, dict[str, HostPolicy]] = {}
    for (namespace, host), policy in policies.items():
        found.setdefault(host, {})[namespace] = policy
    return found


def _sections(table: RouteTable) -> list[str]:
    """Kinds of rules it has: http, tls and tcp rules of two tables do not stand in each other's way."""
    return [name for name in ("routes", "tls", "tcp") if getattr(table, name)]


@dataclass
class _Linker:
    services: Mapping[str, Service]
    gateways: Mapping[str, Gateway]
    policies: Mapping[str, HostPolicy]
    own_policies: Mapping[str, Mapping[str, HostPolicy]]
    """By host, then by the namespace of the caller."""
    notes: dict[Diagnostic, None] = field(default_factory=dict)

    def note(self, severity: Severity, code: str, text: str, source: Source) -> None:
        # Rules of a delegate are looked at once a root, and told once.
        self.notes.setdefault(Diagnostic(severity, code, text, source))

    # -- the table itself

    def table(self, document: Document, table: RouteTable) -> RouteTable:
        for index, gateway in enumerate(table.gateways):
            self.check_gateway(gateway, document.where("spec", "gateways", index))
        if MESH in table.gateways:
            for index, host in enumerate(document.data["spec"]["hosts"]):
                self.check_host(str(host), table.namespace, document.where("spec", "hosts", index))
        arrivals = self.arrivals(table)
        table = self.streams(table, arrivals)
        # The routes of one rule share their destinations: looked at once, told once.
        seen: dict[int, tuple[tuple[Destination, ...], tuple[Mirror, ...]]] = {}
        routes = []
        for route in table.routes:
            if id(route.destinations) not in seen:
                seen[id(route.destinations)] = self.targets(route, table, arrivals)
            for gateway in route.match.gateways:
                self.check_gateway(gateway, route.source)
            destinations, mirrors = seen[id(route.destinations)] if route.destinations else ((), ())
            routes.append(self.route(route, destinations, mirrors))
        return replace(table, routes=tuple(routes))

    def streams(self, table: RouteTable, arrivals: set[int]) -> RouteTable:
        """Its tls and tcp routes with their ports."""
        if not table.tls and not table.tcp:
            return table
        tls, tcp = (tuple(self.stream(r, table, arrivals) for r in routes) for routes in (table.tls, table.tcp))
        return replace(table, tls=tls, tcp=tcp)

    def stream(self, route: StreamRoute, table: RouteTable, arrivals: set[int]) -> StreamRoute:
        for gateway in route.match.gateways:
            self.check_gateway(gateway, route.source)
        ports = {route.match.port} if route.match.port else arrivals
        destinations = tuple(self.destination(d, table.namespace, ports) for d in route.destinations)
        return replace(route, destinations=destinations)

    def route(self, route: Route, destinations: tuple[Destination, ...], mirrors: tuple[Mirror, ...]) -> Route:
        retry = route.retry
        if retry is not None and self.hashes(destinations):
            retry = replace(retry, other_host=False)
        if (destinations, mirrors, retry) == (route.destinations, route.mirrors, route.retry):
            return route
        return Route(**{**vars(route), "destinations": destinations, "mirrors": mirrors, "retry": retry})

    def hashes(self, destinations: tuple[Destination, ...]) -> bool:
        """A retry must not leave the pod that consistent hashing chose."""
        if len(destinations) != 1:
            return False
        only = destinations[0]
        policy = self.policies.get(only.host)
        if policy is None:
            return False
        subset = next((s for s in policy.subsets if s.name == only.subset), None)
        balancing = (subset or policy).policy_for(only.port).load_balancing
        return balancing is not None and balancing.hash_on is not None

    def check_gateway(self, gateway: str, source: Source) -> None:
        if gateway == MESH or gateway in self.gateways:
            return
        by_name = {key.partition("/")[2]: key for key in self.gateways}
        close = nearest(gateway.partition("/")[2], by_name)
        hint = f"did you mean `{by_name[close]}`?" if close else f"known: {listed(self.gateways) or 'none'}"
        self.note(Severity.ERROR, "unknown-gateway", f"there is no Gateway `{gateway}`; {hint}", source)

    def check_host(self, written: str, namespace: str, source: Source) -> None:
        host = names.fqdn(written, namespace)
        if host in self.services or "." in written or "*" in written:
            return
        text = f"host `{written}` is no Service here, so callers in the mesh do not reach this VirtualService by it"
        self.note(Severity.WARNING, "unknown-host", f"{text}{self.meant(host)}", source)

    def meant(self, host: str) -> str:
        close = names.meant(host, self.services)
        if close is None:
            return f"; Services: {listed(s.name for s in self.services.values()) or 'none'}"
        same = close.partition(".")[2] == host.partition(".")[2]
        return f"; did you mean `{close.partition('.')[0] if same else close}`?"

    def check_claims(self, oldest_first: Sequence[RouteTable]) -> None:
        """In the mesh the oldest VirtualService of a host wins and the others do nothing there (Istio)."""
        owners: dict[tuple[str, str], RouteTable] = {}
        for table in oldest_first:
            for host in table.hosts if MESH in table.gateways else ():
                rivals = [owners.setdefault((host, section), table) for section in _sections(table)]
                owner = next((rival for rival in rivals if rival is not table), table)
                if owner is not table and not (owner.visible_to or table.visible_to):
                    text = f"`{names.short(host, table.namespace)}` is routed by VirtualService `{owner.name}`"
                    why = f"({owner.source}): this one has no effect on it in the mesh"
                    self.note(Severity.WARNING, "duplicate-host", f"{text} {why}", table.source)

    # -- where its routes lead

    def arrivals(self, table: RouteTable) -> set[int]:
        """The ports that requests of this table can come in on."""
        ports: set[int] = set()
        for gateway in table.gateways:
            if gateway in self.gateways:
                ports.update(server.port for server in self.gateways[gateway].servers)
        for host in table.hosts if MESH in table.gateways else ():
            service = self.services.get(host)
            ports.update(port.number for port in service.ports) if service else ports.add(EXTERNAL_PORT)
        return ports

    def targets(
        self, route: Route, table: RouteTable, arrivals: set[int]
    ) -> tuple[tuple[Destination, ...], tuple[Mirror, ...]]:
        destinations = tuple(self.destination(d, table.namespace, arrivals) for d in route.destinations)
        mirrors = tuple(
            replace(m, destination=self.destination(m.destination, table.namespace, arrivals)) for m in route.mirrors
        )
        return destinations, mirrors

    def destination(self, target: Destination, namespace: str, arrivals: set[int]) -> Destination:
        service = self.services.get(target.host)
        if service is None:
            shown = names.short(target.host, namespace)
            text = f"destination `{shown}` is no Service here{self.meant(target.host)}"
            self.note(Severity.ERROR, "unknown-host", text, target.source)
            return target
        if target.subset:
            self.check_subset(target, service)
        if target.port == 0 and len(service.ports) == 1:
            return replace(target, port=service.ports[0].number)
        self.check_port(target, service, arrivals)
        return target

    def check_subset(self, target: Destination, service: Service) -> None:
        policy = self.policies.get(target.host)
        known = [subset.name for subset in policy.subsets] if policy else []
        if target.subset in known:
            self.check_callers(target, service, self.own_policies.get(target.host, {}))
            return
        close = nearest(target.subset, known)
        hint = f"known: {listed(known)}" if known else "no DestinationRule defines any"
        text = f"service `{service.name}` has no subset `{target.subset}`; {hint}"
        self.note(
            Severity.ERROR, "unknown-subset", text + (f"; did you mean `{close}`?" if close else ""), target.source
        )

    def check_callers(self, target: Destination, service: Service, elsewhere: Mapping[str, HostPolicy]) -> None:
        """A subset of a rule that is not exported to all who call."""
        for home, own in elsewhere.items():
            if all(subset.name != target.subset for subset in own.subsets):
                text = f"subset `{target.subset}` of `{service.name}` is unknown to callers of namespace `{home}`"
                why = "its DestinationRule is not for them; on a cluster they get 503, here the subset"
                self.note(Severity.WARNING, "unknown-subset", f"{text}: {why}", target.source)

    def check_port(self, target: Destination, service: Service, arrivals: set[int]) -> None:
        known = [port.number for port in service.ports]
        ports = listed(str(number) for number in known) or "none"
        if target.port and target.port not in known:
            text = f"service `{service.name}` has no port {target.port}; it has {ports}"
            self.note(Severity.ERROR, "unknown-port", text, target.source)
        elif not target.port and not arrivals <= set(known):
            text = f"service `{service.name}` has {len(known)} ports ({ports}): say which by `port.number`"
            self.note(Severity.ERROR, "unknown-port", text, target.source)


def unknown_imports(scopes: Sequence[Scope], topology: Topology) -> Iterator[Diagnostic]:
    """Hosts of a Sidecar's egress that nothing here has."""
    known = [(service.namespace, service.fqdn) for service in topology.services]
    for scope in scopes:
        for wanted in (host for egress in scope.egress for host in egress.hosts):
            there = any(wanted.namespace in ("*", home) and covers(wanted.host, fqdn) for home, fqdn in known)
            if there or wanted.host.startswith("*"):
                continue
            shown = f"{wanted.namespace}/{wanted.host}"
            close = names.meant(wanted.host, [fqdn for _, fqdn in known])
            hint = f"; did you mean `{wanted.namespace}/{close}`?" if close else ""
            text = f"Sidecar `{scope.name}` imports `{shown}`, which is no Service here{hint}"
            yield Diagnostic(Severity.WARNING, "unknown-host", text, scope.source)
