"""The pod template of a Deployment or a DaemonSet: a workload but for how many pods, and how they are replaced."""

from __future__ import annotations

from typing import Any

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.kubernetes.pod import container, mounts
from meshtest.manifests.view import View, metadata
from meshtest.model.service import Labels, Workload, within


@dataclass(frozen=True)
class Template:
    """Its parts, and the `spec` that it stands in."""

    spec: View
    pod: View
    labels: Labels
    annotations: Labels
    """Its own over those of the whole object."""

    @classmethod
    def of(cls, view: View) -> Template | None:
        """None, with an error, if the object has no pod template."""
        _, outer = metadata(view)
        spec = view.child("spec")
        template = spec.child("template") if spec else None
        pod = template.child("spec") if template else None
        if spec is None or template is None or pod is None:
            view.error("missing-field", "`spec.template.spec` is required")
            return None
        labels, annotations = metadata(template)
        _check_selector(spec, labels)
        return cls(spec, pod, labels, outer | annotations)

    def workload(self, **replacing: Any) -> Workload:
        """`replacing`: replicas, max_surge and the like."""
        document, pod = self.spec.document, self.pod
        grace = pod.integer("terminationGracePeriodSeconds", least=0)
        containers = pod.children("containers")
        if not containers:
            pod.error("missing-field", f"{pod.name('containers')} needs at least one container", "containers")
        fields = {
            "name": document.name,
            "namespace": document.namespace,
            "labels": self.labels,
            "annotations": self.annotations,
            "containers": tuple(container(c) for c in containers),
            "mounts": tuple(mounts(pod, document.namespace)),
            # `serviceAccount` is the older name of the field
            "service_account": pod.string("serviceAccountName") or pod.string("serviceAccount") or "default",
            "locality": locality(self.labels),
            "grace": 30 if grace is None else grace,
            "source": document.where(),
        }
        return Workload(**{**fields, **replacing})


def locality(labels: Labels) -> str:
    """`region/zone/subzone`. Pods run on any node here; the label stands in for the node's (Istio's own)."""
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
