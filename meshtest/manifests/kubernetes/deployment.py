"""Deployment: one version of a service, as pods of one template."""

from __future__ import annotations

from meshtest.manifests.kubernetes.fields import DEPLOYMENT
from meshtest.manifests.kubernetes.pod import container, mounts
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document
from meshtest.model.service import Labels, Workload, within

NONE_OF = (0, "0%")


@per_document
def deployment(document: Document, notes: list[Diagnostic]) -> Workload | None:
    """None if the Deployment has no pod template."""
    view = View.of(document, DEPLOYMENT, notes)
    _, own = metadata(view)
    spec = view.child("spec")
    template = spec.child("template") if spec else None
    pod = template.child("spec") if template else None
    if spec is None or template is None or pod is None:
        view.error("missing-field", "`spec.template.spec` is required")
        return None
    labels, annotations = metadata(template)
    _check_selector(spec, labels)
    surge, unavailable, recreate = _strategy(spec)
    replicas = spec.integer("replicas", least=0)
    grace = pod.integer("terminationGracePeriodSeconds", least=0)
    containers = pod.children("containers")
    if not containers:
        pod.error("missing-field", f"{pod.name('containers')} needs at least one container", "containers")
    return Workload(
        name=document.name,
        namespace=document.namespace,
        labels=labels,
        annotations=own | annotations,
        replicas=1 if replicas is None else replicas,
        containers=tuple(container(c) for c in containers),
        mounts=tuple(mounts(pod, document.namespace)),
        # `serviceAccount` is the older name of the field
        service_account=pod.string("serviceAccountName") or pod.string("serviceAccount") or "default",
        locality=locality(labels),
        grace=30 if grace is None else grace,
        max_surge=surge,
        max_unavailable=unavailable,
        recreate=recreate,
        source=document.where(),
    )


def locality(labels: Labels) -> str:
    """`region/zone/subzone`. A Deployment's pods run on any node; the label stands in for the node's (Istio's own)."""
    # in the label's value `.` is `/`: a label may not have the latter
    return labels.get("istio-locality", "").replace(".", "/")


def _check_selector(spec: View, labels: Labels) -> None:
    """The API server refuses a selector that does not match the template's labels."""
    if not spec.require("selector"):
        return
    selector = spec.child("selector")
    wanted = selector.string_map("matchLabels") if selector else {}
    if not within(wanted, labels):
        missing = ", ".join(f"{k}={v}" for k, v in wanted.items() if labels.get(k) != v)
        where = f"{spec.name('selector')} does not match {spec.name('template', 'metadata', 'labels')}"
        spec.error("selector-mismatch", f"{where}: the pods lack {missing}", "selector")


def _strategy(spec: View) -> tuple[int | str, int | str, bool]:
    """(maxSurge, maxUnavailable, Recreate)"""
    strategy = spec.child("strategy")
    if strategy is None:
        return "25%", "25%", False
    if strategy.choice("type", ("RollingUpdate", "Recreate"), "RollingUpdate") == "Recreate":
        return 0, "100%", True
    rolling = strategy.child("rollingUpdate")
    if rolling is None:
        return "25%", "25%", False
    surge, unavailable = (rolling.int_or_percent(key, "25%") for key in ("maxSurge", "maxUnavailable"))
    if surge in NONE_OF and unavailable in NONE_OF:
        rolling.error("bad-value", f"{rolling.name()}: maxSurge and maxUnavailable may not both be 0")
    return surge, unavailable, False
