"""Services and the workloads behind them, as Kubernetes means them.

Not here: how requests find a service (route.py), what runs in place of an image (a provider's matter).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import field, replace
from functools import cached_property
from typing import Literal

from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import NOWHERE, Source

DOMAIN = "cluster.local"
"""The cluster domain; Istio's and Kubernetes' default."""

VERSION_LABELS = ("version", "app.kubernetes.io/version")
"""The labels that tell the versions of a service apart, Istio's first."""

Labels = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ServicePort:
    """One port of a Service. `target` is a container port or its name; `protocol` is http, http2, grpc, tls or tcp."""

    number: int
    name: str = ""
    target: int | str
    protocol: str = "http"


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An endpoint that is no pod of a Deployment: of a ServiceEntry, or a WorkloadEntry."""

    address: str
    """An IP address, a DNS name, or `unix:///path`."""
    ports: tuple[tuple[str, int], ...] = ()
    """Port names of the service to real ports; a name that is missing keeps the service's own number."""
    labels: Labels = field(default_factory=dict)
    locality: str = ""
    weight: int = 1
    service_account: str = ""
    """"": it takes no part in the mesh, and speaks no mutual TLS."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A Kubernetes Service, or one host of an Istio ServiceEntry."""

    name: str
    namespace: str = "default"
    ports: tuple[ServicePort, ...]
    selector: Labels
    headless: bool = False
    host: str = ""
    """The host of a ServiceEntry; "" for a Kubernetes Service."""
    addresses: tuple[str, ...] = ()
    """Virtual IPs, or CIDRs."""
    external: bool = False
    """Outside the mesh (location MESH_EXTERNAL): no mutual TLS."""
    resolution: Literal["PODS", "STATIC", "DNS", "DNS_ROUND_ROBIN", "NONE"] = "PODS"
    endpoints: tuple[Endpoint, ...] = ()
    visible_to: tuple[str, ...] = ()
    """Namespaces whose callers see it (exportTo); empty: all of them."""
    subject_alt_names: tuple[str, ...] = ()
    """Identities its servers may have, where mutual TLS checks them and no policy says otherwise."""
    source: Source = NOWHERE

    @property
    def fqdn(self) -> str:
        """`reviews.default.svc.cluster.local`"""
        return self.host or f"{self.name}.{self.namespace}.svc.{DOMAIN}"

    def selects(self, workload: Workload) -> bool:
        """A Service without a selector selects nothing (Kubernetes: its endpoints are made by hand)."""
        return self.namespace == workload.namespace and bool(self.selector) and within(self.selector, workload.labels)


def within(wanted: Labels, labels: Labels) -> bool:
    """Every wanted label is there with that value."""
    return all(labels.get(key) == value for key, value in wanted.items())


@dataclass(frozen=True, kw_only=True)
class Handler:
    """What a probe or a lifecycle hook does: HTTP GET, TCP connect, a gRPC health check (probes only), a command, or
    (hooks only) a sleep in seconds."""

    kind: Literal["http", "tcp", "grpc", "exec", "sleep"]
    path: str = "/"
    """Of gRPC: the service that is asked for; "" is the whole server."""
    port: int | str = 0
    headers: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A container probe; seconds and defaults are those of Kubernetes (core/v1 Probe)."""

    handler: Handler
    initial_delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3


@dataclass(frozen=True, kw_only=True)
class ContainerPort:
    number: int
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Container:
    """The parts of a container that matter to a rollout."""

    name: str
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    readiness: Probe | None = None
    liveness: Probe | None = None
    startup: Probe | None = None
    pre_stop: Handler | None = None


@dataclass(frozen=True, kw_only=True)
class Workload:
    """A Deployment or DaemonSet: one version of a service, as pods of one template."""

    name: str
    namespace: str = "default"
    labels: Labels
    """Labels of the pod template."""
    annotations: Labels = field(default_factory=dict)
    """Annotations of the pod template over those of the whole object."""
    replicas: int = 1
    containers: tuple[Container, ...]
    service_account: str = "default"
    locality: str = ""
    """`region/zone/subzone`"""
    mounts: tuple[str, ...] = ()
    """Keys of the credentials (Topology.credentials) that the pod mounts as volumes, in their order."""
    grace: float = 30.0
    """terminationGracePeriodSeconds"""
    max_surge: int | str = "25%"
    max_unavailable: int | str = "25%"
    recreate: bool = False
    """Strategy Recreate: all old pods are gone before the first new one starts."""
    source: Source = NOWHERE

    @cached_property
    def template(self) -> Workload:
        """What makes two of its pods alike: everything but their number and how they are replaced."""
        return replace(self, replicas=0, max_surge=0, max_unavailable=0, recreate=False, source=NOWHERE)

    @cached_property
    def template_hash(self) -> str:
        """As the label pod-template-hash: pods with the same one are of one revision of one Deployment."""
        return f"{zlib.crc32(repr(self.template).encode()):08x}"

    @property
    def version(self) -> str:
        """The `version` label (Istio's), else `app.kubernetes.io/version`, else the workload's name."""
        return self.labels.get("version") or self.labels.get("app.kubernetes.io/version") or self.name

    @property
    def app(self) -> str:
        """The `app` label (Istio's), else `app.kubernetes.io/name`, else the workload's name."""
        return self.labels.get("app") or self.labels.get("app.kubernetes.io/name") or self.name
