"""Security policies that protect nothing, or name what is not there.

Upstream: istio/istio pkg/config/analysis/analyzers/authz/authorizationpolicies.go, authn/blockedcidrs.go,
k8sgateway/workloadselector.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from meshtest.lib.words import listed
from meshtest.manifests.istio.names import ROOT_NAMESPACE
from meshtest.model.document import Document
from meshtest.model.service import within
from meshtest.preflight.dig import at, labels, object_at, objects, strings, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.injected import in_mesh, pod_in_ambient
from meshtest.preflight.kinds import (
    AUTHORIZATION_POLICY,
    DEPLOYMENT,
    REQUEST_AUTHENTICATION,
    TELEMETRY,
    WASM_PLUGIN,
)
from meshtest.preflight.rules import across
from meshtest.preflight.scene import Scene

GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
SELECTING = (AUTHORIZATION_POLICY, REQUEST_AUTHENTICATION, TELEMETRY, WASM_PLUGIN)


@across(AUTHORIZATION_POLICY, analyzer="auth.AuthorizationPoliciesAnalyzer")
def select_workloads(scene: Scene) -> Iterator[Hit]:
    """IST0127: no pod in the mesh is selected."""
    pods: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for found in scene.pods:
        if in_mesh(scene, found) or pod_in_ambient(found):
            pods[found.namespace].append(found.labels)
    for document in scene.of(AUTHORIZATION_POLICY):
        selector = at(document.data, "spec", "selector")
        whole = document.namespace == ROOT_NAMESPACE
        if whole and selector is None:
            continue
        some = [own for found in pods.values() for own in found] if whole else pods[document.namespace]
        wanted = labels(selector, "matchLabels")
        if not any(within(wanted, own) for own in some):
            shown = ",".join(f"{key}={value}" for key, value in wanted.items()) or "any"
            message = f"no pod in the mesh has the labels that the policy selects ({shown})"
            yield Hit("IST0127", document, ("spec", "selector"), message)


@across(AUTHORIZATION_POLICY, analyzer="auth.AuthorizationPoliciesAnalyzer")
def known_namespaces(scene: Scene) -> Iterator[Hit]:
    """IST0101: a namespace in a rule's source that is not there."""
    for document in scene.of(AUTHORIZATION_POLICY):
        for i, rule in objects(document.data, "spec", "rules"):
            for j, source in objects(rule, "from"):
                for kind in ("namespaces", "notNamespaces"):
                    for k, pattern in enumerate(strings(source, "source", kind)):
                        if not any(_matches(name, pattern) for name in scene.namespaces):
                            path = ("spec", "rules", i, "from", j, "source", kind, k)
                            yield Hit("IST0101", document, path, f"there is no namespace `{pattern}`")


def _matches(name: str, pattern: str) -> bool:
    if pattern.startswith("*"):
        return name.endswith(pattern[1:])
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return name.lower() == pattern.lower()


@across(*SELECTING, analyzer="k8sgateway.SelectorAnalyzer")
def selectors_at_gateways(scene: Scene) -> Iterator[Hit]:
    """IST0166: policies reach the pods of a Kubernetes Gateway by targetRefs only."""
    gateways = [pods for pods in scene.pods if GATEWAY_NAME in pods.labels]
    for document in scene.of(*SELECTING):
        spec = object_at(document.data, "spec")
        if "targetRef" in spec or at(spec, "selector") is None:
            continue
        wanted = labels(spec, "selector", "matchLabels")
        for pods in gateways:
            if pods.namespace == document.namespace and within(wanted, pods.labels):
                name = pods.labels[GATEWAY_NAME]
                message = f"the selector has no effect on the pods of Gateway `{name}`"
                yield Hit("IST0166", document, ("spec", "selector"), message)


@across(REQUEST_AUTHENTICATION, analyzer="authn.BlockedCIDRsAnalyzer")
def fetched_keys(scene: Scene) -> Iterator[Hit]:
    """IST0175, told of the istiod Deployment when that is among the documents."""
    policies = listed((f"{d.namespace}/{d.name}" for d in scene.of(REQUEST_AUTHENTICATION)), most=5)
    for document in scene.of(DEPLOYMENT):
        if labels(document.metadata, "labels").get("app") == "istiod" and not _blocked(document):
            message = f"istiod fetches keys from anywhere for {policies}"
            yield Hit("IST0175", document, ("spec", "template", "spec", "containers"), message)


def _blocked(document: Document) -> bool:
    containers = objects(document.data, "spec", "template", "spec", "containers")
    variables = (item for _, container in containers for _, item in objects(container, "env"))
    return any(text(v, "name") == "BLOCKED_CIDRS_IN_JWKS_URIS" and text(v, "value") for v in variables)
