"""Subsets and the pods they stand for.

Upstream: istio/istio pkg/config/analysis/analyzers/destinationrule/subset.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

from meshtest.model.document import Document
from meshtest.model.service import within
from meshtest.preflight.dig import labels, objects, strings, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import DESTINATION_RULE, NODE
from meshtest.preflight.rules import across, each
from meshtest.preflight.scene import Host, Scene

_REGION, _ZONE = "topology.kubernetes.io/region", "topology.kubernetes.io/zone"
_SUBZONE, _NODE_NAME = "topology.istio.io/subzone", "kubernetes.io/hostname"


@across(DESTINATION_RULE, analyzer="destinationrule.SubsetSelectPodAnalyzer")
def subsets_select_pods(scene: Scene) -> Iterator[Hit]:
    """IST0174 for an unknown host, IST0173 for a subset that selects no pod."""
    for document in scene.of(DESTINATION_RULE):
        host = text(document.data, "spec", "host")
        found = scene.host(host, document.namespace, strings(document.data, "spec", "exportTo"))
        if found is None:
            message = f"`{host}` is no service that this DestinationRule sees: it applies to nothing"
            yield Hit("IST0174", document, ("spec", "host"), message)
            continue
        for index, subset in objects(document.data, "spec", "subsets"):
            wanted = {**_entry_selector(found), **labels(subset, "labels")}
            if not _any_pod(scene, wanted):
                name = text(subset, "name")
                message = f"subset `{name}` ({_shown(wanted)}) selects no pod"
                yield Hit("IST0173", document, ("spec", "subsets", index, "labels"), message)


def _entry_selector(host: Host) -> Mapping[str, str]:
    """A ServiceEntry's selector narrows its subsets; that of a Service is not looked at upstream."""
    return host.selector if host.document.kind.endswith("/ServiceEntry") else {}


def _any_pod(scene: Scene, wanted: Mapping[str, str]) -> bool:
    if next(scene.selected(wanted), None):
        return True
    placed = (p for p in scene.pods if "nodeName" in p.spec)
    return any(within(wanted, {**pods.labels, **place(scene, text(pods.spec, "nodeName"))}) for pods in placed)


def place(scene: Scene, node: str) -> dict[str, str]:
    """The labels that istiod adds to a pod's for the node it runs on (serviceregistry/util/label AugmentLabels)."""
    found = next((d for d in scene.of(NODE) if d.name == node), None)
    if found is None:
        return {}
    own = labels(found.metadata, "labels")
    # A zone counts only below a region, a subzone only below a zone.
    added: dict[str, str] = {_NODE_NAME: node}
    for name in (_REGION, _ZONE, _SUBZONE):
        if not own.get(name):
            break
        added[name] = own[name]
    return added


def _shown(wanted: Mapping[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in wanted.items()) or "every pod"


@each(DESTINATION_RULE)
def overlapping(document: Document) -> Iterator[Hit]:
    """MT014: the labels of one subset are all among those of another."""
    subsets = [(i, text(s, "name"), labels(s, "labels")) for i, s in objects(document.data, "spec", "subsets")]
    for (_, first, one), (index, second, other) in combinations(subsets, 2):
        if not (within(one, other) or within(other, one)):
            continue
        alike = "select the same pods" if one == other else "overlap"
        message = f"subsets `{first}` and `{second}` {alike}: {_shown(one)} and {_shown(other)}"
        yield Hit("MT014", document, ("spec", "subsets", index, "labels"), message)
