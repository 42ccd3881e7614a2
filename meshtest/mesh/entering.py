"""Where requests enter the mesh when nobody says: hosts of the mesh are called from inside, others by the ingress."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.errors import UsageError
from meshtest.loads.spec import LoadSpec
from meshtest.loads.target import Target
from meshtest.model.topology import Topology

if TYPE_CHECKING:
    from meshtest.loads.ask import Ask


def source_for(topology: Topology, authority: str) -> str:
    """`ingress`, or "" for a client inside."""
    host = authority.partition(":")[0]
    names = {n for s in topology.services for n in (s.name, f"{s.name}.{s.namespace}", s.fqdn)}
    inside = host in names or host.endswith(".svc") or not topology.gateways
    return "" if inside else "ingress"


def source_of(topology: Topology, what: Ask | Target) -> str:
    """From outside, at the gateway's port that the URL says."""
    source = source_for(topology, what.authority)
    return f"{source}/{what.port}" if source and what.port != 80 else source


def source_of_load(topology: Topology, spec: LoadSpec) -> str:
    """All of a load enters at one place; UsageError if its targets ask for several."""
    sources = {target.authority: source_of(topology, target) for target in spec.targets}
    if len(set(sources.values())) > 1:
        where = ", ".join(f"{host} {'by the ingress' if source else 'inside'}" for host, source in sources.items())
        raise UsageError(
            f"the targets of load {spec.name!r} enter the mesh at different places ({where}); say `source`"
        )
    return next(iter(sources.values()))
