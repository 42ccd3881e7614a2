"""The seam to a mesh: something that brings a Topology about, and tells what its proxies and pods did."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from meshtest.lib.dataclass import dataclass
from meshtest.model.feature import Feature
from meshtest.model.topology import Topology
from meshtest.settings import Settings

if TYPE_CHECKING:
    from meshtest.spi.telemetry import Collector

Record = Callable[..., None]
"""record(kind, subject="", **data): append an Event to the history now. Safe from any thread."""


@runtime_checkable
class StartsEarly(Protocol):
    """A provider may have processes that take long to start and need nothing of the run."""

    def start_early(self, settings: Settings) -> None:
        """Begin, and return at once. What goes wrong is said by open(); close() ends it, also if open() never came."""
        ...


@runtime_checkable
class TellsBroken(Protocol):
    """A provider may also tell this between two runs: a warm one that is broken is replaced, not used."""

    def broken(self) -> str:
        """Why it can serve no further run; empty: it can, as it has just found out."""
        ...


@runtime_checkable
class Begins(Protocol):
    """A provider may also do this, for those who watch a rollout instead of waiting for it: a controller does."""

    def begin(self, topology: Topology) -> None:
        """As Provider.apply(), but returns when every proxy has acknowledged: pods start, become ready and end by
        themselves, as after `kubectl apply`. Where there is none yet, requests find none. The next apply() waits for
        what is left."""
        ...


@dataclass(frozen=True, kw_only=True)
class Context:
    """What a provider gets from the run it serves."""

    directory: Path
    """The run folder: logs that a person should find go here."""
    record: Record
    settings: Settings
    seed: int
    collector: Collector | None = None
    """Where proxies and services send their spans; None: nobody takes any."""
    clock_start_ns: int
    """time.monotonic_ns() at second 0 of the run."""


@dataclass(frozen=True, kw_only=True)
class Pod:
    """One running replica."""

    name: str
    workload: str
    """`namespace/name`"""
    version: str
    pid: int
    ready: bool
    ports: Mapping[int, int] = field(default_factory=dict)
    """Container port to the real port on the host."""
    stand_in: bool = True
    """The built-in stand-in runs in place of the image."""
    template: str = ""
    """`Workload.template_hash` of what it was started from."""
    terminating: bool = False
    """It was told to end."""
    known: bool = True
    """The proxies have heard of its readiness."""


@dataclass(frozen=True)
class Entrance:
    """Where requests enter the mesh: connect here, with the Host header the mesh knows the service by."""

    address: str
    port: int
    proxy: bool
    """True: the listener of a caller's own proxy; the request names any host (as with `http_proxy`)."""


@dataclass(frozen=True)
class ProxyCpu:
    """Seconds since it started, of the proxy thread that had the most to do."""

    ran: float
    waited: float
    """For a CPU, ready to run."""


@runtime_checkable
class TellsProxyCpu(Protocol):
    """A provider may also tell this: then time-outs of proxies that had no CPU are not held against the mesh."""

    def proxy_cpu(self) -> ProxyCpu: ...


class Provider(Protocol):
    """One mesh. Calls block until what they say is true; each raises ProviderError with a reason otherwise."""

    name: str
    features: frozenset[Feature]

    def open(self, context: Context) -> None:
        """Serve a run: start what is needed before its first topology, unless it is warm from the run before."""
        ...

    def release(self) -> None:
        """End all that belongs to the present run, pods and routes, but keep warm what was expensive to start."""
        ...

    def apply(self, topology: Topology) -> None:
        """Bring the mesh there: pods ready, then every proxy has acknowledged its configuration.

        Raises ConfigRejected (the old configuration stays in force) or ProcessFailed.
        """
        ...

    def entrance(self, source: str) -> Entrance:
        """Where requests of `source` enter: `ingress`, `ingress/PORT`, `namespace/gateway`, or a workload's key; or
        "" for a client in the mesh that is no workload of the manifests; or `outside` for one without a proxy and an
        identity, which calls services as the cluster's network lets it."""
        ...

    def pods(self, workload: str = "") -> Sequence[Pod]:
        """Pods that are running, of one workload or of all."""
        ...

    def scale(self, workload: str, replicas: int) -> None:
        """As `kubectl scale`: returns when the new pods are ready, or the surplus ones are gone."""
        ...

    def terminate(self, *pods: str, grace: float | None = None) -> None:
        """As `kubectl delete pod` without a replacement: endpoint removal, preStop, SIGTERM, grace period, SIGKILL.

        All at once; returns when they are gone.
        """
        ...

    def kill(self, pod: str, signal: int) -> None:
        """Send a signal to the pod's process and nothing else: no endpoint removal (a crash)."""
        ...

    def rotate_certificates(self) -> int:
        """Every identity of the mesh gets a new certificate, in force when this returns; how many there are. 0 where
        nothing uses one."""
        ...

    def counters(self, pattern: str) -> Mapping[str, int]:
        """Proxy counters whose name matches the regular expression, for evidence."""
        ...

    def flush(self, request_ids: Sequence[str]) -> None:
        """Return when the hops of these requests are in `hops.tsv`; ProviderError says what is missing."""
        ...

    def settle(self) -> None:
        """Return when no request is under way in any proxy any more - not a mirrored copy either - and all hops are on
        disk; also when that does not come about within the request timeout, for somebody else may be sending."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Where to curl, what runs: for `meshtest up` and the report."""
        ...

    def heal(self) -> Sequence[str]:
        """End what runs of this user left whose runner is gone; a sentence for each thing done."""
        ...

    def examine(self, settings: Settings) -> Sequence[tuple[str, str]]:
        """For `meshtest doctor`: (what was looked at, what to do about it or "")."""
        ...

    def close(self) -> None:
        """End everything that was started. Safe to call twice."""
        ...
