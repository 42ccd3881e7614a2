"""A provider without processes: it notes what is asked of it and acknowledges at once. For unit tests.

Not here: traffic. A load that is sent to it is refused, as nobody listens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from meshtest.errors import ProcessFailed, ProviderError
from meshtest.model.feature import Feature
from meshtest.model.topology import Topology, key
from meshtest.settings import Settings
from meshtest.spi.provider import Context, Entrance, Pod


class FakeProvider:
    """Implements meshtest.spi.provider.Provider.

    mesh = Mesh(provider := FakeProvider(), run, settings)
    provider.refuse = ConfigRejected("...")      # the next change is refused with this, and not in force
    provider.counts["http.x.fault.aborts_injected"] = 3
    """

    name = "fake"

    def __init__(self, features: Iterable[Feature] = Feature) -> None:
        self.features = frozenset(features)
        self.topology = Topology()
        """What is in force."""
        self.applied: list[Topology] = []
        """Every topology that was brought into force, in order."""
        self.calls: list[tuple[Any, ...]] = []
        """What was asked, in order: ("open",), ("apply",), ("terminate", "web-v1-0") ..."""
        self.counts: dict[str, int] = {}
        """What `counters` tells, whatever the pattern."""
        self.refuse: ProviderError | None = None
        """Raised by the next `apply`, once."""
        self.context: Context | None = None
        """Of the run that is served; None before `open`, and after `release` and `close`."""
        self._pods: dict[str, Pod] = {}

    # ---- life

    def open(self, context: Context) -> None:
        self.calls.append(("open",))
        self.context = context

    def release(self) -> None:
        self.calls.append(("release",))
        self.context, self.topology, self._pods = None, Topology(), {}

    def close(self) -> None:
        self.calls.append(("close",))
        self.context = None

    def heal(self) -> Sequence[str]:
        return ()

    def examine(self, settings: Settings) -> Sequence[tuple[str, str]]:
        return (("nothing is needed for a fake", ""),)

    # ---- the desired state

    def apply(self, topology: Topology) -> None:
        self.calls.append(("apply",))
        refusal, self.refuse = self.refuse, None
        if refusal is not None:
            raise refusal
        self.topology = topology
        self.applied.append(topology)
        self._pods = {pod.name: self._pods.get(pod.name, pod) for pod in _pods(topology)}

    def scale(self, workload: str, replicas: int) -> None:
        self.calls.append(("scale", workload, replicas))
        workloads = self.topology.workloads
        scaled = tuple(replace(w, replicas=replicas) if key(w) == workload else w for w in workloads)
        self.topology = replace(self.topology, workloads=scaled)
        self._pods = {pod.name: pod for pod in _pods(self.topology)}

    # ---- pods

    def pods(self, workload: str = "") -> Sequence[Pod]:
        return [pod for pod in self._pods.values() if workload in ("", pod.workload)]

    def terminate(self, *pods: str, grace: float | None = None) -> None:
        for pod in pods:
            self._known(pod)
            self.calls.append(("terminate", pod))
            del self._pods[pod]

    def kill(self, pod: str, signal: int) -> None:
        self._known(pod)
        self.calls.append(("kill", pod, signal))

    def _known(self, pod: str) -> None:
        if pod not in self._pods:
            raise ProcessFailed(f"no pod {pod!r} is running")

    # ---- ways in, and what is seen

    def entrance(self, source: str) -> Entrance:
        """The port of the discard service: nobody listens there."""
        return Entrance("127.0.0.1", 9, proxy=not source.startswith("ingress"))

    def rotate_certificates(self) -> int:
        """An identity for each workload."""
        self.calls.append(("rotate_certificates",))
        return len(self.topology.workloads)

    def counters(self, pattern: str) -> Mapping[str, int]:
        return dict(self.counts)

    def flush(self, request_ids: Sequence[str]) -> None:
        self.calls.append(("flush", len(request_ids)))

    def settle(self) -> None:
        self.calls.append(("settle", None))

    def describe(self) -> Mapping[str, Any]:
        return {"ingress": {}, "proxy": "", "proxies": {}, "pods": [*self._pods.values()]}


def _pods(topology: Topology) -> list[Pod]:
    """A pod for each replica."""
    return [
        Pod(name=f"{workload.name}-{number}", workload=key(workload), version=workload.version, pid=0, ready=True)
        for workload in topology.workloads
        for number in range(workload.replicas)
    ]
