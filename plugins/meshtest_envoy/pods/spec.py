"""What the runner asks of the supervisor, and what it hears back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, field
from pathlib import Path
from typing import Any, Literal

from meshtest.lib.dataclass import dataclass
from meshtest.model.service import Handler, Probe

Kind = Literal["started", "ready", "unready", "terminating", "exited", "restarted"]


@dataclass(frozen=True, kw_only=True)
class PodTls:
    """PEM files of a stand-in that speaks TLS; they may be replaced while it runs."""

    certificate: str
    """Path of the chain, the leaf first."""
    key: str
    client_ca: str = ""
    """Clients are asked for a certificate, which must be signed by one of these if they have one."""


@dataclass(frozen=True, kw_only=True)
class PodSpec:
    """One pod, as it is to run. Its name is unique among the pods that run; times are seconds."""

    name: str
    namespace: str = "default"
    workload: str
    service: str
    """What the stand-in reports as its service: the app name."""
    version: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    """`meshtest.dev/...` of them say how the stand-in behaves: table in behaviour.py."""
    argv: tuple[str, ...] | None = None
    """The command that runs in place of the image, with placeholders (environment.py); None is the stand-in."""
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[tuple[int, str], ...] = ()
    """(container port, name or "")."""
    protocols: tuple[tuple[int, str], ...] = ()
    """(container port, protocol of the service port that leads to it, as model.service.ServicePort names it)."""
    tls: PodTls | None = None
    readiness: Probe | None = None
    liveness: Probe | None = None
    startup: Probe | None = None
    pre_stop: Handler | None = None
    grace: float = 30.0
    log: Path
    """File that gets the output of the container, through all its restarts."""
    http_proxy: str = ""
    """URL of the pod's own proxy; "" is none."""
    calls: tuple[str, ...] = ()
    """URLs the stand-in calls for each request, unless its annotation says others."""
    seed: int = 0
    collector: str = ""
    """`http://127.0.0.1:PORT` that takes spans by OTLP; "" is none."""

    def to_wire(self) -> dict[str, Any]:
        """As JSON can carry it; order.from_wire reads it."""
        return {**asdict(self), "log": str(self.log.absolute())}


@dataclass(frozen=True)
class PodStarted:
    """A pod whose process runs; whether it is ready, an event tells."""

    pid: int
    ports: Mapping[int, int]
    """Container port to the real port on 127.0.0.1; the events `ready` and `restarted` tell if it ever changes."""


@dataclass(frozen=True)
class PodEvent:
    """Something that happened to a pod, or to a helper process such as Envoy.

    started      pid, ports
    ready        pid, ports                    the endpoint can be used
    unready      pid, reason, why              ... no longer
    terminating  pid, grace                    told before preStop and SIGTERM: take the endpoint out now
    exited       pid, code | signal, reason, why, final, log (last lines, unless code 0), restart_in (unless final)
    restarted    pid, ports, count             after exited with final=False

    Reasons of `exited`: Completed (code 0), Error, Killed (by the kubelet: liveness, or the grace period was over),
    OOMKilled (a stand-in that leaks), CrashLoopBackOff, AddressInUse (restarted on other ports), InternalError.
    Helpers tell `exited` only.
    """

    at_ns: int
    """time.monotonic_ns()"""
    pod: str
    kind: Kind
    detail: Mapping[str, Any] = field(default_factory=dict)
