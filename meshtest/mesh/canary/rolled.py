"""The status of a Deployment or a DaemonSet, from its pods: what their controllers would write, on the Canary's clock.

Not here: what Flagger makes of it (rollouts/canary/readiness.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from meshtest.mesh.canary.clock import Clock
from meshtest.model.service import Workload
from meshtest.model.topology import key
from meshtest.rollouts.canary.readiness import Rollout
from meshtest.spi.provider import Pod

if TYPE_CHECKING:
    from meshtest.mesh.mesh import Mesh

PROGRESS_DEADLINE = 600.0
"""Seconds; the default of a Deployment's progressDeadlineSeconds (apps/v1)."""


class Rolled:
    """One Deployment. Conditions change when it is looked at, so look often."""

    def __init__(self, mesh: Mesh, workload: str, clock: Clock) -> None:
        self._mesh, self.key, self._clock = mesh, workload, clock
        self._unavailable_since: float | None = None
        self._counts: tuple[int, ...] = ()
        self._moved = 0.0
        """When its numbers have changed last, in seconds of production."""

    @property
    def workload(self) -> Workload | None:
        return next((w for w in self._mesh.topology.workloads if key(w) == self.key), None)

    def pods(self) -> Sequence[Pod]:
        """Those that were not told to end."""
        return [pod for pod in self._mesh.provider.pods(self.key) if not pod.terminating]

    def restart(self) -> None:
        """The clock has been set to zero."""
        self._unavailable_since, self._moved = None, 0.0
        self.look()

    @property
    def waiting(self) -> float:
        """Seconds of ours for which too few of its pods are available, or nothing has changed."""
        since = self._moved if self._unavailable_since is None else self._unavailable_since
        return (self._clock.after - since) / self._clock.speed

    def look(self) -> Rollout:
        workload = self.workload
        if workload is None:
            return Rollout(wanted=1, total=0, updated=0, available=0)
        pods = self.pods()
        updated = [pod for pod in pods if pod.template in ("", workload.template_hash)]
        # that proxies hear of it later is no matter of intervals there, and would be one where a second is a minute
        available = sum(pod.ready and pod.known for pod in pods)
        self._note(workload, (workload.replicas, len(pods), len(updated), available))
        unready = self._unavailable_since
        return Rollout(
            wanted=workload.replicas,
            total=len(pods),
            updated=len(updated),
            available=available,
            unavailable_for=None if unready is None else self._clock.after - unready,
            gave_up=self._gave_up(workload, len(pods), len(updated), available),
        )

    def _note(self, workload: Workload, counts: tuple[int, ...]) -> None:
        if counts != self._counts:
            self._counts, self._moved = counts, self._clock.after
        if counts[-1] >= workload.replicas - _unavailable(workload):
            self._unavailable_since = None
        elif self._unavailable_since is None:
            self._unavailable_since = self._clock.after

    def _gave_up(self, workload: Workload, total: int, updated: int, available: int) -> bool:
        """Nothing has changed for as long as the Deployment allows, and it is not complete."""
        complete = workload.replicas == total == updated == available
        return not complete and self._clock.after - self._moved > self._deadline()

    def _deadline(self) -> float:
        found: Any = None
        for document in self._mesh.documents.of("apps/Deployment"):
            if f"{document.namespace}/{document.name}" == self.key:
                found = (document.data.get("spec") or {}).get("progressDeadlineSeconds")
        return float(found) if isinstance(found, int) else PROGRESS_DEADLINE


def _unavailable(workload: Workload) -> int:
    """maxUnavailable, rounded down; with no surge either it is 1 (kubernetes pkg/controller/deployment/util)."""
    if workload.recreate:
        return workload.replicas
    found = _pods(workload.max_unavailable, workload.replicas)
    return found if found or workload.max_surge not in (0, "0%") else 1


def _pods(value: int | str, replicas: int) -> int:
    return value if isinstance(value, int) else int(replicas * float(value.rstrip("%")) / 100)


class RolledDaemons(Rolled):
    """One DaemonSet: its numbers are of nodes, and a node counts with its oldest pod (updateDaemonSetStatus of
    kubernetes pkg/controller/daemon). Flagger's deadline runs from its own last write (daemonset_ready.go)."""

    written = 0.0
    """When the Canary's status was, in seconds of production."""

    def restart(self) -> None:
        self.written = 0.0

    def look(self) -> Rollout:
        workload = self.workload
        if workload is None:
            return Rollout(wanted=1, total=0, updated=0, available=0)
        pods, nodes = self.pods(), workload.replicas
        new = sum(pod.template in ("", workload.template_hash) for pod in pods)
        return Rollout(
            wanted=nodes,
            total=len(pods),
            updated=max(0, min(new, nodes - (len(pods) - new))),
            available=min(nodes, sum(pod.ready and pod.known for pod in pods)),
            unavailable_for=self._clock.after - self.written,
        )
