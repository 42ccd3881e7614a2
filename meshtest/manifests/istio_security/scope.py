"""Whom a policy is for: `selector`, `workloadSelector`, `targetRef` and `targetRefs`.

Rules: the CRDs' own (x-kubernetes-validations), and istio pkg/config/validation validateWorkloadSelector.
"""

from __future__ import annotations

from meshtest.manifests.istio_security import wording
from meshtest.manifests.view import View, shown
from meshtest.model.security import Scope, Target

GROUP = r"^$|^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
KIND = r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"
KINDS = {
    "Gateway": "gateway.networking.k8s.io",
    "GatewayClass": "gateway.networking.k8s.io",
    "Service": "",
    "ServiceEntry": "networking.istio.io",
}
"""What Istio lets a policy target, and its API group (pkg/config/validation validatePolicyTargetReference)."""


def scope(spec: View, selector: str = "selector", labels: str = "matchLabels") -> Scope:
    """`selector` and `labels` are the names of the fields."""
    keys = [key for key in (selector, "targetRef", "targetRefs") if key in spec.fields.read and key in spec]
    if len(keys) > 1:
        spec.error("bad-value", f"{shown(spec.path)}: only one of targetRefs or {selector} can be set", keys[1])
    chosen = spec.child(selector)
    return Scope(
        namespace=spec.document.namespace,
        labels=_labels(chosen, labels) if chosen is not None else {},
        targets=tuple(_targets(spec)),
    )


def _labels(selector: View, key: str) -> dict[str, str]:
    found = selector.string_map(key)
    for name, value in found.items():
        if "*" in name or "*" in value:
            text = f'wildcard is not supported in selector: "{name}={value}"'
            selector.error("bad-value", f"{selector.name(key)}: {text}", key, name)
        if not name:
            selector.error("bad-value", f"{selector.name(key)}: key must not be empty", key)
    if not found:
        text = f"{selector.name()} has no labels, so it takes every workload"
        selector.warn("no-labels", text)
    return found


def _targets(spec: View) -> list[Target]:
    views = spec.children("targetRefs")
    if "targetRef" in spec.fields.read and (single := spec.child("targetRef")) is not None:
        views.append(single)
    found = [target for view in views if (target := _target(view)) is not None]
    for view, target in zip(views, found, strict=False):
        if target.kind in ("Service", "ServiceEntry", "GatewayClass"):
            view.not_supported(
                f"a {target.kind} is served by a waypoint (ambient mode), and sidecars ignore it", "kind"
            )
    return found


def _target(view: View) -> Target | None:
    complete = wording.filled(view, "kind") & wording.filled(view, "name")
    if view.string("namespace"):
        text = f"{view.name('namespace')}: cross namespace referencing is not currently supported"
        view.error("bad-value", text, "namespace")
    group = wording.matching(view, "group", GROUP)
    if not complete:
        return None
    kind = wording.matching(view, "kind", KIND)
    if kind in KINDS and group not in (KINDS[kind], "core" if kind == "Service" else KINDS[kind]):
        view.error("bad-value", f"{view.name('group')} of a {kind} is {KINDS[kind]!r}, not {group!r}", "kind")
    elif kind not in KINDS and re_ok(kind):
        view.error("bad-value", f"{view.name('kind')} must be one of {', '.join(KINDS)}, not {kind!r}", "kind")
    return Target(kind=kind, name=view.string("name"), group=group)


def re_ok(kind: str) -> bool:
    """It looks like a kind at all; otherwise that was the complaint."""
    return kind.replace("-", "").isalnum()
