"""The provider "envoy": a mesh on this machine. The real Envoy, pods as processes, no cluster.

topology ─► pods that are missing (fleet, pods/) ─► translate and push (plane) ─► acknowledged ─► surplus pods go
                         │ ready, exit ...                ▲
                         └──── publisher, after the lag ──┘
"""

from __future__ import annotations

import contextlib
import signal as signals
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from meshtest.errors import HistoryError, ProcessFailed, ProviderError
from meshtest.lib import wait
from meshtest.manifests import sources
from meshtest.model.feature import Feature
from meshtest.model.route import Door
from meshtest.model.service import Workload
from meshtest.model.topology import Topology, key
from meshtest.settings import Settings
from meshtest.spi.provider import Context, Entrance, Pod, ProxyCpu
from meshtest.spi.telemetry import Vocabulary
from meshtest_envoy import cpu
from meshtest_envoy.background import Background
from meshtest_envoy.examination import examine
from meshtest_envoy.fleet import Fleet, Running
from meshtest_envoy.ground import ENVOY, Ground
from meshtest_envoy.hops import HopLog
from meshtest_envoy.pods.heal import heal
from meshtest_envoy.pods.runtime import roots
from meshtest_envoy.pods.spec import PodEvent
from meshtest_envoy.publisher import Publisher
from meshtest_envoy.rollout import Rollout
from meshtest_envoy.spans import ProxySpans
from meshtest_envoy.xds import names
from meshtest_envoy.xds.tracing import Tracing

BUSY = "|".join(
    (
        r"^http\.(inbound|outbound|gateway)_.*\.downstream_rq_active$",
        r"^listener\.tcp_inbound_.*\.downstream_cx_active$",
        r"^filesystem\.write_total_buffered$",
    )
)
"""Gauges: requests under way in any listener, connections to TCP ports, bytes of access log not yet on disk."""

GONE_AFTER_GRACE = 5.0
"""Seconds after the grace period within which even SIGKILL must have been seen to work."""

RUNS = 16
"""That one Envoy serves. It never closes an access log, of which each run has its own: a thread and a timer that wake
50 times a second each, so that after 200 runs an idle Envoy took a fifth of a core. A new one takes 0.3 s."""


