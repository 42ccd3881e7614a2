"""What one caller knows of the mesh: what is exported to its namespace, as far as its scope (Istio's Sidecar) goes.

Pure. By Istio's pilot/pkg/model/push_context.go (getSidecarScope) and sidecar.go (selectServices).
"""

from __future__ import annotations

from collections.abc import Iterable

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.wildcards import covers, intersection
from meshtest.model.route import RouteTable
from meshtest.model.service import Labels, Service, within
from meshtest.model.topology import Topology
from meshtest.model.visibility import Egress, Import, Scope


@dataclass(frozen=True)
class Sight:
    """One caller's view; `scope` None: everything that is exported to it."""

    namespace: str
    scope: Scope | None

    def service(self, service: Service, port: int) -> bool:
        """Its host is known on this port."""
        if service.visible_to and self.namespace not in service.visible_to:
            return False
        egress = self._egress(port)
        return egress is None or _imports(egress, service.namespace, service.fqdn)

    def table(self, table: RouteTable, port: int) -> bool:
        """Its routes count on this port: one of its hosts is known there."""
        egress = self._egress(port)
        return egress is None or any(_imports(egress, table.namespace, host) for host in table.hosts)

    def tables(self, tables: Iterable[RouteTable], port: int) -> list[RouteTable]:
        return [table for table in tables if self.table(table, port)]

    def _egress(self, port: int) -> Egress | None:
        """What counts on a port; None for no limit. A port that no entry is for knows nothing."""
        if self.scope is None or not self.scope.egress:
            return None
        own = next((e for e in self.scope.egress if e.port == port), None)
        return own or next((e for e in self.scope.egress if e.port is None), Egress())


def sight(topology: Topology, namespace: str, labels: Labels) -> Sight:
    return Sight(namespace, _scope(topology.scopes, namespace, labels))


def selector_labels(topology: Topology) -> set[str]:
    """Labels that scopes tell callers apart by."""
    return {name for scope in topology.scopes for name in scope.selector}


def _scope(scopes: Iterable[Scope], namespace: str, labels: Labels) -> Scope | None:
    """One for the workload, else one for its namespace, else one for all; the oldest of each."""
    ordered = sorted(scopes, key=lambda scope: (scope.created, scope.name, scope.namespace))
    local = [scope for scope in ordered if scope.namespace == namespace]
    for chosen in (
        [scope for scope in local if scope.selector and within(scope.selector, labels)],
        [scope for scope in local if not scope.selector],
        [scope for scope in ordered if scope.everywhere],
    ):
        if chosen:
            return chosen[0]
    return None


def _imports(egress: Egress, namespace: str, host: str) -> bool:
    def among(imports: Iterable[Import]) -> list[Import]:
        return [i for i in imports if i.namespace in ("*", namespace)]

    if any(covers(i.host, host) for i in among(egress.excluded)):
        return False
    return any(intersection(i.host, host) is not None for i in among(egress.hosts))
