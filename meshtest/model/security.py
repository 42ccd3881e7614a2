"""Who may ask for what, who vouches for them, and how proxies are patched: security policies in neutral terms.

A policy has a scope; which policies count for a proxy is a pure question (`applying`). Not here: how a proxy enforces
them (providers), what one request is answered (manifests/istio_security/decide.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, Literal, Protocol, TypeVar

from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import NOWHERE, Source
from meshtest.model.identity import ROOT_NAMESPACE as ROOT_NAMESPACE
from meshtest.model.identity import TRUST_DOMAIN as TRUST_DOMAIN
from meshtest.model.service import Labels, Workload, within

GATEWAY_NAME_LABEL = "gateway.networking.k8s.io/gateway-name"
"""The label of pods that serve a Gateway of Gateway API (GEP-1762)."""

INGRESS_LABELS = {"app": "istio-ingressgateway", "istio": "ingressgateway"}
"""Labels of Istio's ingress gateway as its chart and istioctl install it."""

# -- whom a policy is for


@dataclass(frozen=True, kw_only=True)
class Target:
    """An object that a policy names by `targetRefs`."""

    kind: str
    name: str
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The proxies a policy is for: of its namespace (of all, in the root namespace), with these labels, or targets."""

    namespace: str
    labels: Labels = field(default_factory=dict)
    targets: tuple[Target, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A proxy as policies see it: the sidecar of a workload, or a gateway."""

    namespace: str
    labels: Labels
    gateways: frozenset[str] = frozenset()
    """Keys of the Gateway objects it serves; empty for a sidecar."""

    @property
    def is_gateway(self) -> bool:
        return bool(self.gateways)


def sidecar(workload: Workload) -> Proxy:
    return Proxy(namespace=workload.namespace, labels=workload.labels)


def covers(scope: Scope, proxy: Proxy) -> bool:
    """Istio: pilot/pkg/model/policyattachment.go. A policy with targets is for gateways only: sidecars ignore it."""
    if scope.targets:
        keys = {f"{scope.namespace}/{t.name}" for t in scope.targets if t.kind == "Gateway"}
        return not keys.isdisjoint(proxy.gateways)
    return scope.namespace in (ROOT_NAMESPACE, proxy.namespace) and within(scope.labels, proxy.labels)


# -- AuthorizationPolicy


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One attribute of a request: one of `values` if there are any, and none of `not_values`.

    Keys are Istio's attributes for `when`; what stands in `from` and `to` has one too: `source.serviceAccount`,
    `request.host`, `request.method`, `request.path`.
    """

    key: str
    values: tuple[str, ...] = ()
    not_values: tuple[str, ...] = ()
    source: Source = field(default=NOWHERE, compare=False)


Conditions = tuple[Condition, ...]
"""All of them must hold."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One of the sources, and one of the operations, and all conditions. An empty rule takes every request."""

    sources: tuple[Conditions, ...] = ()
    operations: tuple[Conditions, ...] = ()
    conditions: Conditions = ()
    source: Source = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, kw_only=True)
class Authorization:
    """An AuthorizationPolicy."""

    name: str
    scope: Scope
    action: Literal["ALLOW", "DENY", "AUDIT", "CUSTOM"] = "ALLOW"
    rules: tuple[Rule, ...] = ()
    dry_run: bool = False
    """Evaluated and counted, not enforced (annotation istio.io/dry-run)."""
    provider: str = ""
    """Of the external authorizer that action CUSTOM asks."""
    created: str = ""
    source: Source = NOWHERE


# -- RequestAuthentication


