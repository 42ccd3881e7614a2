"""Injection: namespaces and pods that the mesh does not reach though they look as if it did.

Upstream: istio/istio pkg/config/analysis/analyzers/injection/injection.go, image-auto.go, deployment/pod.go.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from meshtest.manifests.istio.names import ROOT_NAMESPACE
from meshtest.model.document import Document
from meshtest.preflight.dig import EMPTY, Object, at, labels, object_at, objects, strings, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.injected import DATAPLANE, INJECT, NAMESPACE_LABEL, REVISION, has_proxy
from meshtest.preflight.kinds import CONFIG_MAP, DEPLOYMENT, NAMESPACE, POD
from meshtest.preflight.rules import across, each
from meshtest.preflight.scene import Scene, pods_of

WEBHOOKS = "admissionregistration.k8s.io/MutatingWebhookConfiguration"
PROXY_USER = 1337


@across(NAMESPACE, analyzer="injection.Analyzer")
def namespaces_and_pods(scene: Scene) -> Iterator[Hit]:
    """IST0123, IST0102, IST0148 for namespaces; IST0103 for their pods."""
    injected = set()
    for document in scene.of(NAMESPACE):
        if document.name == ROOT_NAMESPACE:
            continue
        own = labels(document.metadata, "labels")
        yield from _several_labels(document, own)
        if own.get(DATAPLANE) == "ambient":
            continue
        if not own.get(NAMESPACE_LABEL) and REVISION not in own:
            yield _unlabelled(scene, document)
        elif own.get(NAMESPACE_LABEL) == "enabled":
            injected.add(document.name)
    for document in scene.of(POD):
        if document.namespace in injected and _lacks_proxy(document):
            text_ = f"pod `{document.name}` has no proxy, though its namespace is injected"
            yield Hit("IST0103", document, ("metadata", "name"), text_)


def _several_labels(document: Document, own: Mapping[str, str]) -> Iterator[Hit]:
    kinds = [NAMESPACE_LABEL] if NAMESPACE_LABEL in own else []
    if own.get(NAMESPACE_LABEL, "enabled") == "enabled":
        kinds += [name for name in (REVISION, DATAPLANE) if name in own]
    if len(kinds) > 1:
        shown = " and ".join(f"`{name}={own[name]}`" for name in kinds)
        yield Hit("IST0123", document, ("metadata", "labels"), f"the namespace has {shown}")


def _unlabelled(scene: Scene, document: Document) -> Hit:
    if _by_default(scene):
        return Hit("IST0148", document, ("metadata", "name"), "the installation injects namespaces without a label")
    return Hit("IST0102", document, ("metadata", "name"), f"namespace `{document.name}` gets no sidecars")


def _by_default(scene: Scene) -> bool:
    """The injector's configuration says enableNamespacesByDefault."""
    config = next((d for d in scene.of(CONFIG_MAP) if d.name == "istio-sidecar-injector"), None)
    try:
        values = json.loads(text(config.data, "data", "values")) if config else EMPTY
    except ValueError:
        return False
    return at(values, "sidecarInjectorWebhook", "enableNamespacesByDefault") is True


def _lacks_proxy(document: Document) -> bool:
    annotations = labels(document.metadata, "annotations")
    wanted = labels(document.metadata, "labels").get(INJECT, annotations.get(INJECT, ""))
    spec = object_at(document.data, "spec")
    return wanted.lower() != "false" and spec.get("hostNetwork") is not True and not has_proxy(spec)


@across(POD, DEPLOYMENT, analyzer="injection.ImageAutoAnalyzer")
def image_auto(scene: Scene) -> Iterator[Hit]:
    """IST0147 for a pod that was not injected, IST0146 for a template that no webhook takes."""
    for document in scene.of(POD, DEPLOYMENT):
        pods = pods_of(document)
        found = _auto(pods.spec) if pods else None
        if pods is None or found is None:
            continue
        if document.kind == POD:
            yield Hit("IST0147", document, ("spec", "containers", found), f"pod `{document.name}` has `image: auto`")
        elif not _taken(scene, document, pods.labels):
            path = ("spec", "template", "spec", "containers", found)
            yield Hit("IST0146", document, path, f"no injection webhook takes the pods of `{document.name}`")


def _auto(spec: Object) -> int | None:
    proxies = (
        i for i, c in objects(spec, "containers") if text(c, "name") == "istio-proxy" and text(c, "image") == "auto"
    )
    return next(proxies, None)


def _taken(scene: Scene, document: Document, own: Mapping[str, str]) -> bool:
    namespace = scene.namespaces.get(document.namespace)
    around = labels(namespace.metadata, "labels") if namespace is not None else {}
    hooks = (hook for config in scene.of(WEBHOOKS) for _, hook in objects(config.data, "webhooks"))
    return any(
        text(hook, "name").endswith("istio.io")
        and selects(object_at(hook, "namespaceSelector"), around)
        and selects(object_at(hook, "objectSelector"), own)
        for hook in hooks
    )


def selects(selector: Object, own: Mapping[str, str]) -> bool:
    """A Kubernetes LabelSelector; an empty one selects everything."""
    if any(own.get(key) != value for key, value in labels(selector, "matchLabels").items()):
        return False
    return all(_expression(item, own) for _, item in objects(selector, "matchExpressions"))


def _expression(item: Object, own: Mapping[str, str]) -> bool:
    key, values = text(item, "key"), strings(item, "values")
    match text(item, "operator"):
        case "In":
            return own.get(key) in values
        case "NotIn":
            return own.get(key) not in values
        case "Exists":
            return key in own
        case "DoesNotExist":
            return key not in own
    return False


@each(POD, DEPLOYMENT, analyzer="applicationUID.Analyzer")
def proxy_user(document: Document) -> Iterator[Hit]:
    """IST0144: the proxy's own user."""
    own = labels(document.metadata, "labels")
    pods = pods_of(document)
    if pods is None or "istio" in own or own.get("release") == "istio":
        return
    path = ("spec",) if document.kind == POD else ("spec", "template", "spec")
    if at(pods.spec, "securityContext", "runAsUser") == PROXY_USER:
        yield Hit(
            "IST0144", document, (*path, "securityContext", "runAsUser"), "the pods run as the proxy's user, 1337"
        )
    for index, container in objects(pods.spec, "containers"):
        name = text(container, "name")
        if at(container, "securityContext", "runAsUser") == PROXY_USER and name not in (
            "istio-proxy",
            "istio-operator",
        ):
            where = (*path, "containers", index, "securityContext", "runAsUser")
            yield Hit("IST0144", document, where, f"container `{name}` runs as the proxy's user, 1337")
