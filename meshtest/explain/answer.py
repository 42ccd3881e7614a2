"""What the client of a request must see: the answer a route prescribes, as far as the manifests decide it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from meshtest.explain.asked import Asked
from meshtest.lib import regex
from meshtest.lib.dataclass import dataclass
from meshtest.manifests.decide import string_matches
from meshtest.manifests.hosts import DEFAULT_PORTS
from meshtest.model.route import Cors, Destination, Match, Redirect, Rewrite, Route
from meshtest.model.service import Service, Workload
from meshtest.model.topology import Topology


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One thing that can happen to the request, and how often.

    Exactly one of: `workloads` answer it (the request reaches a service); the proxy answers `status` itself.
    """

    percent: float = 100.0
    status: int | None = None
    """None: whatever the service says."""
    location: str = ""
    """Of a redirect."""
    body: str = ""
    service: str = ""
    """Fully qualified, where a service was meant to get it."""
    subset: str = ""
    workloads: tuple[Workload, ...] = ()
    authority: str = ""
    """Host header at the service."""
    path: str = ""
    """At the service."""
    timeout: float | None = None
    """Seconds after which the proxy answers 504 in its place."""
    why: str = ""

    @property
    def versions(self) -> tuple[str, ...]:
        return tuple(sorted({workload.version for workload in self.workloads}))


def answers(topology: Topology, route: Route, asked: Asked) -> Iterator[Answer]:
    """Everything that can happen on this route; percentages are of all its requests."""
    left = 100.0
    if (fault := route.fault) and fault.abort and fault.abort.percent:
        status = 200 if fault.abort.http_status is None else fault.abort.http_status
        grpc = "" if fault.abort.grpc_status is None else f", grpc-status {fault.abort.grpc_status}"
        yield Answer(percent=fault.abort.percent, status=status, why=f"fault: abort{grpc}")
        left -= fault.abort.percent
    if left > 0:
        yield from (replace(a, percent=a.percent * left / 100.0) for a in _unharmed(topology, route, asked))


def _unharmed(topology: Topology, route: Route, asked: Asked) -> Iterator[Answer]:
    if preflight(route.cors, asked):
        yield Answer(status=200, why="a preflight, answered by the CORS policy")
    elif route.redirect is not None:
        yield redirected(route.redirect, route.match, asked)
    elif (direct := route.direct_response) is not None:
        yield Answer(status=direct.status, body=direct.body, why="direct response")
    elif len(route.destinations) == 1:
        yield _at(topology, route, route.destinations[0], asked)
    else:
        total = sum(destination.weight for destination in route.destinations)
        for destination in route.destinations if total else ():
            if destination.weight:
                at = _at(topology, route, destination, asked)
                yield replace(at, percent=100.0 * destination.weight / total)


def _at(topology: Topology, route: Route, destination: Destination, asked: Asked) -> Answer:
    """What one destination makes of it."""
    if destination.redirect is not None:
        return redirected(destination.redirect, route.match, asked)
    if destination.broken:
        return Answer(status=destination.broken, why="the backend reference leads nowhere")
    service = topology.service(destination.host)
    if service is None:
        return Answer(status=503, service=destination.host, why="no such service")
    meant = Answer(service=service.fqdn, subset=destination.subset)
    subset = topology.subset(service.fqdn, destination.subset) if destination.subset else None
    if destination.subset and subset is None:
        return replace(meant, status=503, why=f"no DestinationRule has the subset {destination.subset!r} (NC)")
    workloads = topology.subset_backends(service, subset) if subset else topology.backends(service)
    running = tuple(workload for workload in workloads if workload.replicas)
    if not running and not service.endpoints and service.resolution == "PODS":
        return replace(meant, status=503, why=f"{_labels(service, destination)} selects no pods (UH)")
    authority, path = rewritten(destination.rewrite or route.rewrite, route.match, asked)
    limits = [limit for limit in (route.timeout, route.retry and route.retry.per_try_timeout) if limit]
    limit = min(limits, default=None)
    return replace(meant, workloads=running, authority=authority, path=path, timeout=limit)


def _labels(service: Service, destination: Destination) -> str:
    return f"subset {destination.subset!r}" if destination.subset else f"service {service.name}"


def preflight(cors: Cors | None, asked: Asked) -> bool:
    """The proxy answers it itself (Envoy's CORS filter): an origin that is allowed, or that must not pass unmatched."""
    fields = asked.fields
    if cors is None or asked.method != "OPTIONS" or not fields.get("access-control-request-method"):
        return False
    origin = fields.get("origin", "")
    allowed = any(string_matches(wanted, origin) for wanted in cors.origins)
    return bool(origin) and (allowed or not cors.forward_unmatched_preflights)


def rewritten(rewrite: Rewrite | None, match: Match, asked: Asked) -> tuple[str, str]:
    """Authority and path as the service gets them."""
    if rewrite is None:
        return asked.authority, asked.path
    path, mark, query = asked.path.partition("?")
    if rewrite.regex:
        path = regex.replaced(*rewrite.regex, path)
    elif rewrite.full_path:
        path = rewrite.full_path
    elif rewrite.prefix:
        path = _swapped(path, match, rewrite.prefix)
    return rewrite.authority or asked.authority, f"{path}{mark}{query}"


def redirected(redirect: Redirect, match: Match, asked: Asked) -> Answer:
    """Scheme, host, port and query of the request stay unless they are named (Envoy, RouteEntryImplBase::newUri)."""
    scheme = redirect.scheme or asked.scheme
    number = redirect.port or (None if redirect.authority else _kept_port(scheme, asked))
    path, mark, query = asked.path.partition("?")
    if redirect.path:
        path = redirect.path
        mark, query = ("", "") if "?" in path else (mark, query)
    elif redirect.prefix:
        path = _swapped(path, match, redirect.prefix)
    shown = f":{number}" if number else ""
    location = f"{scheme}://{redirect.authority or asked.host}{shown}{path}{mark}{query}"
    return Answer(status=redirect.status, location=location, why="redirect")


def _kept_port(scheme: str, asked: Asked) -> int | None:
    """A port that was the old scheme's own goes when the scheme changes."""
    own = asked.port is not None and DEFAULT_PORTS.get(asked.port) == asked.scheme
    return None if own and scheme != asked.scheme else asked.port


def _swapped(path: str, match: Match, new: str) -> str:
    """The matched prefix gives way to another; no double slash remains where elements are compared."""
    matched = match.path
    if matched is None:
        return new + path.removeprefix("/")
    if matched.kind == "exact":
        return new
    if matched.kind == "path_prefix":
        rest = path[len(matched.value.rstrip("/")) :]
        return (new.rstrip("/") + rest) or "/"
    return new + path[len(matched.value) :]
