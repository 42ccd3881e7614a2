"""Sidecar objects that select nothing, or the same pods, or have no effect.

Upstream: istio/istio pkg/config/analysis/analyzers/sidecar/selector.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from meshtest.lib.words import listed
from meshtest.model.document import Document
from meshtest.preflight.dig import labels
from meshtest.preflight.finding import Hit
from meshtest.preflight.injected import namespace_in_ambient, pod_in_ambient
from meshtest.preflight.kinds import SIDECAR
from meshtest.preflight.rules import across
from meshtest.preflight.scene import Pods, Scene

NAME = ("metadata", "name")


@across(SIDECAR, analyzer="sidecar.SelectorAnalyzer")
def selectors(scene: Scene) -> Iterator[Hit]:
    """IST0101, IST0110, IST0111, IST0167."""
    selecting: dict[int, list[Document]] = defaultdict(list)
    whole: dict[str, list[Document]] = defaultdict(list)
    for document in scene.of(SIDECAR):
        wanted = labels(document.data, "spec", "workloadSelector", "labels")
        if not wanted:
            whole[document.namespace].append(document)
            continue
        found = list(scene.selected(wanted, document.namespace))
        for pods in found:
            selecting[id(pods)].append(document)
        if not found:
            shown = ",".join(f"{key}={value}" for key, value in wanted.items())
            yield Hit("IST0101", document, ("spec", "workloadSelector"), f"selector `{shown}` selects no pod")
    told: set[tuple[str, str, str]] = set()
    for pods in scene.pods:
        yield from _of_pods(pods, selecting[id(pods)], told)
    for namespace, documents in whole.items():
        yield from _of_namespace(scene, namespace, documents, told)


def _of_pods(pods: Pods, documents: Sequence[Document], told: set[tuple[str, str, str]]) -> Iterator[Hit]:
    for document in documents:
        if pod_in_ambient(pods):
            if document.key not in told:
                told.add(document.key)
                text = f"`{pods.name}` is in ambient mode: it has no sidecar to configure"
                yield Hit("IST0167", document, NAME, text)
        elif len(documents) > 1:
            others = listed(d.name for d in documents if d is not document)
            yield Hit("IST0110", document, NAME, f"`{pods.name}` is selected by Sidecar {others} too")


def _of_namespace(
    scene: Scene, namespace: str, documents: Sequence[Document], told: set[tuple[str, str, str]]
) -> Iterator[Hit]:
    ambient = namespace_in_ambient(scene, namespace)
    for document in documents:
        if ambient and document.key not in told:
            text = f"namespace `{namespace}` is in ambient mode: it has no sidecars to configure"
            yield Hit("IST0167", document, NAME, text)
        elif not ambient and len(documents) > 1:
            others = listed(d.name for d in documents if d is not document)
            yield Hit("IST0111", document, NAME, f"namespace `{namespace}` has Sidecar {others} without a selector too")
