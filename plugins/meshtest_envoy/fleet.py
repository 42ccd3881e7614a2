"""The pods: which should run, which do, and what the proxies have been told about them.

What a pod *is* (ready or not) and what the mesh *knows* of it differ by the endpoint-propagation lag, as in a cluster:
`ready` follows the process at once, `published` follows `ready` after the lag. Not here: processes (pods/), Envoy
(plane.py), when to replace pods (rolling.py).
"""

from __future__ import annotations

import itertools
import shlex
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from pathlib import Path

from meshtest.errors import ProcessFailed
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import plural
from meshtest.model.service import Container, Workload
from meshtest.model.topology import Topology, key
from meshtest.settings import Settings
from meshtest.spi.provider import Pod
from meshtest.spi.telemetry import Collector
from meshtest_envoy.mounts import Mounts
from meshtest_envoy.pods.client import Supervisor
from meshtest_envoy.pods.spec import PodEvent, PodSpec
from meshtest_envoy.xds import names
from meshtest_envoy.xds.clusters import Replica

COMMAND = "meshtest.dev/command"
"""Annotation: what to run in place of the image."""

KINDS = {
    "ready": "pod.ready",
    "unready": "pod.unready",
    "restarted": "pod.restart",
    "terminating": "pod.terminate",
    "exited": "pod.exit",
}
"""The supervisor's events that the history keeps; `pod.start` is recorded by the one who starts it."""


@dataclass
class Running:
    """One pod that was started and has not exited."""

    name: str
    workload: Workload
    service: str
    spec: PodSpec
    sockets: dict[int, str]
    ports: dict[int, int] = field(default_factory=dict)
    pid: int = 0
    ready: bool = False
    published: bool = False
    terminating: bool = False
    gone: bool = False
    """Its process has ended; kept until the mesh has heard of it."""
    trouble: str = ""
    """The last thing that went wrong, with log lines."""

    def public(self) -> Pod:
        return Pod(
            name=self.name,
            workload=key(self.workload),
            version=self.workload.version,
            pid=self.pid,
            ready=self.ready,
            ports=dict(self.ports),
            stand_in=self.spec.argv is None,
            template=self.workload.template_hash,
            terminating=self.terminating,
            known=self.published == self.ready,
        )

    def replica(self) -> Replica:
        return Replica(
            pod=self.name,
            workload=self.workload,
            service=self.service,
            ready=self.published,
            sockets=self.sockets,
            ports=self.ports,
        )