@dataclass(frozen=True, kw_only=True)
class TokenRule:
    """How tokens of one issuer are found, checked and passed on."""

    issuer: str
    audiences: tuple[str, ...] = ()
    jwks: str = ""
    """JSON Web Key Set, as text."""
    jwks_uri: str = ""
    from_headers: tuple[tuple[str, str], ...] = ()
    """(name, prefix before the token). Without any place given: `Authorization: Bearer`, then `?access_token=`."""
    from_params: tuple[str, ...] = ()
    from_cookies: tuple[str, ...] = ()
    payload_header: str = ""
    claim_headers: tuple[tuple[str, str], ...] = ()
    """(claim, header that gets its value)"""
    forward: bool = False
    """Leave the token in the request."""
    required: bool = False
    """A request without a token is refused too (presence: REQUIRED)."""
    space_delimited: tuple[str, ...] = ()
    """Claims that are lists written as one string, besides scope and permission."""
    timeout: float = 5.0
    """Seconds for fetching `jwks_uri`; the default is Istio's."""
    source: Source = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, kw_only=True)
class Authentication:
    """A RequestAuthentication."""

    name: str
    scope: Scope
    rules: tuple[TokenRule, ...] = ()
    created: str = ""
    source: Source = NOWHERE


# -- EnvoyFilter


@dataclass(frozen=True, kw_only=True)
class ListenerMatch:
    port: int | None = None
    name: str = ""
    chain: str = ""
    """Name of the filter chain."""
    sni: str = ""
    transport: str = ""
    """`tls` or `raw_buffer`"""
    application_protocols: str = ""
    destination_port: int | None = None
    filter: str = ""
    """Name of a network filter."""
    sub_filter: str = ""
    """Name of an HTTP filter in it."""


@dataclass(frozen=True, kw_only=True)
class RoutesMatch:
    name: str = ""
    port: int | None = None
    gateway: str = ""
    """`namespace/name`"""
    host: str = ""
    """Name of the virtual host."""
    domain: str = ""
    route: str = ""
    action: str = "ANY"
    """ANY, ROUTE, REDIRECT, DIRECT_RESPONSE"""


@dataclass(frozen=True, kw_only=True)
class ClusterMatch:
    name: str = ""
    port: int | None = None
    service: str = ""
    subset: str = ""


@dataclass(frozen=True, kw_only=True)
class Patch:
    """One change to what the control plane generated."""

    apply_to: str
    """HTTP_FILTER, HTTP_ROUTE, VIRTUAL_HOST, ROUTE_CONFIGURATION, CLUSTER, LISTENER, FILTER_CHAIN, NETWORK_FILTER"""
    operation: str
    """MERGE, ADD, REMOVE, REPLACE, INSERT_FIRST, INSERT_BEFORE, INSERT_AFTER, MERGE_AND_REPLACE_LIST"""
    value: Mapping[str, Any] = field(default_factory=dict)
    context: str = "ANY"
    """ANY, SIDECAR_INBOUND, SIDECAR_OUTBOUND, GATEWAY"""
    listener: ListenerMatch = ListenerMatch()
    routes: RoutesMatch = RoutesMatch()
    cluster: ClusterMatch = ClusterMatch()
    source: Source = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, kw_only=True)
class ProxyPatches:
    """An EnvoyFilter."""

    name: str
    scope: Scope
    priority: int = 0
    patches: tuple[Patch, ...] = ()
    created: str = ""
    source: Source = NOWHERE


# -- which apply


class Policy(Protocol):
    """What every kind of policy has."""

    @property
    def name(self) -> str: ...
    @property
    def scope(self) -> Scope: ...
    @property
    def created(self) -> str: ...


P = TypeVar("P", bound=Policy)


def applying(policies: Iterable[P], proxy: Proxy) -> tuple[P, ...]:
    """The policies that count for a proxy: those of the root namespace first, then the oldest first."""
    mine = [policy for policy in policies if covers(policy.scope, proxy)]
    return tuple(sorted(mine, key=lambda p: (p.scope.namespace != ROOT_NAMESPACE, p.created, p.name)))


def patches_for(all_patches: Iterable[ProxyPatches], proxy: Proxy) -> tuple[ProxyPatches, ...]:
    """EnvoyFilters for a proxy in the order they are applied: root namespace, priority, age (Istio: sorted so)."""
    mine = applying(all_patches, proxy)
    return tuple(sorted(mine, key=lambda p: (p.scope.namespace != ROOT_NAMESPACE, p.priority, p.created, p.name)))
