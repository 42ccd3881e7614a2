"""What the target is at present: a revision that changes when its pods or their configuration do, and a word for it.

As in hasSpecChanged of fluxcd/flagger pkg/canary/spec.go, the pod template counts, not the Deployment around it: not
replicas, nor strategy.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from meshtest.model.document import Documents
from meshtest.model.service import VERSION_LABELS
from meshtest.rollouts.canary.objects import configs, scalers
from meshtest.rollouts.canary.objects.origin import Json, mapping
from meshtest.rollouts.canary.objects.target import Workload, found, workload
from meshtest.rollouts.canary.observations import Target
from meshtest.rollouts.canary.spec import Canary


def target_of(canary: Canary, documents: Documents) -> Target:
    """The Target of the next tick."""
    if not canary.runs_pods:
        return Target(revision=_hash(found(canary, documents).data.get("spec")))
    target = workload(canary, documents)
    return Target(
        revision=_hash(target.template),
        configs=configs.digests(target, documents),
        least_replicas=scalers.least_replicas(canary, documents),
    )


def label_of(canary: Canary, documents: Documents) -> str:
    """For people: the version label, else the tag of the first image, else the revision."""
    revision = target_of(canary, documents).revision
    if not canary.runs_pods:
        selector = mapping(mapping(found(canary, documents).data.get("spec")).get("selector"))
        return _version(selector) or revision
    target = workload(canary, documents)
    labels = mapping(mapping(target.template.get("metadata")).get("labels"))
    return _version(labels) or _tag(target) or revision


def _version(labels: Json) -> str:
    return next((str(labels[name]) for name in VERSION_LABELS if labels.get(name)), "")


def _tag(target: Workload) -> str:
    """`registry:5000/web:v2@sha256:...` -> `v2`."""
    image = str(next((one.get("image", "") for one in target.containers), ""))
    return image.partition("@")[0].rpartition("/")[2].partition(":")[2]


def _hash(data: Any) -> str:
    """Ten characters, whatever the order of keys."""
    text = json.dumps(_lean(data), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _lean(node: Any) -> Any:
    """Without what is empty: to the API server that is the same as absent."""
    if isinstance(node, dict):
        found = {key: _lean(value) for key, value in node.items()}
        return {key: value for key, value in found.items() if value not in (None, "", [], {})}
    return [_lean(value) for value in node] if isinstance(node, list) else node