class Fleet:
    """Thread-safe. `changed(pod, lag)` is called, without the lock, when the mesh should hear of a pod."""

    def __init__(
        self,
        runtime: Path,
        logs: Path,
        settings: Settings,
        seed: int,
        record: Callable[..., None],
        changed: Callable[[str, float], None],
        collector: Collector | None = None,
    ) -> None:
        self._collector = collector.http if collector else ""
        self._runtime, self._logs, self._settings, self._seed = runtime, logs, settings, seed
        self._record, self._notify = record, changed
        self._condition = threading.Condition()
        self._changes = 0
        self._pods: dict[str, Running] = {}
        self._numbers: dict[str, itertools.count[int]] = {}
        self._sockets = itertools.count()
        self._mounts = Mounts(runtime / "mounts")
        (runtime / "in").mkdir(mode=0o700, exist_ok=True)

    # ---- questions

    def pods(self, workload: str = "") -> list[Running]:
        with self._condition:
            return [p for p in self._pods.values() if not workload or key(p.workload) == workload]

    def pod(self, name: str) -> Running:
        with self._condition:
            if name not in self._pods:
                raise ProcessFailed(f"no pod {name!r} is running; there are: {', '.join(sorted(self._pods)) or 'none'}")
            return self._pods[name]

    def replicas(self) -> list[Replica]:
        """Pods as the translator sees them; one without ports has no process, but the mesh may still believe in it."""
        with self._condition:
            return [p.replica() for p in self._pods.values() if p.ports or p.published]

    # ---- changes

    def mount(self, topology: Topology) -> None:
        """Pods see the credentials that they mount as they are now."""
        with self._condition:
            self._mounts.refresh(topology)

    def start(self, supervisor: Supervisor, topology: Topology, workload: Workload, http_proxy: str) -> Running:
        """Start one replica; returns when its process is up, not when it is ready."""
        self.mount(topology)
        pod = self._prepare(topology, workload, http_proxy)
        with self._condition:
            self._pods[pod.name] = pod
        try:
            started = supervisor.start_pod(pod.spec)
        except BaseException:
            with self._condition:
                self._pods.pop(pod.name, None)
            raise
        with self._condition:
            pod.pid, pod.ports = started.pid, dict(started.ports)
            self._changed()
        who = {"workload": key(workload), "service": pod.service, "version": workload.version}
        who["template"] = workload.template_hash
        self._record("pod.start", pod.name, **who, pid=pod.pid, stand_in=pod.spec.argv is None)
        return pod

    def _prepare(self, topology: Topology, workload: Workload, http_proxy: str) -> Running:
        number = next(self._numbers.setdefault(key(workload), itertools.count()))
        prefix = "" if workload.namespace == "default" else f"{workload.namespace}."
        name = f"{prefix}{workload.name}-{number}"
        service = names.app_service(topology, workload)
        ports = names.target_ports(topology, workload)
        container = workload.containers[0]
        spec = PodSpec(
            name=name,
            namespace=workload.namespace,
            workload=workload.name,
            service=service,
            version=workload.version,
            labels=dict(workload.labels),
            annotations=dict(workload.annotations),
            argv=command(workload, container, self._settings.images),
            env=dict(container.env),
            ports=tuple(ports),
            protocols=tuple(names.port_protocols(topology, workload).items()),
            tls=self._mounts.tls_of(workload),
            readiness=container.readiness,
            liveness=container.liveness,
            startup=container.startup,
            pre_stop=container.pre_stop,
            grace=workload.grace,
            log=self._logs / f"{name}.log",
            http_proxy=http_proxy,
            calls=self._settings.calls.get(workload.name) or self._settings.calls.get(workload.app) or (),
            seed=self._seed,
            collector=self._collector,
        )
        sockets = {number: str(self._runtime / "in" / f"{next(self._sockets)}") for number, _ in ports}
        return Running(name=name, workload=workload, service=service, spec=spec, sockets=sockets)

    def on_event(self, event: PodEvent) -> None:
        """What the supervisor saw; called from its reader thread."""
        with self._condition:
            pod = self._pods.get(event.pod)
            if pod is None:
                return
            self._absorb(pod, event)
            self._changed()
        if event.kind in KINDS:
            self._record(KINDS[event.kind], event.pod, **event.detail)
        self._notify(event.pod, self._settings.propagation)

    def _absorb(self, pod: Running, event: PodEvent) -> None:
        """Call with the lock held."""
        detail = event.detail
        if "why" in detail:
            pod.trouble = detail["why"]
        match event.kind:
            case "ready":
                # it may come before the reply that tells where the process listens
                pod.ready, pod.ports = True, dict(detail["ports"])
            case "unready":
                pod.ready = False
            case "terminating":
                pod.ready, pod.terminating = False, True
            case "restarted":
                pod.pid = detail.get("pid", pod.pid)
                pod.ports = dict(detail["ports"])
            case "exited" if not detail["final"]:
                how = f"signal {detail['signal']}" if detail["signal"] else f"exit code {detail['code']}"
                pod.trouble = detail["why"] or f"it ended with {how}"
                # the container restarts in its pod: the sidecar stays, and finds nobody home
                pod.ready = False
            case "exited":
                # its sidecar goes with it: nothing answers on its socket any more, whatever the mesh still believes
                pod.ready, pod.gone, pod.ports = False, True, {}

    def publish(self, due: Iterable[str]) -> None:
        """Let the mesh know what pods are: readiness becomes published readiness."""
        with self._condition:
            for pod in [self._pods[n] for n in due if n in self._pods]:
                pod.published = pod.ready
                if pod.gone:
                    del self._pods[pod.name]
            self._changed()

    def _changed(self) -> None:
        """Call with the lock held."""
        self._changes += 1
        self._condition.notify_all()

    # ---- waiting

    @property
    def changes(self) -> int:
        """Grows with every change; see wait_past."""
        with self._condition:
            return self._changes

    def wait_past(self, seen: int, within: float) -> bool:
        """Return when something has changed since `changes` was `seen`; False if nothing did."""
        with self._condition:
            return self._condition.wait_for(lambda: self._changes > seen, max(0.0, within))

    def wake(self) -> None:
        """End every wait_past(): what is wanted has changed."""
        with self._condition:
            self._changed()

    def wait_gone(self, pod: str, within: float) -> bool:
        with self._condition:
            return self._condition.wait_for(lambda: pod not in self._pods or self._pods[pod].gone, within)

    def why_not_ready(self, within: float) -> str:
        """The sentence for a person, with the last lines of the logs of pods that are not ready."""
        pods = [p for p in self.pods() if not p.ready and not p.gone]
        lines = [f"{plural(len(pods), 'pod')} not ready after {within:g} s:"]
        for pod in pods:
            lines.append(
                f"  {pod.name} ({pod.workload.source}): {pod.trouble or 'its readiness probe has not succeeded'}"
            )
            lines += [f"    | {line}" for line in tail(pod.spec.log, 8)]
        return "\n".join(lines)


def command(workload: Workload, container: Container, images: Mapping[str, str]) -> tuple[str, ...] | None:
    """What runs in place of the image: the annotation, else the setting for the image; None is the stand-in."""
    bare = container.image.partition("@")[0]
    untagged = bare.rpartition(":")[0] if ":" in bare.rpartition("/")[2] else bare
    text = workload.annotations.get(COMMAND) or images.get(container.image) or images.get(bare) or images.get(untagged)
    return tuple(shlex.split(text)) if text else None


def tail(path: Path, lines: int) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return []
