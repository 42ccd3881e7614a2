"""Which rule, subset and policy applies to a request, and why: every decision with the file and line it stands in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from meshtest.explain.answer import Answer, answers
from meshtest.explain.asked import Asked
from meshtest.explain.guards import Guard, at_gateway, at_workloads
from meshtest.explain.unmet import unmet
from meshtest.lib.dataclass import dataclass
from meshtest.manifests.decide import find_host
from meshtest.manifests.gateway_streams import chosen
from meshtest.manifests.hosts import gateway_hosts, mesh_hosts, sees
from meshtest.manifests.sources import Caller, Origin, origin
from meshtest.manifests.wildcards import covers
from meshtest.model.diagnostic import NOWHERE, Source
from meshtest.model.policy import HostPolicy, TrafficPolicy
from meshtest.model.route import MESH, Door, Route, RouteTable, StreamRoute, VirtualHost
from meshtest.model.service import Service
from meshtest.model.status import Status
from meshtest.model.topology import Topology, key

DENIED = 403
"""What Istio's authorization answers."""

TIMED_OUT = 504

UNKNOWN_HOST = {True: 404, False: 502}
"""A gateway answers 404 for a host it does not serve; in the mesh 502, as Istio's REGISTRY_ONLY does."""


@dataclass(frozen=True, kw_only=True)
class Considered:
    """A rule of the host, in the order of trial; `unmet` is "" for the one that takes the request."""

    route: Route
    table: RouteTable | None
    unmet: str


@dataclass(frozen=True, kw_only=True)
class PassedOver:
    """A table that names the host and does not count for this caller."""

    table: RouteTable
    why: str


@dataclass(frozen=True, kw_only=True)
class Applied:
    """The policy in front of a destination's endpoints; DEFAULTS where no DestinationRule says anything."""

    service: str
    subset: str
    policy: TrafficPolicy
    source: Source


@dataclass(frozen=True, kw_only=True)
class Explanation:
    asked: Asked
    origin: Origin
    host: VirtualHost | None
    service: Service | None
    """Whose host it is, if it is a service's."""
    considered: tuple[Considered, ...]
    passed_over: tuple[PassedOver, ...]
    answers: tuple[Answer, ...]
    policies: tuple[Applied, ...]
    guards: tuple[Guard, ...] = ()
    """What authorization policies say; empty where none applies."""
    statuses: tuple[Status, ...] = ()
    """Of the gateways and routes that were looked at, as a controller would write them."""

    @property
    def route(self) -> Route | None:
        """The rule that takes the request."""
        return next((c.route for c in self.considered if not c.unmet), None)

    @property
    def taken(self) -> Considered | None:
        return next((c for c in self.considered if not c.unmet), None)

    def allows(self, *, status: int, version: str = "", location: str = "") -> bool:
        """Whether an answer that was seen is one of those foretold."""
        denied = {guard.who for guard in self.guards if not guard.decision.allowed}
        if "" in denied:
            return status == DENIED
        return any(_fits(answer, status, version, location, denied) for answer in self.answers)


def explain(topology: Topology, source: str, asked: Asked, statuses: Iterable[Status] = ()) -> Explanation:
    """`source` as in Mesh.load: a workload, `ingress`, `namespace/gateway`, or "" for a client in the mesh."""
    sender = origin(topology, source)
    if isinstance(sender, Door) and asked.scheme == "https" and (stream := chosen(topology, sender, asked.host)):
        return _encrypted(topology, sender, stream, asked)
    hosts = known_hosts(topology, sender)
    host = find_host(hosts, asked.authority if isinstance(sender, Caller) else asked.host)
    considered = tuple(_considered(topology, host, asked)) if host else ()
    route = next((c.route for c in considered if not c.unmet), None)
    foretold = tuple(_foretold(topology, sender, host, route, asked))
    return Explanation(
        asked=asked,
        origin=sender,
        host=host,
        service=topology.service(host.name.rpartition(":")[0]) if host else None,
        considered=considered,
        passed_over=tuple(_passed_over(topology, sender, asked, considered)),
        answers=foretold,
        policies=tuple(_policies(topology, route, foretold)),
        guards=tuple(_guards(topology, sender, asked, foretold)),
        statuses=tuple(_looked_at(topology, sender, considered, statuses)),
    )


def _encrypted(topology: Topology, door: Door, stream: StreamRoute, asked: Asked) -> Explanation:
    """TLS that the gateway passes on: no request in it is looked at."""
    taken = Considered(
        route=Route(name=stream.name, destinations=stream.destinations, source=stream.source),
        table=_table_of(topology, stream.source),
        unmet="",
    )
    foretold = tuple(answers(topology, taken.route, asked))
    return Explanation(
        asked=asked,
        origin=door,
        host=None,
        service=None,
        considered=(taken,),
        passed_over=(),
        answers=foretold,
        policies=tuple(_policies(topology, taken.route, foretold)),
    )


