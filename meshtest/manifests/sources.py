"""Who sends a request, by the word a person uses for it: a workload, a gateway, the client inside the mesh.

Pure; what a source's proxy then knows is hosts.py, where its listener is is the provider's matter.
"""

from __future__ import annotations

from dataclasses import field

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, nearest
from meshtest.model.route import Door
from meshtest.model.service import Labels, Workload
from meshtest.model.topology import Topology, key

CLIENT = "default/meshtest-client"
"""The caller inside the mesh that is no workload of the manifests: a load whose source is not named."""


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Somebody in the mesh, with a proxy of its own."""

    key: str = CLIENT
    namespace: str = CLIENT.partition("/")[0]
    labels: Labels = field(default_factory=dict)
    service_account: str = CLIENT.partition("/")[2]


Origin = Caller | Door


def origin(topology: Topology, source: str) -> Origin:
    """What `source` means: "" the client in the mesh; `ingress[/PORT]` or `namespace/gateway[/PORT]` a door; else a
    workload or the first one behind a service of that name. UsageError says what there is."""
    if not source:
        return Caller()
    if (at := gateway_port(topology, source)) is not None:
        return door(topology, *at)
    found = workload(topology, source)
    return Caller(key=key(found), namespace=found.namespace, labels=found.labels, service_account=found.service_account)


def gateway_port(topology: Topology, source: str) -> tuple[str, str] | None:
    """(address of the gateway, port or "") of a word for a gateway; None for a word that means no gateway."""
    if source == "ingress" or source.startswith("ingress/"):
        addresses = {gateway.address for gateway in topology.gateways}
        return addresses.pop() if len(addresses) == 1 else "", source.partition("/")[2]
    for gateway in topology.gateways:
        if source == gateway.key or source.startswith(f"{gateway.key}/"):
            return gateway.address, source.removeprefix(gateway.key).lstrip("/")
    return None


def door(topology: Topology, address: str, port: str = "") -> Door:
    """The door of an address by its port; without a number the only one, or 80."""
    doors = {door for gateway in topology.gateways for door in gateway.doors}
    known = sorted(door.port for door in doors if door.address == address)
    if not known:
        others = listed(sorted({door.address for door in doors}))
        hint = f"; choose among {others}" if others else ": the manifests have no Gateway with a server"
        raise UsageError(f"there is no ingress{hint}")
    if not port:
        port = str(known[0] if len(known) == 1 else 80)
    if not port.isdigit() or int(port) not in known:
        way = address or "ingress"
        raise UsageError(f"no gateway port {port}; choose {way}/PORT among {listed(map(str, known))}")
    return Door(int(port), address)


def workload(topology: Topology, name: str) -> Workload:
    """By key, by name, or the first one behind a service or app of that name."""
    workloads = topology.workloads
    for found in (
        [w for w in workloads if name in (key(w), w.name)],
        [w for s in topology.services if name in (s.name, f"{s.name}.{s.namespace}") for w in topology.backends(s)],
        [w for w in workloads if w.app == name],
    ):
        if found:
            return found[0]
    names = [w.name for w in workloads]
    hint = f" (did you mean {near!r}?)" if (near := nearest(name, names)) else ""
    raise UsageError(f"no workload {name!r}; there are: {listed(names) or 'none'}{hint}")
