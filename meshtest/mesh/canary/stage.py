"""What is rehearsed: the Canary among the manifests, and stand-ins for what it names and the manifests have not got.

Pure. Not here: the objects that Flagger makes (rollouts/canary/objects).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshtest.errors import UsageError
from meshtest.lib.words import listed, nearest
from meshtest.manifests.kubernetes import daemon_set
from meshtest.model.diagnostic import Severity
from meshtest.model.document import Document, Documents
from meshtest.model.service import within
from meshtest.rollouts.canary import objects, reading
from meshtest.rollouts.canary.routers import GATEWAY_API, family
from meshtest.rollouts.canary.spec import Canary

TARGETS = {"Deployment": "apps/Deployment", "DaemonSet": daemon_set.KIND, "Service": "/Service"}
NODES = 2
"""Of a DaemonSet: on a single one, users of its primary would lose requests at each promotion, as they hardly do in
production."""
ISTIO_GATEWAY = "networking.istio.io/Gateway"
HTTP_GATEWAY = "gateway.networking.k8s.io/Gateway"
IMAGE = "stand-in"
REHEARSED = reading.SIMULATED
"""The routes of others are not made here."""


def canary_of(documents: Documents, name: str, provider: str) -> Canary:
    """The one that is meant: by `name` or `name.namespace`, or the only one."""
    found = documents.of(reading.KIND)
    chosen = [d for d in found if name in ("", d.name, f"{d.name}.{d.namespace}")]
    if len(chosen) != 1:
        raise UsageError(_which(name, found, chosen))
    canary = reading.of(chosen[0], provider=provider)
    _check(canary, chosen[0])
    if not provider:
        _check_named(chosen[0])
    return canary


def _which(name: str, found: list[Document], chosen: list[Document]) -> str:
    names = [f"{d.name}.{d.namespace}" for d in found]
    if not found:
        return "the manifests hold no Canary of flagger.app; name the file that does"
    if not chosen:
        hint = nearest(name, names)
        meant = f" (did you mean {hint!r}?)" if hint else ""
        return f"no Canary {name!r}; there are: {listed(names)}{meant}"
    return f"{len(chosen)} Canaries: {listed(names)}; choose one with --canary NAME (or name=)"


def _check(canary: Canary, document: Document) -> None:
    if canary.provider not in REHEARSED:
        where = document.where("spec", "provider")
        raise UsageError(f"{where}: provider {canary.provider!r} is not rehearsed; these are: {listed(REHEARSED)}")
    if canary.suspend:
        raise UsageError(f"{document.where('spec', 'suspend')}: this Canary is suspended, nothing would ever happen")


def _check_named(document: Document) -> None:
    """A Canary for an ingress controller seldom names it: Flagger is told by its flag -mesh-provider."""
    spec = document.data["spec"]
    for field in () if spec.get("provider") else ("ingressRef", "routeRef", "upstreamRef"):
        if field in spec:
            text = f"`spec.{field}` is for an ingress controller, which is not rehearsed, and no provider is named"
            raise UsageError(
                f"{document.where('spec', field)}: {text}; choose one with --provider: {listed(REHEARSED)}"
            )


def target_document(canary: Canary, documents: Documents) -> Document:
    """Its Deployment, DaemonSet or Service, which is there (see furnished)."""
    (found,) = _named(documents, TARGETS[canary.kind], canary.namespace, canary.target)
    return found


def check_pods(canary: Canary, documents: Documents) -> None:
    """A Service in front of no pods would fail every request, and prove nothing."""
    if canary.runs_pods:
        return
    selector = (target_document(canary, documents).data.get("spec") or {}).get("selector") or {}
    for document in (one for kind in ("Deployment", "DaemonSet") for one in documents.of(TARGETS[kind])):
        if document.namespace == canary.namespace and within(selector, _labels_of_pods(document)):
            return
    asked = listed(f"{key}={value}" for key, value in selector.items()) or "nothing"
    text = f"no Deployment in namespace {canary.namespace} has pods that Service {canary.target} would select ({asked})"
    raise UsageError(f"{text}: is the one of the new version among the manifests?")


def _labels_of_pods(document: Document) -> dict[str, str]:
    found = document.data
    for key in ("spec", "template", "metadata", "labels"):
        found = found.get(key) or {}
    return dict(found)


def furnished(canary: Canary, documents: Documents) -> tuple[Documents, tuple[str, ...]]:
    """With stand-ins for the target and the gateways that are missing, and a sentence for each; and for what is other
    than on a cluster."""
    made = [*_targets(canary, documents), *_gateways(canary, documents)]
    documents = documents.apply(Document(data, "<stand-in>") for data, _ in made)
    notes = [*_ignored(canary, documents), *(said for _, said in made), *_scaler_notes(canary, documents)]
    if canary.kind != "DaemonSet":
        return documents, tuple(notes)
    documents, told = _on_nodes(canary, documents)
    return documents, (*notes, *told)


def _ignored(canary: Canary, documents: Documents) -> Iterator[str]:
    """What the Canary says and nobody here heeds."""
    for document in _named(documents, reading.KIND, canary.namespace, canary.name):
        notes = reading.parse(document, provider=canary.provider).notes
        yield from (f"{note.source}: {note.message}" for note in notes if note.severity is Severity.WARNING)


def _on_nodes(canary: Canary, documents: Documents) -> tuple[Documents, list[str]]:
    """The DaemonSet on two nodes, unless it says on how many."""
    target = target_document(canary, documents)
    if daemon_set.NODES in (target.metadata.get("annotations") or {}):
        return documents, []
    told = (
        f"DaemonSet {canary.workload} runs on {NODES} nodes here; its annotation {daemon_set.NODES} can say otherwise"
    )
    return documents.apply([daemon_set.on_nodes(target, NODES)]), [told]


def _scaler_notes(canary: Canary, documents: Documents) -> Iterator[str]:
    if canary.autoscaler is None:
        return
    name = f"{canary.autoscaler.kind} {canary.autoscaler.name}.{canary.namespace}"
    if objects.scaler_of(canary, documents) is None:
        yield f"the manifests have no {name}, for which Flagger waits on a cluster: replicas are as the target says"
    else:
        yield f"nothing scales by load here: {name} holds replicas within its bounds, and no more"


def _named(documents: Documents, kind: str, namespace: str, name: str) -> list[Document]:
    return [d for d in documents.of(kind) if (d.namespace, d.name) == (namespace, name)]


Made = tuple[dict[str, Any], str]


def _targets(canary: Canary, documents: Documents) -> Iterator[Made]:
    if not _named(documents, TARGETS[canary.kind], canary.namespace, canary.target):
        if not canary.runs_pods:
            text = f"the manifests have no Service {canary.workload}, the target of Canary {canary.full_name}"
            raise UsageError(f"{text}: give it, and the Deployments whose pods it may select")
        pods = "one pod a node" if canary.kind == "DaemonSet" else "one pod"
        elsewhere = listed(d.namespace for d in documents.of(TARGETS[canary.kind]) if d.name == canary.target)
        only = f", only in namespace {elsewhere}" if elsewhere else ""
        said = f"the manifests have no {canary.kind} {canary.workload}{only}: {pods} of the stand-in takes its place"
        yield _target(canary), said


def _target(canary: Canary) -> dict[str, Any]:
    service = canary.service
    wanted = service.target_port or service.port
    port = {"name": wanted, "containerPort": 8080} if isinstance(wanted, str) else {"containerPort": wanted}
    labels = {"app": canary.target}
    container = {"name": canary.target, "image": f"{IMAGE}:v1", "ports": [port]}
    return {
        "apiVersion": "apps/v1",
        "kind": canary.kind,
        "metadata": {"name": canary.target, "namespace": canary.namespace},
        "spec": {
            **({"replicas": 1} if canary.kind == "Deployment" else {}),
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _gateways(canary: Canary, documents: Documents) -> Iterator[Made]:
    for kind, namespace, name in dict.fromkeys(_wanted_gateways(canary)):
        if not _named(documents, kind, namespace, name):
            said = f"the manifests have no Gateway {namespace}/{name}: one for HTTP at port 80 takes its place"
            yield _gateway(kind, namespace, name), said


def _wanted_gateways(canary: Canary) -> Iterator[tuple[str, str, str]]:
    service = canary.service
    if family(canary.provider) == GATEWAY_API:
        for reference in service.gateway_refs:
            if reference.get("kind", "Gateway") == "Gateway":
                yield HTTP_GATEWAY, str(reference.get("namespace") or canary.namespace), str(reference.get("name"))
    elif family(canary.provider) == "istio":
        for named in service.gateways:
            if named != "mesh":
                yield _istio_gateway(named, canary.namespace)


def _istio_gateway(named: str, namespace: str) -> tuple[str, str, str]:
    """`namespace/name`, `name`, or the old `name.namespace.svc.cluster.local`."""
    before, slash, name = named.rpartition("/")
    if slash:
        return ISTIO_GATEWAY, namespace if before == "." else before, name
    name, _, domain = named.partition(".")
    return ISTIO_GATEWAY, domain.partition(".")[0] or namespace, name


def _gateway(kind: str, namespace: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    if kind == ISTIO_GATEWAY:
        server = {"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]}
        spec: dict[str, Any] = {"selector": {"istio": "ingressgateway"}, "servers": [server]}
        return {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": metadata, "spec": spec}
    everywhere = {"namespaces": {"from": "All"}}
    listener = {"name": "http", "port": 80, "protocol": "HTTP", "allowedRoutes": everywhere}
    spec = {"gatewayClassName": "stand-in", "listeners": [listener]}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": metadata, "spec": spec}
