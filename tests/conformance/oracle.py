"""What the pure oracle (manifests/decide.py) says of a case: the proxy and the model must agree on every one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from meshtest.manifests.decide import decide
from meshtest.manifests.hosts import gateway_hosts, mesh_hosts
from meshtest.model.route import Destination, Door, Route, VirtualHost
from meshtest.model.topology import Topology, key
from tests.conformance.cases import Case

LATE = (500, 502, 503, 504)
"""Answers that come about behind the choice of a route: timeouts, retries."""


def hosts_of(topology: Topology, case: Case) -> Sequence[VirtualHost]:
    if case.in_mesh:
        caller = next(w for w in topology.workloads if key(w) == case.entrance)
        return mesh_hosts(topology, namespace=caller.namespace, labels=caller.labels)
    gateway, _, port = case.entrance.rpartition("/")
    return gateway_hosts(topology, Door(int(port), gateway))


def disagreements(topology: Topology, case: Case) -> Iterator[str]:
    """How the case differs from what the model would do with its request."""
    if case.host.startswith("127.0.0.1:"):
        return  # a pod by its own address: no route of the model counts
    hosts = hosts_of(topology, case)
    route = decide(hosts, case.host, case.method, case.path or "/", case.headers, any_port=not case.in_mesh)
    if route is None:
        yield from _status(case, 404, "no route takes it")
    elif route.redirect is not None:
        yield from _status(case, route.redirect.status, "a redirect")
    elif route.direct_response is not None:
        yield from _status(case, route.direct_response.status, "a direct response")
    else:
        yield from _destinations(case, route)


def _destinations(case: Case, route: Route) -> Iterator[str]:
    for destination in route.destinations:
        if destination.broken:
            yield from _status(case, destination.broken, "a broken backend")
        elif destination.redirect:
            yield from _status(case, destination.redirect.status, "a redirect")
        elif set(case.statuses) & {200, 204}:
            yield from _backend(case, destination)
        elif not set(case.statuses) & set(LATE):
            yield f"oracle: it goes to {destination.host}, expected status {case.statuses}"


def _backend(case: Case, destination: Destination) -> Iterator[str]:
    name, _, rest = destination.host.partition(".")
    namespace = rest.partition(".")[0]
    wanted = case.expected.get("Backend", "")
    # in the mesh a Backend is the Deployment behind the Service, which has a name of its own
    if wanted and name != wanted and not (case.in_mesh and wanted.startswith(name)):
        yield f"oracle: it goes to {name}, expected {wanted}"
    if case.expected.get("Namespace") and namespace != case.expected["Namespace"]:
        yield f"oracle: it goes to namespace {namespace}, expected {case.expected['Namespace']}"


def _status(case: Case, status: int, what: str) -> Iterator[str]:
    if status not in case.statuses:
        yield f"oracle: {what}, {status}; expected {case.statuses}"
