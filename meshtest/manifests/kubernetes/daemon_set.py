"""DaemonSet: one pod of its template on each node.

This machine is one node, so there is one pod; the annotation `meshtest.dev/nodes: "3"` makes it three nodes, which is
how many pods there are. Whatever labels a nodeSelector asks for, the nodes have them: all but the one that Flagger
scales to zero with, which no node has (daemonSetScaleDownNodeSelector of fluxcd/flagger pkg/canary).

Pods are replaced as kubernetes pkg/controller/daemon/update.go does it: shares of the nodes are rounded up, and unless
maxSurge says so the old pod of a node ends before the new one starts. Not here: which node a pod is on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from meshtest.manifests import patch
from meshtest.manifests.kubernetes.fields import DAEMON_SET
from meshtest.manifests.kubernetes.template import Template
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document
from meshtest.model.service import Workload

KIND = "apps/DaemonSet"
NODES = "meshtest.dev/nodes"
NOWHERE = "flagger.app/scale-to-zero"
SELECTOR = ("spec", "template", "spec", "nodeSelector")
MOST_NODES = 100
"""Pods are processes of this machine."""


@per_document
def daemon_set(document: Document, notes: list[Diagnostic]) -> Workload | None:
    """None if the DaemonSet has no pod template."""
    view = View.of(document, DAEMON_SET, notes)
    template = Template.of(view)
    if template is None:
        return None
    count = _nodes(view)
    surge, unavailable = _strategy(template.spec, count)
    replicas = 0 if NOWHERE in template.pod.string_map("nodeSelector") else count
    # pods stay when there are more nodes
    annotations = {key: value for key, value in template.annotations.items() if key != NODES}
    return template.workload(replicas=replicas, annotations=annotations, max_surge=surge, max_unavailable=unavailable)


def _nodes(view: View) -> int:
    annotations = view.document.metadata.get("annotations")
    text = annotations.get(NODES, "1") if isinstance(annotations, Mapping) else "1"
    if isinstance(text, str) and text.isdecimal() and 1 <= int(text) <= MOST_NODES:
        return int(text)
    said = f"annotation {NODES} is the number of nodes, 1 to {MOST_NODES}, not {text!r}"
    view.error("bad-value", said, "metadata", "annotations", NODES)
    return 1


def _strategy(spec: View, nodes: int) -> tuple[int, int]:
    """maxSurge and maxUnavailable, as pods."""
    strategy = spec.child("updateStrategy")
    if strategy is None:
        return 0, 1
    if strategy.choice("type", ("RollingUpdate", "OnDelete"), "RollingUpdate") == "OnDelete":
        strategy.not_supported("pods are replaced at once, as RollingUpdate does it", "type")
        return 0, 1
    rolling = strategy.child("rollingUpdate")
    return (0, 1) if rolling is None else _limits(rolling, nodes)


def _limits(rolling: View, nodes: int) -> tuple[int, int]:
    """ValidateRollingUpdateDaemonSet of kubernetes pkg/apis/apps/validation: one of them is 0, and only one."""
    surge = _pods(rolling.int_or_percent("maxSurge", 0), nodes)
    unavailable = _pods(rolling.int_or_percent("maxUnavailable", 1), nodes)
    if bool(surge) == bool(unavailable):
        allowed = "set maxUnavailable to 0 with a maxSurge" if surge else "one of them must be more than 0"
        rolling.error("bad-value", f"{rolling.name()}: maxSurge is {surge} and maxUnavailable {unavailable}; {allowed}")
        return 0, 1
    return surge, unavailable


def _pods(value: int | str, nodes: int) -> int:
    return value if isinstance(value, int) else math.ceil(nodes * float(value.rstrip("%")) / 100)


# -- more and less of it


def at_zero(document: Document) -> Document:
    """On no node any more, as Flagger does it: by a label that no node has."""
    return patch.put(document, SELECTOR, {**_selector(document.data), NOWHERE: "true"})


def from_zero(document: Document) -> Document:
    """On its nodes again."""
    selector = _selector(document.data)
    if NOWHERE not in selector:
        return document
    del selector[NOWHERE]
    return patch.put(document, SELECTOR, selector) if selector else patch.drop(document, SELECTOR)


def on_nodes(document: Document, count: int) -> Document:
    """On so many nodes; 0: on none."""
    if not count:
        return at_zero(document)
    return patch.put(from_zero(document), ("metadata", "annotations", NODES), str(count))


def _selector(data: Mapping[str, Any]) -> dict[str, Any]:
    found: Any = data
    for key in SELECTOR:
        found = found.get(key) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}
