"""ConfigMaps and Secrets that the target uses: what Flagger tracks of them, and the `-primary` copies.

Rules: fluxcd/flagger pkg/canary/config_tracker.go. One deviation: a ConfigMap or Secret that is not among the documents
is left alone, though Flagger waits for one that is not optional: Secrets seldom lie beside the manifests.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from meshtest.model.document import Document, Documents
from meshtest.rollouts.canary.objects.origin import Json, copied, made_from, mapping, own
from meshtest.rollouts.canary.objects.target import Workload
from meshtest.rollouts.canary.state import Configs

KINDS = {"configmap": "/ConfigMap", "secret": "/Secret"}
TRACKING = "flagger.app/config-tracking"
SECRET_TYPES = ("", "Opaque", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls")
"""Others are credentials of registries and the like."""

Holder = tuple[str, Json, str]
"""A reference: `configmap` or `secret`, the mapping that names it, under which key."""


def tracked(target: Workload, documents: Documents) -> dict[str, Document]:
    """By Flagger's name of it, `configmap/NAME`, sorted."""
    wanted = {(kind, holder.get(key)) for kind, holder, key in _references(mapping(target.template.get("spec")))}
    found = {
        f"{kind}/{name}": document
        for kind, name in wanted
        for document in documents.of(KINDS[kind])
        if (document.namespace, document.name) == (target.document.namespace, name) and _is_tracked(kind, document)
    }
    return dict(sorted(found.items()))


def digests(target: Workload, documents: Documents) -> Configs:
    """What Flagger would write into `status.trackedConfigs`."""
    return tuple((name, digest(document)) for name, document in tracked(target, documents).items())


def digest(document: Document) -> str:
    """Equal to Flagger's: SHA-256 of the data as Go writes JSON."""
    data = _secret(document.data) if document.kind == KINDS["secret"] else mapping(document.data.get("data"))
    text = json.dumps(data or None, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _secret(data: Mapping[str, Any]) -> Json:
    """With stringData merged in, as the API server does."""
    plain = mapping(data.get("stringData"))
    encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
    return mapping(data.get("data")) | encoded


def _is_tracked(kind: str, document: Document) -> bool:
    annotations = mapping(document.metadata.get("annotations"))
    if str(annotations.get(TRACKING, "")).startswith("disable"):
        return False
    return kind != "secret" or document.data.get("type", "") in SECRET_TYPES


def copies(target: Workload, documents: Documents) -> list[Document]:
    """`NAME-primary` of each."""
    return [_copy(document) for document in tracked(target, documents).values()]


def _copy(document: Document) -> Document:
    name = f"{document.name}-primary"
    kept = {key: document.data[key] for key in ("type", "data", "stringData") if key in document.data}
    head = {"apiVersion": "v1", "kind": document.data["kind"]}
    data = {**head, "metadata": {"name": name, "namespace": document.namespace}, **kept}
    return Document(data, made_from(document.data["kind"], name, document.file), document.lines)


def renamed(pod: Json, names: Mapping[str, Any]) -> Json:
    """The pod spec with `-primary` behind the tracked ones."""
    pod = copied(pod)
    for kind, holder, key in _references(pod):
        if f"{kind}/{holder.get(key)}" in names:
            holder[key] = f"{holder[key]}-primary"
    return pod


def _references(pod: Json) -> Iterator[Holder]:
    """All of a pod spec, in its own mappings."""
    for volume in own(pod.get("volumes")):
        yield from _of(volume, "configMap", "secret", secret_key="secretName")
        for source in own(mapping(volume.get("projected")).get("sources")):
            yield from _of(source, "configMap", "secret")
    for container in (*own(pod.get("containers")), *own(pod.get("initContainers"))):
        for variable in own(container.get("env")):
            yield from _of(mapping(variable.get("valueFrom")), "configMapKeyRef", "secretKeyRef")
        for source in own(container.get("envFrom")):
            yield from _of(source, "configMapRef", "secretRef")


def _of(holder: Json, config_map: str, secret: str, *, secret_key: str = "name") -> Iterator[Holder]:
    if isinstance(holder.get(config_map), dict):
        yield "configmap", holder[config_map], "name"
    if isinstance(holder.get(secret), dict):
        yield "secret", holder[secret], secret_key
