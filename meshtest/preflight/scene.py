"""The documents of one examination, indexed by what rules ask: by kind, hosts with their ports, pods with their labels.

Pods are those of `Pod` documents and one for each template of a Deployment (or its like): before they are applied,
manifests have no others. As istioctl does for files, an ingress gateway is taken to be installed
(istio/istio pkg/config/analysis/local/defaults.go).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.istio.names import ROOT_NAMESPACE, fqdn
from meshtest.manifests.memo import per_object
from meshtest.manifests.wildcards import covers
from meshtest.model.document import Document, Documents
from meshtest.model.service import DOMAIN, within
from meshtest.preflight.dig import Object, at, labels, object_at, objects, port, strings, text
from meshtest.preflight.kinds import POD, SERVICE, SERVICE_ENTRY, WORKLOADS

EVERYWHERE = "*"
GENERATED = "<installed>"
"""The file of what is taken to be there already."""


@dataclass(frozen=True)
class PortOf:
    number: int
    name: str = ""
    protocol: str = ""
    target: int | str = 0


@dataclass(frozen=True)
class Host:
    """A host that requests can be routed to: a Service, or a host of a ServiceEntry."""

    fqdn: str
    document: Document
    ports: tuple[PortOf, ...]
    scopes: frozenset[str]
    """Namespaces that see it; `*` is all of them."""
    selector: Mapping[str, str]

    def seen_from(self, *namespaces: str) -> bool:
        return EVERYWHERE in self.scopes or any(namespace in self.scopes for namespace in namespaces)


@dataclass(frozen=True)
class Pods:
    """Pods of one template, or a single one."""

    document: Document
    namespace: str
    name: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    spec: Object
    replicas: int = 1

    @property
    def single(self) -> bool:
        """It is a Pod, not a template."""
        return self.document.kind == POD


@dataclass(frozen=True)
class Scene:
    documents: Documents
    before: Documents | None = None
    """What is applied already, when that is known."""

    @cached_property
    def by_kind(self) -> Mapping[str, Sequence[Document]]:
        found: dict[str, list[Document]] = defaultdict(list)
        for document in self.documents:
            found[document.kind].append(document)
        return found

    def of(self, *kinds: str) -> Iterator[Document]:
        for kind in kinds:
            yield from self.by_kind.get(kind, ())

    @cached_property
    def by_key(self) -> Mapping[tuple[str, str, str], Document]:
        return {document.key: document for document in self.documents}

    def find(self, kind: str, namespace: str, name: str) -> Document | None:
        return self.by_key.get((kind, namespace, name))

    @cached_property
    def namespaces(self) -> Mapping[str, Document]:
        return {document.name: document for document in self.of("/Namespace")}

    # -- hosts

    @cached_property
    def hosts(self) -> Mapping[str, Sequence[Host]]:
        """By fully qualified name."""
        found: dict[str, list[Host]] = defaultdict(list)
        for document in (*self.of(SERVICE, SERVICE_ENTRY), *self.assumed):
            for host in hosts_of(document):
                found[host.fqdn].append(host)
        return found

    @cached_property
    def wildcard_hosts(self) -> Sequence[Host]:
        return [host for hosts in self.hosts.values() for host in hosts if host.fqdn.startswith("*")]

    def host(self, name: str, namespace: str, export_to: Sequence[str] = ()) -> Host | None:
        """What a destination means to an object of a namespace (istio util/service_lookup.go GetDestinationHost)."""
        full = fqdn(name, namespace)
        for host in self.hosts.get(full, ()):
            if host.seen_from(*(namespace if scope == "." else scope for scope in export_to or (namespace,))):
                return host
        return next(
            (h for h in self.wildcard_hosts if h.seen_from(namespace) and name.removeprefix("*").endswith(h.fqdn[1:])),
            None,
        )

    # -- pods

    @cached_property
    def pods(self) -> Sequence[Pods]:
        documents = (*self.of(POD, *WORKLOADS), *self.assumed)
        return [pods for document in documents if (pods := pods_of(document)) is not None]

    @cached_property
    def _pods_by_label(self) -> Mapping[tuple[str, str], Sequence[Pods]]:
        found: dict[tuple[str, str], list[Pods]] = defaultdict(list)
        for pods in self.pods:
            for item in pods.labels.items():
                found[item].append(pods)
        return found

    def selected(self, selector: Mapping[str, str], namespace: str | None = None) -> Iterator[Pods]:
        """The pods that have these labels, in one namespace or in all; an empty selector selects every pod."""
        some = self.pods
        if selector:
            found = [self._pods_by_label.get(item, ()) for item in selector.items()]
            some = min(found, key=lambda pods: len(pods))
        for pods in some:
            if namespace in (None, pods.namespace) and within(selector, pods.labels):
                yield pods

    @cached_property
    def assumed(self) -> Sequence[Document]:
        """An ingress gateway, unless the documents bring their own."""
        own = (p for p in (*self.of(POD), *self.of(*WORKLOADS)))
        if any((found := pods_of(p)) and found.labels.get("istio") == "ingressgateway" for p in own):
            return ()
        return _INGRESS


@per_object
def hosts_of(document: Document) -> tuple[Host, ...]:
    """The hosts that a Service or a ServiceEntry stands for."""
    if document.kind == SERVICE:
        return (_of_service(document),)
    if document.kind != SERVICE_ENTRY:
        return ()
    spec = object_at(document.data, "spec")
    ports = tuple(
        PortOf(port(p, "number") or 0, text(p, "name"), text(p, "protocol"), at(p, "targetPort") or 0)
        for _, p in objects(spec, "ports")
    )
    scopes = scopes_of(strings(spec, "exportTo"), document.namespace)
    selector = labels(spec, "workloadSelector", "labels")
    names = dict.fromkeys(fqdn(host, document.namespace) for host in strings(spec, "hosts"))
    return tuple(Host(name, document, ports, scopes, selector) for name in names)


def _of_service(document: Document) -> Host:
    spec = object_at(document.data, "spec")
    ports = tuple(
        PortOf(port(p, "port") or 0, text(p, "name"), text(p, "protocol") or "TCP", at(p, "targetPort") or 0)
        for _, p in objects(spec, "ports")
    )
    annotation = labels(document.metadata, "annotations").get("networking.istio.io/exportTo", "")
    exported = [word.strip() for word in annotation.split(",") if word.strip()]
    name = f"{document.name}.{document.namespace}.svc.{DOMAIN}"
    return Host(name, document, ports, scopes_of(exported, document.namespace), labels(spec, "selector"))


def scopes_of(export_to: Sequence[str], namespace: str) -> frozenset[str]:
    """The namespaces that `exportTo` names; left out, all."""
    if not export_to or EVERYWHERE in export_to:
        return frozenset({EVERYWHERE})
    return frozenset(namespace if scope == "." else scope for scope in export_to)


@per_object
def pods_of(document: Document) -> Pods | None:
    """The pods of a Pod or of a template."""
    if document.kind == POD:
        metadata, spec, replicas = document.metadata, object_at(document.data, "spec"), 1
    elif document.kind in WORKLOADS:
        template = object_at(document.data, "spec", "template")
        metadata, spec = object_at(template, "metadata"), object_at(template, "spec")
        replicas = found if (found := port(document.data, "spec", "replicas")) is not None else 1
    else:
        return None
    return Pods(
        document,
        document.namespace,
        document.name,
        labels(metadata, "labels"),
        labels(metadata, "annotations"),
        spec,
        replicas,
    )


def matches(pattern: str, host: str) -> bool:
    """Istio's host.Name.Matches: the hosts that two names stand for overlap."""
    return pattern == host or covers(pattern, host) or covers(host, pattern)


def _ingress() -> tuple[Document, ...]:
    ports = [{"port": n, "targetPort": n, "protocol": "TCP", "name": f"tcp-{n}"} for n in (80, 443, 31400, 15443)]
    metadata = {"name": "istio-ingressgateway", "namespace": ROOT_NAMESPACE, "labels": {"istio": "ingressgateway"}}
    proxy = {"containers": [{"name": "istio-proxy", "image": "auto-injected"}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": proxy}
    spec = {"ports": ports, "selector": {"istio": "ingressgateway"}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    return Document(pod, GENERATED), Document(service, GENERATED)


_INGRESS = _ingress()
