"""`<target>-primary`: the target's pods under a label of their own, made once and written again at each promotion.

Rules: createPrimaryDeployment and Promote of fluxcd/flagger pkg/canary/deployment_controller.go, createPrimaryDaemonSet
and Promote of daemonset_controller.go, with its default flags: no label of the target itself is copied. Two deviations:
`flagger-id`, which is random there, follows from what the pods are made of; and annotations of our own
(`meshtest.dev/...`) stay at every promotion.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from meshtest.model.document import Document, Documents
from meshtest.rollouts.canary.objects import configs
from meshtest.rollouts.canary.objects.origin import Json, copied, filled, made_from, mapping, own, without_flux
from meshtest.rollouts.canary.objects.target import LABELS, Workload
from meshtest.rollouts.canary.spec import Canary
from meshtest.rollouts.canary.state import Configs

ID = "flagger-id"
"""A pod annotation that is another one each time, so that the pods are always rolled."""
OURS = "meshtest.dev/"
KEPT = ("progressDeadlineSeconds", "minReadySeconds", "revisionHistoryLimit", "strategy", "updateStrategy")


def existing(target: Workload, documents: Documents) -> Document | None:
    key = (target.document.kind, target.document.namespace, target.primary)
    return next((one for one in documents if one.key == key), None)


def made(target: Workload, documents: Documents) -> Document:
    """At the first deployment: at least one replica, annotations as the target's. A DaemonSet that is at zero is copied
    as it is."""
    annotations = without_flux(target.document.metadata.get("annotations"))
    template = _template(target, documents, mapping(target.spec.get("template")), None)
    return _primary(target, template, replicas=target.spec.get("replicas") or 1, annotations=annotations)


def promoted(canary: Canary, target: Workload, documents: Documents, old: Document) -> Document:
    """With the target's pods and, without an autoscaler, as many of them."""
    before = mapping(old.data.get("spec")).get("replicas")
    replicas = before if canary.autoscaler else target.spec.get("replicas")
    theirs = mapping(target.document.metadata.get("annotations")).items()
    annotations = {key: value for key, value in theirs if key.startswith(OURS)}
    template = _template(target, documents, target.template, old)
    return _primary(target, template, replicas=replicas, annotations=annotations)


def _primary(target: Workload, template: Json, *, replicas: Any, annotations: Json) -> Document:
    name, kind, labels = target.primary, target.document.data["kind"], {target.label: target.primary_value}
    head = {"name": name, "namespace": target.document.namespace, "labels": labels}
    spec = {
        **{key: target.spec[key] for key in KEPT if key in target.spec},
        **({} if replicas is None or target.is_daemon_set else {"replicas": replicas}),
        "selector": {"matchLabels": labels},
        "template": template,
    }
    metadata = {**head, **filled(annotations=annotations)}
    data = {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}
    return Document(copied(data), made_from(kind, name, target.document.file), target.document.lines)


def _template(target: Workload, documents: Documents, template: Json, old: Document | None) -> Json:
    metadata = mapping(template.get("metadata"))
    refs = configs.digests(target, documents)
    labels = without_flux(metadata.get("labels")) | {target.label: target.primary_value}
    annotations = without_flux(metadata.get("annotations")) | {ID: _id(template, refs, old)}
    pod = configs.renamed(mapping(template.get("spec")), dict(refs))
    return {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": pod if target.is_daemon_set else _apart(pod, target),
    }


def _id(template: Json, refs: Configs, old: Document | None) -> str:
    """Never the one before: to promote the same pods again rolls them, too."""
    before = mapping(old.data.get("spec")) if old else {}
    last = mapping(mapping(mapping(before.get("template")).get("metadata")).get("annotations")).get(ID, "")
    text = json.dumps([template, refs, last], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _apart(pod: Json, target: Workload) -> Json:
    """Rules that keep pods of the target apart keep those of the primary apart. In place: the pod is a copy already."""
    apart = mapping(mapping(pod.get("affinity")).get("podAntiAffinity"))
    preferred = own(apart.get("preferredDuringSchedulingIgnoredDuringExecution"))
    terms = [
        *own(pod.get("topologySpreadConstraints")),
        *(mapping(one.get("podAffinityTerm")) for one in preferred),
        *own(apart.get("requiredDuringSchedulingIgnoredDuringExecution")),
    ]
    for term in terms:
        if isinstance(selector := term.get("labelSelector"), dict):
            _rename(selector, target.name)
    return pod


def _rename(selector: Json, name: str) -> None:
    for expression in own(selector.get("matchExpressions")):
        values = expression.get("values")
        if expression.get("key") in LABELS and isinstance(values, list) and name in values:
            values[values.index(name)] = f"{name}-primary"
    for key, value in mapping(selector.get("matchLabels")).items():
        if key in LABELS and value == name:
            selector["matchLabels"][key] = f"{name}-primary"
