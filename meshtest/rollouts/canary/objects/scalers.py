"""The autoscaler that a Canary names: its copy `NAME-primary` for the primary, and its pauses while the canary rests.

Rules: fluxcd/flagger pkg/canary/hpa_reconciler.go and scaled_object_reconciler.go. A HorizontalPodAutoscaler is not
paused: it leaves a Deployment of no replicas alone. Of a ScaledObject the copy has what Flagger's own type has, so an
`initialCooldownPeriod` or `scalingModifiers` are lost. Two deviations: an autoscaler that is not among the documents is
left alone, though Flagger waits for it; and the copy is written again with the promotion, Flagger's when the primary is
ready after it.

Not here: load. `held` keeps pods within the bounds of their autoscalers, which is all that one without load does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshtest.manifests import patch
from meshtest.model.document import Document, Documents
from meshtest.rollouts.canary.objects.origin import Json, copied, filled, made_from, mapping, mappings, without_flux
from meshtest.rollouts.canary.spec import Autoscaler, Canary

HPA, SCALED_OBJECT = "autoscaling/HorizontalPodAutoscaler", "keda.sh/ScaledObject"
KINDS = {"HorizontalPodAutoscaler": HPA, "ScaledObject": SCALED_OBJECT}
BOUNDS = {HPA: ("minReplicas", "maxReplicas"), SCALED_OBJECT: ("minReplicaCount", "maxReplicaCount")}
PAUSED = "autoscaling.keda.sh/paused-replicas"
MOST = {SCALED_OBJECT: 100}
"""maxReplicaCount where it is left out (keda.sh, ScaledObject specification)."""

COPIED = {
    HPA: ("metrics", "behavior"),
    SCALED_OBJECT: ("pollingInterval", "cooldownPeriod", "idleReplicaCount"),
}
FALLBACK = ("failureThreshold", "replicas")
TRIGGER = ("type", "name", "metadata", "authenticationRef", "metricType")
SAME = ("autoscaling/v1", "autoscaling/v2", "autoscaling/v2beta2")
"""The API server hands these out as autoscaling/v2."""


def named(canary: Canary, documents: Documents) -> Document | None:
    """The autoscaler of the canary, if it is among the documents."""
    scaler = canary.autoscaler
    return _at(canary.namespace, scaler.name, KINDS[scaler.kind], documents) if scaler else None


def _at(namespace: str, name: str, kind: str, documents: Documents) -> Document | None:
    return next((one for one in documents if one.key == (kind, namespace, name)), None)


def least_replicas(canary: Canary, documents: Documents) -> int:
    """With how many the canary starts."""
    found = named(canary, documents)
    return _bounds(found)[0] if found else 1


def _bounds(scaler: Document) -> tuple[int, int | None]:
    """Least and most pods; one without load keeps one."""
    spec = mapping(scaler.data.get("spec"))
    least, most = (spec.get(field) for field in BOUNDS[scaler.kind])
    least = max(1, least) if isinstance(least, int) else 1
    return least, most if isinstance(most, int) else MOST.get(scaler.kind)


# -- the copy


def copies(canary: Canary, documents: Documents, *, again: bool = False) -> list[Document]:
    """For the primary. One that is there stays as it is, unless it is written `again`."""
    found = named(canary, documents)
    if found is None or canary.autoscaler is None:
        return []
    old = _at(canary.namespace, f"{found.name}-primary", found.kind, documents)
    spec = _spec(canary, canary.autoscaler, found)
    if old is None:
        return [_made(found, spec)]
    return [_written(old, spec)] if again and _differs(old, spec) else []


def _made(found: Document, spec: Json) -> Document:
    name, kind = f"{found.name}-primary", found.data["kind"]
    kept = filled(labels=without_flux(found.metadata.get("labels")))
    if found.kind == SCALED_OBJECT:
        kept |= filled(annotations=without_flux(found.metadata.get("annotations")))
    version = "autoscaling/v2" if found.data["apiVersion"] in SAME else found.data["apiVersion"]
    metadata = {"name": name, "namespace": found.namespace, **kept}
    data = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
    return Document(copied(data), made_from(kind, name, found.file), found.lines)


def _differs(old: Document, spec: Json) -> bool:
    return bool(old.data.get("spec") != spec)


def _written(old: Document, spec: Json) -> Document:
    """Flagger forgets the labels and annotations of a ScaledObject here."""
    changed = patch.put(old, ("spec",), copied(spec))
    if old.kind == HPA:
        return changed
    return patch.put(changed, ("metadata",), {"name": old.name, "namespace": old.namespace})


def _spec(canary: Canary, scaler: Autoscaler, found: Document) -> Json:
    theirs = mapping(found.data.get("spec"))
    bounds = dict(zip(BOUNDS[found.kind], (scaler.least, scaler.most), strict=True))
    spec = {
        **_only((*COPIED[found.kind], *bounds), theirs),
        **{key: value for key, value in bounds.items() if value is not None},
    }
    whose = {**mapping(theirs.get("scaleTargetRef")), "name": f"{canary.target}-primary"}
    if found.kind == HPA:
        return {"scaleTargetRef": whose, **_metrics_of_v1(theirs), **spec}
    spec |= filled(fallback=_only(FALLBACK, mapping(theirs.get("fallback"))))
    triggers = [_trigger(one, canary.target, scaler) for one in mappings(theirs.get("triggers"))]
    return {"scaleTargetRef": whose, **spec, "advanced": _advanced(theirs), "triggers": triggers}


def _only(keys: tuple[str, ...], data: Json) -> Json:
    return {key: data[key] for key in keys if key in data}


def _metrics_of_v1(spec: Json) -> Json:
    """autoscaling/v1 has one metric, which the API server tells in the words of v2."""
    percent = spec.get("targetCPUUtilizationPercentage")
    if percent is None:
        return {}
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]}


def _advanced(spec: Json) -> Json:
    """Two HorizontalPodAutoscalers of one name would be one."""
    theirs = mapping(spec.get("advanced"))
    config = _only(("name", "behavior"), mapping(theirs.get("horizontalPodAutoscalerConfig")))
    if config.get("name"):
        config["name"] = f"{config['name']}-primary"
    return {**_only(("restoreToOriginalReplicaCount",), theirs), "horizontalPodAutoscalerConfig": config}


def _trigger(theirs: Json, target: str, scaler: Autoscaler) -> Json:
    trigger = _only(TRIGGER, theirs)
    metadata = mapping(trigger.get("metadata"))
    if scaler.queries is not None:
        asked = scaler.queries.get(str(theirs.get("name", "")))
        metadata |= {} if asked is None else {"query": asked}
    elif "query" in metadata:
        metadata["query"] = _of_primary(str(metadata["query"]), target)
    return {**trigger, "metadata": metadata}


def _of_primary(query: str, target: str) -> str:
    """`web` and `web-canary` become `web-primary`, also as parts of other words."""
    parts = query.split(f"{target}-canary")
    return f"{target}-primary".join(part.replace(target, f"{target}-primary") for part in parts)


# -- its pauses


def paused(canary: Canary, documents: Documents) -> list[Document]:
    """KEDA scales what is paused to zero, and leaves it there."""
    found = named(canary, documents)
    if found is None or found.kind == HPA:
        return []
    return [patch.put(found, ("metadata", "annotations", PAUSED), "0")]


def resumed(canary: Canary, documents: Documents) -> list[Document]:
    found = named(canary, documents)
    if found is None or PAUSED not in mapping(found.metadata.get("annotations")):
        return []
    return [patch.drop(found, ("metadata", "annotations", PAUSED))]


# -- what they do


def held(documents: Documents) -> Documents:
    """With as many replicas as each autoscaler allows its Deployment; a Deployment of none keeps none."""
    return documents.apply(_held(documents))


def _held(documents: Documents) -> Iterator[Document]:
    for scaler in (one for kind in KINDS.values() for one in documents.of(kind)):
        reference = mapping(mapping(scaler.data.get("spec")).get("scaleTargetRef"))
        if reference.get("kind", "Deployment") != "Deployment" or PAUSED in mapping(scaler.metadata.get("annotations")):
            continue
        found = _at(scaler.namespace, str(reference.get("name")), "apps/Deployment", documents)
        if found is None:
            continue
        now = mapping(found.data.get("spec")).get("replicas", 1)
        wanted = _within(now, scaler)
        if wanted != now:
            yield patch.put(found, ("spec", "replicas"), wanted)


def _within(now: Any, scaler: Document) -> Any:
    if not isinstance(now, int) or now == 0:
        return now
    least, most = _bounds(scaler)
    return max(least, now if most is None else min(now, most))
