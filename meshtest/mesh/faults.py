"""A fault for the length of a `with` block, with the evidence that it bit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from meshtest.manifests.error_backends import name_of
from meshtest.mesh import conditions
from meshtest.mesh.own_spans import Begun
from meshtest.model.route import Fault
from meshtest.model.sightings import CHOOSING
from meshtest.model.topology import key

if TYPE_CHECKING:
    from meshtest.mesh.configured import Edit
    from meshtest.mesh.mesh import Mesh

COUNTERS = r"^http\..*\.fault\.(aborts|delays)_injected$"
"""Envoy's own count of what its fault filter did."""


class Injection:
    """On entry the fault is in force in every proxy; on exit it is undone, and the counters say how often it bit.

    A fault that never bit proves nothing: the check `fault_bit` makes that UNKNOWN.
    """

    def __init__(self, mesh: Mesh, target: str, fault: Fault, headers: Mapping[str, str]) -> None:
        self._mesh, self.target = mesh, target
        self._match = conditions.match(headers=headers)
        self._at_destination = "@" in target
        self.fault = replace(fault, headers=self._match.headers) if self._at_destination else fault
        self.evidence: dict[str, int] = {}
        """Counter to how much it grew while the fault was in force; complete after the block."""

    def __enter__(self) -> Self:
        mesh = self._mesh
        self._workloads = [key(w) for w in mesh.find(self.target)]
        self._documents = mesh.documents
        self._before = mesh.provider.counters(COUNTERS)
        self._since = mesh.run.now
        self._span = Begun(f"fault {self.target}")
        mesh.record("fault.start", self.target, fault=self.describe())
        if self._at_destination:
            faults = {**mesh.topology.faults, **dict.fromkeys(self._workloads, self.fault)}
            mesh.break_at_destination(faults, f"fault in {self.target}")
        else:
            mesh.edit(f"fault for callers of {self.target}", self._edit(self.fault))
        self._injected = mesh.documents
        self._undo = mesh.run.undo.push(f"end the fault of {self.target}", self.end)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._undo()

    def _edit(self, fault: Fault | None) -> Edit:
        host, match = self._mesh[self.target].host, self._match if self._match.headers else None
        return lambda dialect, documents, topology: dialect.set_fault(documents, topology, host, fault, match=match)

    def end(self) -> None:
        """Undo it, in every proxy, and count how often it bit."""
        mesh, reason = self._mesh, f"end the fault of {self.target}"
        if self._at_destination:
            left = {k: f for k, f in mesh.topology.faults.items() if k not in self._workloads}
            mesh.break_at_destination(left, reason)
        elif mesh.documents is self._injected:
            mesh.restore(self._documents, reason)
        else:
            # traffic was moved meanwhile: take out the fault and nothing else
            mesh.edit(reason, self._edit(None))
        now = mesh.provider.counters(COUNTERS)
        grown = {name: count - self._before.get(name, 0) for name, count in now.items()}
        self.evidence = {name: count for name, count in grown.items() if count > 0 and self._concerns(name)}
        self.evidence |= self._answered()
        mesh.record("fault.end", self.target, evidence=self.evidence)
        self._span.end(bitten=sum(self.evidence.values()))

    def _concerns(self, counter: str) -> bool:
        """Faults at a destination are counted by inbound listeners, the others by outbound ones and gateways."""
        return counter.startswith("http.inbound_") == self._at_destination

    def _answered(self) -> dict[str, int]:
        """Where the fault was a backend that fails, no filter counts it, but the proxies have told who answered."""
        if self._at_destination:
            return {}
        name = name_of(self._mesh[self.target].service)
        if not any(document.name == name for document in self._injected):
            return {}
        hops = self._mesh.hops()
        count = sum(h.direction in CHOOSING and h.server.service == name and h.at >= self._since for h in hops)
        return {f"requests to {name}": count} if count else {}

    def describe(self) -> dict[str, Any]:
        return described(self.fault, {h.name: h.match.value for h in self._match.headers})


def described(fault: Fault, headers: Mapping[str, str]) -> dict[str, Any]:
    """For the history."""
    return {
        "delay": fault.delay and fault.delay.seconds,
        "abort": fault.abort and fault.abort.http_status,
        "percent": max(part.percent for part in (fault.abort, fault.delay) if part),
        "headers": dict(headers),
    }
