"""What a Canary asks for, with Flagger's defaults filled in. Not here: reading it from YAML (reading.py).

Defaults: fluxcd/flagger pkg/apis/flagger/v1beta1/canary.go, and maxWeight() of pkg/controller/scheduler.go.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import Any

from meshtest.lib.dataclass import dataclass

TOTAL = 100
"""The weights of primary and canary together."""


class HookType(enum.StrEnum):
    """When a webhook is called."""

    CONFIRM_ROLLOUT = "confirm-rollout"
    PRE_ROLLOUT = "pre-rollout"
    ROLLOUT = "rollout"
    CONFIRM_TRAFFIC_INCREASE = "confirm-traffic-increase"
    CONFIRM_PROMOTION = "confirm-promotion"
    POST_ROLLOUT = "post-rollout"
    ROLLBACK = "rollback"
    EVENT = "event"


class Strategy(enum.StrEnum):
    """How the new version is shown to users."""

    CANARY = "canary"
    BLUE_GREEN = "blue-green"
    AB_TESTING = "ab-testing"


class Severity(enum.StrEnum):
    """Of an alert."""

    INFO = "info"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Hook:
    """One webhook."""

    name: str
    url: str = ""
    type: HookType = HookType.ROLLOUT
    timeout: float = 10.0
    """Seconds of each attempt."""
    retries: int = 0
    mute: bool = False
    """No alert while this gate waits for approval."""
    insecure: bool = False
    """The certificate of the endpoint is not verified (`disableTLS`)."""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """The accepted values of a metric, both ends included."""

    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An object by name; no namespace: that of the Canary."""

    name: str
    namespace: str = ""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One check of the analysis. `request-success-rate` (per cent) and `request-duration` (ms) are built in."""

    name: str
    interval: str = "1m"
    """The window of the query, as PromQL takes it."""
    bounds: Bounds | None = None
    threshold: float = 0.0
    """Deprecated: the least success rate, or the most of anything else."""
    query: str = ""
    template: Reference | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_success_rate(self) -> bool:
        return self.name == "request-success-rate"

    @property
    def is_duration(self) -> bool:
        return self.name == "request-duration"

    @property
    def is_builtin(self) -> bool:
        return self.is_success_rate or self.is_duration


@dataclass(frozen=True, kw_only=True)
class AlertRule:
    """Who is told of what."""

    name: str
    provider: Reference
    severity: Severity | None = None

    def takes(self, severity: Severity) -> bool:
        """An absent severity takes nothing, though the documentation calls it `info`."""
        if self.severity is Severity.INFO or severity is self.severity:
            return True
        return severity is Severity.ERROR and self.severity is Severity.WARN


@dataclass(frozen=True, kw_only=True)
class SessionAffinity:
    """Cookies that keep a user on the version that served him first."""

    cookie: str
    primary_cookie: str = ""
    max_age: int = 86_400
    """Seconds."""
    attributes: tuple[str, ...] = ()
    """The rest of Set-Cookie, in order: `Domain=shop.example`, `HttpOnly`."""


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """How the new version is judged, and how its traffic grows."""

    interval: float = 60.0
    """Seconds between ticks."""
    threshold: int = 1
    """Failed checks until it is rolled back."""
    iterations: int = 0
    step_weight: int = 0
    step_weights: tuple[int, ...] = ()
    promotion_step: int = 0
    """0: all traffic goes back to the primary at once."""
    max_weight: int = 0
    """As written; 0 is unset. See `target_weight`."""
    mirror: bool = False
    mirror_weight: int = 0
    match: tuple[Mapping[str, Any], ...] = ()
    primary_ready: int = 100
    """Per cent of the updated replicas that must be available."""
    canary_ready: int = 100
    metrics: tuple[Metric, ...] = ()
    hooks: tuple[Hook, ...] = ()
    alerts: tuple[AlertRule, ...] = ()
    affinity: SessionAffinity | None = None

    @cached_property
    def target_weight(self) -> int:
        """The weight from which on it is promoted; not the most that it gets."""
        if self.step_weights:
            return min(TOTAL, self.step_weights[-1])
        return self.max_weight if self.max_weight > 0 else TOTAL

    @property
    def strategy(self) -> Strategy:
        if self.iterations > 0:
            return Strategy.AB_TESTING if self.match else Strategy.BLUE_GREEN
        return Strategy.CANARY

    def of(self, kind: HookType) -> tuple[Hook, ...]:
        """The hooks of one type, in the order they are called."""
        return tuple(hook for hook in self.hooks if hook.type is kind)


@dataclass(frozen=True, kw_only=True)
class Service:
    """The Services and routes that Flagger makes. The parts that are Istio's own words are kept as written."""

    name: str
    port: int = 80
    port_name: str = "http"
    target_port: int | str | None = None
    app_protocol: str = ""
    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    gateway_refs: tuple[Mapping[str, Any], ...] = ()
    delegation: bool = False
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """`spec.service` as written: match, retries, timeout, headers, rewrite, corsPolicy, trafficPolicy..."""

    @property
    def primary(self) -> str:
        return f"{self.name}-primary"

    @property
    def canary(self) -> str:
        return f"{self.name}-canary"

    @property
    def is_tcp(self) -> bool:
        return self.app_protocol.lower() == "tcp"


@dataclass(frozen=True, kw_only=True)
class Autoscaler:
    """What owns the number of replicas of the target, and how that of the primary differs from it."""

    kind: str
    """HorizontalPodAutoscaler or ScaledObject (KEDA)."""
    name: str
    least: int | None = None
    """Replicas of the primary; None: as those of the target."""
    most: int | None = None
    queries: Mapping[str, str] | None = None
    """Of the primary, by the name of their trigger; None: those of the target, with its name replaced."""


@dataclass(frozen=True, kw_only=True)
class Canary:
    """One Canary object."""

    name: str
    namespace: str = "default"
    target: str
    """The name of the Deployment, DaemonSet or Service that holds the new version."""
    kind: str = "Deployment"
    provider: str = "istio"
    service: Service
    analysis: Analysis = field(default_factory=Analysis)
    deadline: int = 600
    """Seconds for a version to become available."""
    skip: bool = False
    """Promote without analysis."""
    suspend: bool = False
    revert: bool = False
    """Undo it all when the Canary is deleted."""
    autoscaler: Autoscaler | None = None
    metrics_server: str = ""

    @property
    def full_name(self) -> str:
        """As events print it: `podinfo.test`."""
        return f"{self.name}.{self.namespace}"

    @property
    def workload(self) -> str:
        return f"{self.target}.{self.namespace}"

    @property
    def primary(self) -> str:
        return f"{self.target}-primary.{self.namespace}"

    @property
    def runs_pods(self) -> bool:
        """A target of kind Service is not scaled, and is always ready."""
        return self.kind != "Service"
