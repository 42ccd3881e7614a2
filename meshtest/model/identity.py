"""Who a workload is to others, and whether it insists on knowing who calls: SPIFFE identities, PeerAuthentication.

Source: Istio, pilot/pkg/security/authn (ComposePeerAuthentication) and pkg/spiffe. Not here: what a known identity may
do (security.py), certificates (a provider's matter).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import NOWHERE, Source
from meshtest.model.route import Door
from meshtest.model.service import DOMAIN, Labels, Workload, within

TRUST_DOMAIN = DOMAIN
ROOT_NAMESPACE = "istio-system"
"""Policies in it without a selector count for the whole mesh."""

INJECT = "sidecar.istio.io/inject"
"""Label or annotation of a pod; `false`: it has no proxy, so it neither shows nor asks for an identity."""

PeerMode = Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]
DEFAULT_MODE: PeerMode = "PERMISSIVE"
"""Istio's, where no policy says otherwise."""


@dataclass(frozen=True, kw_only=True)
class PeerAuthentication:
    """Whether connections to some workloads must carry a client certificate of the mesh."""

    name: str
    namespace: str
    selector: Labels
    """Labels of the workloads; empty: all of the namespace, or of the mesh if it is the root namespace."""
    mode: PeerMode = "UNSET"
    port_modes: tuple[tuple[int, PeerMode], ...] = ()
    """By container port; only with a selector."""
    created: str = ""
    source: Source = NOWHERE


def spiffe(namespace: str, account: str) -> str:
    """`spiffe://cluster.local/ns/default/sa/reviews`"""
    return f"spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{account}"


def identity(workload: Workload) -> str:
    return spiffe(workload.namespace, workload.service_account)


def door_identity(door: Door) -> str:
    """Of a gateway: Istio's ingress, or the service account that Istio makes for a Gateway API gateway."""
    if not door.address:
        return spiffe(ROOT_NAMESPACE, "istio-ingressgateway-service-account")
    namespace, _, name = door.address.partition("/")
    return spiffe(namespace, f"{name}-istio")


def in_mesh(workload: Workload) -> bool:
    """It has a proxy of the mesh beside it."""
    return "false" not in (workload.labels.get(INJECT), workload.annotations.get(INJECT))


def peer_mode(policies: Sequence[PeerAuthentication], workload: Workload, port: int) -> PeerMode:
    """What counts for a container port: port before workload before namespace before mesh; the oldest of each wins."""
    if not in_mesh(workload):
        return "DISABLE"
    if not policies:
        return DEFAULT_MODE
    mine = _oldest(p for p in policies if _selects(p, workload))
    asked = (
        dict(mine.port_modes).get(port, "UNSET") if mine else "UNSET",
        mine.mode if mine else "UNSET",
        _mode(p for p in policies if not p.selector and p.namespace == workload.namespace),
        _mode(p for p in policies if not p.selector and p.namespace == ROOT_NAMESPACE),
    )
    return next((mode for mode in asked if mode != "UNSET"), DEFAULT_MODE)


def _selects(policy: PeerAuthentication, workload: Workload) -> bool:
    return bool(policy.selector) and policy.namespace == workload.namespace and within(policy.selector, workload.labels)


def _mode(policies: Iterable[PeerAuthentication]) -> PeerMode:
    first = _oldest(policies)
    return first.mode if first else "UNSET"


def _oldest(policies: Iterable[PeerAuthentication]) -> PeerAuthentication | None:
    """Istio sorts by creation time, then by name."""
    return min(policies, key=lambda p: (p.created, p.name), default=None)