def _guards(topology: Topology, sender: Origin, asked: Asked, foretold: Sequence[Answer]) -> Iterator[Guard]:
    if isinstance(sender, Door) and (guard := at_gateway(topology, sender, asked)):
        yield guard
    yield from at_workloads(topology, sender, asked, foretold)


def _looked_at(
    topology: Topology, sender: Origin, considered: Sequence[Considered], statuses: Iterable[Status]
) -> Iterator[Status]:
    places = {c.table.source for c in considered if c.table}
    gateways = {g.key for g in topology.gateways if isinstance(sender, Door) and g.address == sender.address}
    for status in statuses:
        of_gateway = status.kind.endswith("/Gateway") and f"{status.namespace}/{status.name}" in gateways
        if of_gateway or status.source in places:
            yield status


def known_hosts(topology: Topology, sender: Origin) -> Sequence[VirtualHost]:
    """What the sender's proxy, or the gateway, knows."""
    if isinstance(sender, Caller):
        return mesh_hosts(topology, namespace=sender.namespace, labels=sender.labels)
    return gateway_hosts(topology, sender)


def _considered(topology: Topology, host: VirtualHost, asked: Asked) -> Iterator[Considered]:
    """Up to the rule that takes it."""
    for route in host.routes:
        why = unmet(route.match, asked)
        yield Considered(route=route, table=_table_of(topology, route.source), unmet=why)
        if not why:
            return


def _table_of(topology: Topology, place: Source) -> RouteTable | None:
    """By where the rule stands: one that was filled in for a port is no longer the same object."""
    if place is NOWHERE:
        return None
    return next((table for table in topology.tables if place in table.places), None)


def _foretold(
    topology: Topology, sender: Origin, host: VirtualHost | None, route: Route | None, asked: Asked
) -> Iterator[Answer]:
    in_mesh = isinstance(sender, Caller)
    if host is None:
        where = "the mesh" if in_mesh else "this gateway"
        yield Answer(status=UNKNOWN_HOST[not in_mesh], why=f"{where} knows no host {asked.authority}")
    elif route is None:
        yield Answer(status=404, why="no rule takes it")
    else:
        yield from answers(topology, route, asked)


def _passed_over(
    topology: Topology, sender: Origin, asked: Asked, considered: Sequence[Considered]
) -> Iterator[PassedOver]:
    """Tables that name the host, none of whose rules was tried."""
    tried = {c.table.source for c in considered if c.table}
    names = _names(topology, asked, sender)
    for table in topology.tables:
        if table.source not in tried and any(covers(host, name) for host in table.hosts for name in names):
            yield PassedOver(table=table, why=_why_passed_over(table, sender))


def _names(topology: Topology, asked: Asked, sender: Origin) -> list[str]:
    namespace = sender.namespace if isinstance(sender, Caller) else ""
    meant = [
        s.fqdn
        for s in topology.services
        if asked.host in (s.fqdn, f"{s.name}.{s.namespace}.svc", f"{s.name}.{s.namespace}")
        or (asked.host == s.name and s.namespace == namespace)
    ]
    return [asked.host, *meant]


def _why_passed_over(table: RouteTable, sender: Origin) -> str:
    if isinstance(sender, Caller):
        if MESH not in table.gateways:
            return f"it is for {', '.join(table.gateways)} only, not for callers in the mesh"
        if not sees(table, sender.namespace):
            return f"it is not exported to namespace {sender.namespace}"
        return "another one of this host comes first, or its rules are for other callers or ports"
    if table.gateways == (MESH,):
        return "it is for callers in the mesh, not for a gateway"
    return f"it is for {', '.join(table.gateways)}; no server at this door admits it"


def _policies(topology: Topology, route: Route | None, foretold: Sequence[Answer]) -> Iterator[Applied]:
    seen: set[tuple[str, str]] = set()
    ports = {d.host: d.port for d in route.destinations} if route else {}
    for answer in foretold:
        if answer.workloads and (answer.service, answer.subset) not in seen:
            seen.add((answer.service, answer.subset))
            found = topology.policies.get(answer.service)
            yield _applied(found, answer, ports.get(answer.service, 0))


def _applied(found: HostPolicy | None, answer: Answer, port: int) -> Applied:
    subset = next((s for s in found.subsets if s.name == answer.subset), None) if found else None
    policy = subset or found
    return Applied(
        service=answer.service,
        subset=answer.subset,
        policy=policy.policy_for(port) if policy else TrafficPolicy(),
        source=policy.source if policy else NOWHERE,
    )


def _fits(answer: Answer, status: int, version: str, location: str, denied: set[str]) -> bool:
    if answer.status is None:
        let_in = {w.version for w in answer.workloads if key(w) not in denied}
        kept_out = any(key(w) in denied for w in answer.workloads)
        late = status == TIMED_OUT and answer.timeout is not None
        return version in let_in or late or (status == DENIED and kept_out)
    return status == answer.status and (not answer.location or location == answer.location)
