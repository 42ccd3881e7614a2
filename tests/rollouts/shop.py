"""A Deployment and its Canary as YAML, for tests of the objects that Flagger makes of them."""

from __future__ import annotations

import json
from typing import Any

from meshtest.manifests.reader import read_text
from meshtest.model.document import Documents
from meshtest.rollouts.canary import Canary
from meshtest.rollouts.canary.reading import KIND, of

NAMESPACE = {"namespace": "test"}
GATEWAY = {"gatewayRefs": [{"name": "public"}]}
SERVICE_PARENT = {"gatewayRefs": [{"group": "", "kind": "Service", "name": "podinfo", "port": 9898}]}
PUBLIC = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "public", **NAMESPACE},
    "spec": {"gatewayClassName": "istio", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
}

Json = dict[str, Any]


def deployment(image: str = "podinfo:6.0.0", *, pod: Json | None = None, **more: Any) -> Json:
    container = {"name": "podinfod", "image": image, "ports": [{"name": "http", "containerPort": 9898}], **more}
    labels = {"app": "podinfo"}
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container], **(pod or {})}},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "podinfo", **NAMESPACE}, "spec": spec}


def canary(
    provider: str = "istio",
    *,
    name: str = "podinfo",
    target: Json | None = None,
    service: Json | None = None,
    **more: Any,
) -> Json:
    spec = {
        "provider": provider,
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo", **(target or {})},
        "service": {"port": 9898, **(service or {})},
        "analysis": {"interval": "1m", "threshold": 2, **(more or {"stepWeight": 10})},
    }
    head = {"apiVersion": "flagger.app/v1beta1", "kind": "Canary", "metadata": {"name": name, **NAMESPACE}}
    return {**head, "spec": spec}


def shop(*objects: Json) -> tuple[Canary, Documents]:
    """One object a file line: `shop.yaml:1`, then line 3, 5..."""
    documents = read_text("\n---\n".join(map(json.dumps, objects)), "shop.yaml")
    return of(documents.of(KIND)[0]), documents
