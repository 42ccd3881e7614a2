"""What each provider makes of the weights it is told: not all of them can mirror, match or keep a session.

Rules: fluxcd/flagger pkg/router/{istio,gateway_api,smi,nop}.go. A provider that Flagger does not know is Istio's.
"""

from __future__ import annotations

from dataclasses import replace

from meshtest.rollouts.canary.spec import Canary, SessionAffinity
from meshtest.rollouts.canary.state import ALL_CANARY, ALL_PRIMARY, Routes, Status

GATEWAY_API = "gatewayapi"
KUBERNETES = "kubernetes"
LINKERD = "linkerd"
ISTIO = "istio"


def family(provider: str) -> str:
    """`gatewayapi:v1` -> `gatewayapi`."""
    return provider.partition(":")[0]


def moves_traffic(canary: Canary) -> bool:
    """Plain Kubernetes has no weights: the apex Service always selects the primary."""
    return canary.provider != KUBERNETES


def written(canary: Canary, routes: Routes) -> Routes:
    """The routes as the provider's objects can say them."""
    return replace(routes, mirrored=routes.mirrored and mirrors(canary))


def mirrors(canary: Canary) -> bool:
    """Whether a mirror that is asked for comes to be."""
    provider = family(canary.provider)
    if provider == GATEWAY_API:
        return canary.analysis.iterations > 0
    if provider in (LINKERD, KUBERNETES):
        return False
    return not canary.service.is_tcp and not canary.analysis.match


def sees_mirror(canary: Canary) -> bool:
    """Whether Flagger surely finds its own mirror again. With cookies it stands in a rule more than Flagger expects:
    on Istio it looks at another one, elsewhere it takes that rule out again before it looks."""
    return canary.analysis.affinity is None


def reconciled(canary: Canary, routes: Routes, status: Status) -> Routes:
    """What is left of the routes when Flagger has put them in order at the start of a tick."""
    analysis = canary.analysis
    if analysis.affinity is None or not keeps_sessions(canary):
        return routes
    if family(canary.provider) == GATEWAY_API and analysis.match:
        return ALL_PRIMARY
    if not routes.mirrored or status.previous_cookie or _ignores_all_rules(canary, analysis.affinity):
        return routes
    return replace(routes, mirrored=False)


def _ignores_all_rules(canary: Canary, affinity: SessionAffinity) -> bool:
    """On Istio a cookie without a name is found in every rule with a condition, and such rules are left alone."""
    return family(canary.provider) == ISTIO and not affinity.primary_cookie and bool(canary.service.data.get("match"))


def read(canary: Canary, routes: Routes, status: Status) -> Routes:
    """The routes as Flagger reads them back."""
    if not moves_traffic(canary):
        return ALL_CANARY if status.iterations > 0 else ALL_PRIMARY
    hidden = family(canary.provider) == ISTIO and canary.analysis.affinity is not None
    return replace(routes, mirrored=routes.mirrored and not hidden)


def refusal(canary: Canary) -> str:
    """Why the provider's objects cannot be made at all; empty: they can."""
    service = canary.service
    if family(canary.provider) == GATEWAY_API and not service.gateway_refs:
        return "GatewayRefs must be specified when using Gateway API as a provider."
    if family(canary.provider) == ISTIO and service.delegation and (service.hosts or service.gateways):
        named = f"{service.name}.{canary.namespace}"
        return (
            f"reconcileVirtualService failed: VirtualService {named} cannot have hosts and gateways "
            "when delegation enabled"
        )
    return ""


_ABSENT = {
    GATEWAY_API: 'HTTPRoute {full} get error: httproutes.gateway.networking.k8s.io "{name}" not found',
    LINKERD: 'TrafficSplit {full} get query error trafficsplits.split.smi-spec.io "{name}" not found',
    ISTIO: 'VirtualService {full} get query error virtualservices.networking.istio.io "{name}" not found',
}


_ROUTES = ("match", "headers", "retries", "timeout", "rewrite", "corsPolicy")
_LOST = {
    ISTIO: ("backendTimeout", "mirror"),
    GATEWAY_API: ("retries", "trafficPolicy"),
    f"{GATEWAY_API}:v1beta1": ("retries", "trafficPolicy", "timeout", "backendTimeout", "corsPolicy"),
    LINKERD: (*_ROUTES, "backendTimeout", "mirror", "trafficPolicy"),
    KUBERNETES: (*_ROUTES, "backendTimeout", "mirror", "trafficPolicy"),
}


def lost(canary: Canary) -> tuple[str, ...]:
    """Fields of `spec.service` that are given, and do not get into the provider's objects."""
    found = _LOST.get(canary.provider) or _LOST.get(family(canary.provider), _LOST[ISTIO])
    if canary.service.is_tcp and family(canary.provider) == ISTIO:
        found = (*found, *_ROUTES[1:])
    return tuple(key for key in found if canary.service.data.get(key))


def absent(canary: Canary) -> str:
    """What a weight leads to while there is no route."""
    name = canary.service.name
    return _ABSENT.get(family(canary.provider), _ABSENT[ISTIO]).format(full=f"{name}.{canary.namespace}", name=name)


def keeps_sessions(canary: Canary) -> bool:
    """Session affinity is written by Istio and Gateway API; Istio's A/B rules replace it, as do TCP routes."""
    if canary.analysis.affinity is None:
        return False
    provider = family(canary.provider)
    return provider == GATEWAY_API or (provider == ISTIO and not canary.service.is_tcp)
