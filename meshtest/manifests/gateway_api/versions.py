"""Versions of a Service where there are no subsets: each version is a Service of its own, whose pods are part of it.

web (app: web)  ──►  web-v1 (app: web, version: v1),  web-v2 (app: web, version: v2)

Or it is a version because a route of the Service leads to it, whatever pods it has (apex.py).
"""

from __future__ import annotations

from meshtest.errors import UsageError
from meshtest.lib.words import listed, nearest
from meshtest.manifests.apex import led_to
from meshtest.manifests.error_backends import is_error_backend
from meshtest.model.service import Service, Workload
from meshtest.model.topology import Topology


def part_of(topology: Topology, part: Service, whole: Service) -> bool:
    """The Service is the other one, or all of its pods are pods of the other."""
    if part.fqdn == whole.fqdn:
        return True
    pods, others = topology.backends(part), topology.backends(whole)
    return part.namespace == whole.namespace and bool(pods) and all(pod in others for pod in pods)


def parts(topology: Topology, host: str) -> list[Service]:
    """The Service itself, and those of its versions."""
    whole = topology.service(host)
    if whole is None:
        return []
    own = {s.fqdn for s in (*led_to(topology, host), *selected_by(topology, host))}
    return [whole, *(s for s in topology.services if s.fqdn in own and not is_error_backend(s.name))]


def selected_by(topology: Topology, host: str) -> list[Service]:
    """Other Services all of whose pods the Service selects."""
    whole = topology.service(host)
    if whole is None:
        return []
    near = (s for s in topology.services if s.namespace == whole.namespace and s.fqdn != host)
    return [service for service in near if part_of(topology, service, whole)]


def service_of(topology: Topology, host: str, version: str) -> Service:
    """The Service of one version, by the Service's own name, by the version of all its pods, or by `host-version`."""
    candidates = [s for s in parts(topology, host) if s.fqdn != host]
    short = host.partition(".")[0]
    for found in (
        [s for s in candidates if s.name == version],
        [s for s in candidates if _versions(topology, s) == {version}],
        [s for s in candidates if s.name == f"{short}-{version}"],
    ):
        if found:
            return found[0]
    whole = topology.service(host)
    if whole is not None and (version == whole.name or _versions(topology, whole) == {version}):
        return whole
    known = {version for s in candidates for version in _versions(topology, s)}
    close = nearest(version, known)
    hint = (
        f"did you mean {close!r}?"
        if close
        else f"versions with a Service of their own: {listed(sorted(known)) or 'none'}"
    )
    raise UsageError(
        f"an HTTPRoute sends requests to Services, and none selects just version {version!r} of {short}; {hint}"
    )


def _versions(topology: Topology, service: Service) -> set[str]:
    workloads: tuple[Workload, ...] = topology.backends(service)
    return {workload.version for workload in workloads}
