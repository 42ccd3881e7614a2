"""Whether pods have, or would get, a sidecar (istio/istio pkg/config/analysis/analyzers/util/in_mesh.go)."""

from __future__ import annotations

from meshtest.preflight.dig import Object, labels, objects, text
from meshtest.preflight.scene import Pods, Scene

INJECT = "sidecar.istio.io/inject"
NAMESPACE_LABEL = "istio-injection"
REVISION = "istio.io/rev"
DATAPLANE = "istio.io/dataplane-mode"
REDIRECTED = "ambient.istio.io/redirection"


def has_proxy(spec: Object) -> bool:
    """One of the containers is a proxy that has an image."""
    kinds = ("containers", "initContainers")
    return any(text(c, "name") == "istio-proxy" and text(c, "image") for kind in kinds for _, c in objects(spec, kind))


def in_mesh(scene: Scene, pods: Pods) -> bool:
    if has_proxy(pods.spec):
        return True
    for own in (pods.labels, pods.annotations):
        if INJECT in own:
            return own[INJECT] == "true"
    namespace = scene.namespaces.get(pods.namespace)
    return namespace is not None and labels(namespace.metadata, "labels").get(NAMESPACE_LABEL) == "enabled"


def pod_in_ambient(pods: Pods) -> bool:
    return pods.annotations.get(REDIRECTED) == "enabled"


def namespace_in_ambient(scene: Scene, namespace: str) -> bool:
    document = scene.namespaces.get(namespace)
    own = labels(document.metadata, "labels") if document is not None else {}
    injected = own.get(NAMESPACE_LABEL) == "enabled" or bool(own.get(REVISION))
    return own.get(DATAPLANE) == "ambient" and not injected