class EnvoyProvider:
    """Implements meshtest.spi.provider.Provider."""

    name = "envoy"
    features = frozenset(Feature)

    def __init__(self) -> None:
        self._changing = threading.RLock()
        """One change of the desired state at a time."""
        self._pushing = threading.RLock()
        """One push at a time; guards `_topology`, the state that is in force."""
        self._topology = Topology()
        self._ground: Ground | None = None
        self._failure: ProcessFailed | None = None
        """How Envoy ended, if it did."""
        self._open = False
        self._runs = 0
        """That this Envoy has served."""

    # ---- life

    def start_early(self, settings: Settings) -> None:
        with contextlib.suppress(ProviderError, OSError):  # open() tries again, and then it is said
            self._ground = Ground(settings.envoy, self._on_event)

    def open(self, context: Context) -> None:
        if self._open:
            self._serve(context)
            return
        for sentence in self.heal():
            context.record("note", text=f"left by an earlier run: {sentence}")
        ground = self._ground = self._ground or Ground(context.settings.envoy, self._on_event)
        try:
            self._open_on(ground, context)
        except BaseException:
            self.close()
            raise

    def _open_on(self, ground: Ground, context: Context) -> None:
        # imported while Envoy starts: grpc and protobuf take 0.15 s, as long as that does
        from meshtest_envoy.plane import DataPlane

        self._log, self._supervisor = ground.log, ground.supervisor
        self._publisher = Publisher(self._publish, self._unpublished)
        self._plane = DataPlane(ground.runtime)
        self._spans = ProxySpans(self._plane.admin, self._plane.worker)
        self._open = True
        self._serve(context)
        self._plane.start()
        self.envoy_pid = ground.envoy_pid()
        if self._failure:
            raise self._failure
        self._publisher.start()

    def _serve(self, context: Context) -> None:
        """From now on, what is seen belongs to this run."""
        assert self._ground is not None
        runtime = self._ground.runtime
        self._context, self._settings = context, context.settings
        self._runs += 1
        self._hops = HopLog(context.directory / "hops.tsv")
        logs = context.directory / "pods"
        logs.mkdir(exist_ok=True)
        later, settings = self._publisher.later, context.settings
        self._fleet = Fleet(runtime, logs, settings, context.seed, context.record, later, context.collector)
        self._background = Background(self._fleet, self._changing, self._advance_unwatched, context.record)
        ingress = {int(k): v for k, v in settings.ingress_ports.items()}
        self._tracing = Tracing.of(context.collector, settings)
        self._plane.serve(hops=self._hops.path, ingress=ingress, within=settings.apply_timeout, tracing=self._tracing)

    def release(self) -> None:
        self._background.stop()
        with self._changing:
            self._plane.release()
            self._bring_about(Topology())
            self._stop(self._fleet.pods(), grace=0.0)
            self._bring_about(Topology())
            self._log.copy_to(self._context.directory / "envoy.log")
        if self._runs >= RUNS:
            self.close()

    def close(self) -> None:
        opened, self._open = self._open, False
        if opened:
            if hasattr(self, "_background"):  # else it failed before there was anything to start
                self._background.stop()
            self._publisher.stop()
            self._log.copy_to(self._context.directory / "envoy.log")
        if self._ground is not None:
            self._ground.close()
            self._ground = self._failure = None
            self._runs = 0
        if opened:
            self._plane.stop()

    def broken(self) -> str:
        if not self._open or self._ground is None:
            return ""
        try:
            if self._failure:
                raise self._failure
            self._ground.supervisor.ping()
            self._plane.admin.request("GET", "/ready")
        except ProviderError as error:
            return str(error).partition("\n")[0]
        return self._publisher.failure

    def heal(self) -> Sequence[str]:
        return [sentence for root in roots() for sentence in heal(root)]

    def examine(self, settings: Settings) -> Sequence[tuple[str, str]]:
        return examine(settings)

    def _on_event(self, event: PodEvent) -> None:
        if event.pod == ENVOY and event.kind == "exited":
            last = "".join(f"\n  | {line}" for line in event.detail["log"])
            self._failure = ProcessFailed(f"Envoy has ended: {_how(event.detail)}{last}")
        if event.pod != ENVOY and hasattr(self, "_fleet"):
            self._fleet.on_event(event)
        elif self._failure and self._open:
            self._plane.fail(self._failure)

    # ---- the desired state

    def apply(self, topology: Topology) -> None:
        with self._changing:
            self._background.rest()
            before = self._topology
            rollouts = [Rollout(self._fleet, w) for w in topology.workloads]
            if any(r.needed for r in rollouts):
                self._bring_about(staged(before, topology))
                try:
                    self._converge(rollouts, topology)
                except ProviderError:
                    self._bring_about(before)
                    failed = [p for w in before.workloads for p in Rollout(self._fleet, w).outdated]
                    self._stop([*self._strangers(before), *failed])
                    raise
            self._bring_about(topology)
            self._tell_idle_patches()
            self._stop(self._strangers(topology))

    def begin(self, topology: Topology) -> None:
        with self._changing:
            self._bring_about(topology)
            self._tell_idle_patches()
            self._background.want(topology)

    def _bring_about(self, topology: Topology) -> None:
        """Push it; what is in force stays so if it is refused."""
        with self._pushing:
            self._plane.push(topology, self._fleet.replicas())
            self._topology = topology
            self._fleet.mount(topology)

    def _tell_idle_patches(self) -> None:
        for sentence in self._plane.without_effect():
            self._context.record("note", text=sentence)

    def _converge(self, rollouts: Sequence[Rollout], topology: Topology) -> None:
        """Start and replace pods until every workload has its replicas, ready and known to the mesh."""
        within = self._settings.start_timeout
        deadline = time.monotonic() + within
        with ThreadPoolExecutor(8, thread_name_prefix="start-pod") as starters:
            while True:
                seen = self._fleet.changes
                self._advance(rollouts, topology, starters)
                if all(r.done for r in rollouts):
                    break
                if not self._fleet.wait_past(seen, deadline - time.monotonic()):
                    raise ProcessFailed(self._fleet.why_not_ready(within))

        for rollout in rollouts:
            self._await_gone(rollout.leaving)

    def _advance(self, rollouts: Sequence[Rollout], topology: Topology, starters: Executor) -> None:
        """Start and stop the pods that may be now."""
        steps = [(r, r.next_step()) for r in rollouts]
        starting = [r.workload for r, step in steps for _ in range(step.start)]
        for future in [starters.submit(self._start, w, topology) for w in starting]:
            future.result()
        self._stop([p for r, step in steps for p in r.next_to_go(step.stop)], until_gone=False)

    def _advance_unwatched(self, topology: Topology, starters: Executor) -> None:
        """As _advance(), for all that is wanted; what is not wanted any more goes."""
        self._advance([Rollout(self._fleet, w) for w in topology.workloads], topology, starters)
        self._stop([p for p in self._strangers(topology) if not p.terminating], until_gone=False)

    def _start(self, workload: Workload, topology: Topology) -> None:
        proxy = f"http://127.0.0.1:{self._plane.outbound_port(key(workload))}"
        self._fleet.start(self._supervisor, topology, workload, proxy)

    def _publish(self, pods: set[str]) -> None:
        """The mesh hears of these pods (publisher thread)."""
        with self._pushing:
            self._fleet.publish(pods)
            try:
                self._plane.push(self._topology, self._fleet.replicas())
            except ProviderError:
                if self._open:
                    raise

    def _unpublished(self, why: str) -> None:
        with contextlib.suppress(HistoryError):  # a full disk is told by whoever must write
            self._context.record("note", text=f"the mesh does not hear of its pods: {why}")

    def _strangers(self, topology: Topology) -> list[Running]:
        """Pods of workloads that are not, or no longer, asked for."""
        wanted = {key(w) for w in topology.workloads}
        return [p for p in self._fleet.pods() if key(p.workload) not in wanted]

    def _stop(self, pods: Sequence[Running], *, grace: float | None = None, until_gone: bool = True) -> None:
        """Terminate all of them at once."""
        pods = [pod for pod in pods if not pod.gone]
        for pod in pods:
            self._supervisor.stop_pod(pod.name, grace)
        if until_gone:
            self._await_gone(pods, grace)

    def _await_gone(self, pods: Sequence[Running], grace: float | None = None) -> None:
        for pod in pods:
            within = (pod.workload.grace if grace is None else grace) + GONE_AFTER_GRACE
            if not self._fleet.wait_gone(pod.name, within):
                raise ProcessFailed(f"pod {pod.name} still runs {within:g} s after it was told to end (pid {pod.pid})")

    # ---- pods

    def pods(self, workload: str = "") -> Sequence[Pod]:
        return [p.public() for p in self._fleet.pods(workload) if not p.gone]

    def scale(self, workload: str, replicas: int) -> None:
        with self._changing:
            topology = self._topology
            self._workload(workload)
            scaled = tuple(replace(w, replicas=replicas) if key(w) == workload else w for w in topology.workloads)
            self.apply(replace(topology, workloads=scaled))

    def terminate(self, *pods: str, grace: float | None = None) -> None:
        self._stop([self._fleet.pod(pod) for pod in pods], grace=grace)

    def kill(self, pod: str, signal: int) -> None:
        self._fleet.pod(pod)
        self._supervisor.kill_pod(pod, signal)

    # ---- ways in, and what is seen

    def entrance(self, source: str) -> Entrance:
        if source == names.OUTSIDE:
            return Entrance("127.0.0.1", self._outside(), proxy=True)
        found = sources.origin(self._topology, source)
        if isinstance(found, Door):
            return Entrance("127.0.0.1", self._plane.doors[found], proxy=False)
        return Entrance("127.0.0.1", self._plane.outbound_port(found.key), proxy=True)

    def rotate_certificates(self) -> int:
        with self._pushing:
            count = self._plane.rotate()
            self._plane.push(self._topology, self._fleet.replicas())
            return count

    def _outside(self) -> int:
        """The port of a client outside the mesh; most runs have none, so it comes into being when it is asked for."""
        with self._pushing:
            self._plane.let_outside_in()
            self._plane.push(self._topology, self._fleet.replicas())
            return self._plane.outbound_port(names.OUTSIDE)

    def _workload(self, name: str) -> Workload:
        return sources.workload(self._topology, name)

    def counters(self, pattern: str) -> Mapping[str, int]:
        return self._plane.admin.counters(pattern)

    def metrics(self, vocabulary: Vocabulary = "istio") -> str:
        return self._plane.meter.text(vocabulary)

    def proxy_cpu(self) -> ProxyCpu:
        """Of Envoy's busiest worker."""
        return cpu.of_workers(self.envoy_pid)

    def flush(self, request_ids: Sequence[str]) -> None:
        self._hops.flush(request_ids)

    def settle(self) -> None:
        # if Envoy is gone, so is everything that was under way in it
        with contextlib.suppress(TimeoutError, ProviderError):
            wait.until(self._idle, within=self._settings.request_timeout, what=str, every=0.01)

    def send_spans(self) -> None:
        if self._open and self._tracing:
            self._spans.sent(self._context.record)

    def _idle(self) -> bool:
        return not any(self._plane.admin.counters(BUSY).values())

    def describe(self) -> Mapping[str, Any]:
        callers = {key(w): self._plane.outbound_port(key(w)) for w in self._topology.workloads}
        return {
            "ingress": {_shown(door): self._url(door, real) for door, real in sorted(self._plane.doors.items())},
            "proxy": f"http://127.0.0.1:{self._plane.outbound_port(names.CLIENT)}",
            "proxies": {caller: f"http://127.0.0.1:{port}" for caller, port in callers.items()},
            "pods": [p.public() for p in self._fleet.pods() if not p.gone],
        }

    def _url(self, door: Door, port: int) -> str:
        """Where to point a client; the protocol is that of the first server at the door."""
        servers = [s for g in self._topology.gateways if g.address == door.address for s in g.servers]
        protocol = next((s.protocol for s in servers if s.port == door.port), "HTTP")
        return f"{SCHEMES.get(protocol, 'http')}://127.0.0.1:{port}"


SCHEMES = {"HTTPS": "https", "TLS": "tls", "TCP": "tcp", "MONGO": "tcp"}
"""By the protocol of a gateway's server; the others speak plain HTTP."""


def _shown(door: Door) -> str:
    return f"{door.address}/{door.port}" if door.address else str(door.port)


def staged(before: Topology, after: Topology) -> Topology:
    """The routes of before, with the services and workloads of both: where new pods can start without traffic. At first
    there is none that could come."""
    if not before.workloads:
        return after
    services = {s.fqdn: s for s in (*before.services, *after.services)}
    workloads = {key(w): w for w in (*before.workloads, *after.workloads)}
    return replace(
        before,
        services=tuple(services.values()),
        workloads=tuple(workloads.values()),
        default_retry=after.default_retry,
    )


def _how(detail: Mapping[str, Any]) -> str:
    """How a process ended, in words."""
    if detail.get("signal"):
        return f"signal {signals.Signals(detail['signal']).name}"
    return f"exit code {detail['code']}"
