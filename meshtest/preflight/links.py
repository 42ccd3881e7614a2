"""What objects give and what they need, as tokens: the host a Service stands for, the subset a route leads to.

A token is a tuple of words. Tokens of pods carry a selector, so that any workload with those labels gives them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.istio.names import fqdn
from meshtest.manifests.memo import per_object
from meshtest.model.document import Document
from meshtest.model.service import DOMAIN, within
from meshtest.preflight import kinds as k
from meshtest.preflight.checks.gateways import named
from meshtest.preflight.checks.grants import references
from meshtest.preflight.dig import Object, labels, object_at, objects, port, text
from meshtest.preflight.scene import hosts_of, pods_of
from meshtest.preflight.virtual_services import targets

Token = tuple[object, ...]


@dataclass(frozen=True)
class Need:
    token: Token
    what: str
    """For people: "subset `v2` of `reviews`"."""


# -- giving


@per_object
def gives(document: Document) -> frozenset[Token]:
    """Everything that others may refer to, but for pods (see `gives_pods`)."""
    return frozenset({("object", *document.key), *_given(document)})


def _given(document: Document) -> Iterator[Token]:
    kind = document.kind
    for host in hosts_of(document):
        yield "host", host.fqdn
        yield from (("port", host.fqdn, item.number) for item in host.ports)
    if kind == k.DESTINATION_RULE:
        host_name = fqdn(text(document.data, "spec", "host"), document.namespace)
        for _, subset in objects(document.data, "spec", "subsets"):
            yield "subset", host_name, text(subset, "name")
    elif kind in (k.GATEWAY, k.K8S_GATEWAY):
        yield "gateway", document.namespace, document.name
    elif kind == k.SECRET:
        yield "secret", document.name
    elif kind == k.NAMESPACE:
        yield "namespace", document.name
    elif kind == k.REFERENCE_GRANT:
        yield from _granted(document)
    elif kind == k.REQUEST_AUTHENTICATION:
        yield "tokens", document.namespace


def _granted(document: Document) -> Iterator[Token]:
    for _, giver in objects(document.data, "spec", "from"):
        for _, target in objects(document.data, "spec", "to"):
            origin = (text(giver, "kind"), text(giver, "namespace"))
            yield "grant", *origin, text(target, "kind"), document.namespace


def gives_pods(document: Document, namespace: str, selector: Mapping[str, str]) -> bool:
    """It makes pods with these labels. A workload that is scaled to nothing makes none."""
    pods = pods_of(document)
    return pods is not None and pods.replicas > 0 and pods.namespace == namespace and within(selector, pods.labels)


# -- needing


@per_object
def needs(document: Document) -> tuple[Need, ...]:
    """What must be there when the object is; each once."""
    found = (*_needed(document), *_place(document))
    return tuple({need.token: need for need in found}.values())


def _place(document: Document) -> Iterator[Need]:
    if document.kind not in k.CLUSTER_WIDE:
        yield Need(("namespace", document.namespace), f"namespace `{document.namespace}`")


def _needed(document: Document) -> Iterator[Need]:
    kind = document.kind
    if kind == k.VIRTUAL_SERVICE:
        yield from _of_virtual_service(document)
    elif kind == k.DESTINATION_RULE:
        yield from _of_destination_rule(document)
    elif kind in (k.SERVICE, k.SERVICE_ENTRY):
        yield from _of_host(document)
    elif kind == k.GATEWAY:
        for _, server in objects(document.data, "spec", "servers"):
            yield from _secret(text(server, "tls", "credentialName"))
    elif kind in (*k.ROUTES, k.K8S_GATEWAY):
        yield from _of_gateway_api(document)
    elif kind == k.AUTHORIZATION_POLICY:
        yield from _of_policy(document)
    elif kind in k.WORKLOADS:
        yield from _of_workload(document)
    else:
        yield from _scaled(document)


def _of_virtual_service(document: Document) -> Iterator[Need]:
    for target in targets(document):
        host = fqdn(target.host, document.namespace)
        yield Need(("host", host), f"host `{target.host}`")
        if target.port is not None:
            yield Need(("port", host, target.port), f"port {target.port} of `{target.host}`")
        if target.subset:
            yield Need(("subset", host, target.subset), f"subset `{target.subset}` of `{target.host}`")
    for _, written, (namespace, name) in named(document):
        yield Need(("gateway", namespace, name), f"gateway `{written}`")
    for _, rule in objects(document.data, "spec", "http"):
        if name := text(rule, "delegate", "name"):
            home = text(rule, "delegate", "namespace") or document.namespace
            yield Need(("object", k.VIRTUAL_SERVICE, home, name), f"delegate `{name}`")


def _of_destination_rule(document: Document) -> Iterator[Need]:
    spec = object_at(document.data, "spec")
    host = fqdn(text(spec, "host"), document.namespace)
    yield Need(("host", host), f"host `{text(spec, 'host')}`")
    yield from _secret(text(spec, "trafficPolicy", "tls", "credentialName"))
    namespace = host.split(".")[1] if host.endswith(f".svc.{DOMAIN}") else document.namespace
    for _, subset in objects(spec, "subsets"):
        wanted = labels(subset, "labels")
        yield _pods(namespace, wanted, f"pods of subset `{text(subset, 'name')}`")


def _of_host(document: Document) -> Iterator[Need]:
    for host in hosts_of(document):
        if host.selector:
            yield _pods(document.namespace, host.selector, f"pods of `{document.name}`")


def _pods(namespace: str, selector: Mapping[str, str], what: str) -> Need:
    return Need(("pods", namespace, tuple(sorted(selector.items()))), what)


def _secret(name: str) -> Iterator[Need]:
    if name:
        bare = name.rpartition("/")[2]
        yield Need(("secret", bare), f"Secret `{name}`")


def _of_gateway_api(document: Document) -> Iterator[Need]:
    for _, parent in objects(document.data, "spec", "parentRefs"):
        yield _parent(document, parent)
    for _, reference, usual in references(document):
        namespace = text(reference, "namespace") or document.namespace
        kind, name = text(reference, "kind") or usual, text(reference, "name")
        if kind == "Service":
            host = f"{name}.{namespace}.svc.{DOMAIN}"
            yield Need(("host", host), f"Service `{name}`")
            if (number := port(reference, "port")) is not None:
                yield Need(("port", host, number), f"port {number} of `{name}`")
        elif kind == "Secret":
            yield from _secret(name)
        if namespace != document.namespace:
            origin = (document.kind.partition("/")[2], document.namespace)
            yield Need(("grant", *origin, kind, namespace), f"a ReferenceGrant in `{namespace}`")


def _parent(document: Document, parent: Object) -> Need:
    namespace, name = text(parent, "namespace") or document.namespace, text(parent, "name")
    if text(parent, "kind") == "Service":
        return Need(("host", f"{name}.{namespace}.svc.{DOMAIN}"), f"Service `{name}`")
    return Need(("gateway", namespace, name), f"Gateway `{name}`")


def _of_policy(document: Document) -> Iterator[Need]:
    """A rule about who a token names denies everybody as long as nothing reads tokens."""
    for _, rule in objects(document.data, "spec", "rules"):
        sources = [object_at(item, "source") for _, item in objects(rule, "from")]
        keys = [text(item, "key") for _, item in objects(rule, "when")]
        if any("requestPrincipals" in source for source in sources) or any("request.auth." in key for key in keys):
            yield Need(("tokens", document.namespace), f"a RequestAuthentication in `{document.namespace}`")


def _of_workload(document: Document) -> Iterator[Need]:
    pods = pods_of(document)
    spec = pods.spec if pods is not None else {}
    found = [(k.SERVICE_ACCOUNT, text(spec, "serviceAccountName"))]
    for _, volume in objects(spec, "volumes"):
        found += [(k.CONFIG_MAP, text(volume, "configMap", "name")), (k.SECRET, text(volume, "secret", "secretName"))]
    for _, container in objects(spec, "containers"):
        for _, source in objects(container, "envFrom"):
            found += [
                (k.CONFIG_MAP, text(source, "configMapRef", "name")),
                (k.SECRET, text(source, "secretRef", "name")),
            ]
        for _, variable in objects(container, "env"):
            origin = object_at(variable, "valueFrom")
            found += [
                (k.CONFIG_MAP, text(origin, "configMapKeyRef", "name")),
                (k.SECRET, text(origin, "secretKeyRef", "name")),
            ]
    for kind, name in found:
        if name:
            yield Need(("object", kind, document.namespace, name), f"{kind.partition('/')[2]} `{name}`")


def _scaled(document: Document) -> Iterator[Need]:
    """What a HorizontalPodAutoscaler or a Canary is about."""
    for key in ("scaleTargetRef", "targetRef"):
        target = object_at(document.data, "spec", key)
        if text(target, "kind") and text(target, "name"):
            group = text(target, "apiVersion").rpartition("/")[0]
            kind = f"{group}/{text(target, 'kind')}"
            what = f"{text(target, 'kind')} `{text(target, 'name')}`"
            yield Need(("object", kind, document.namespace, text(target, "name")), what)
