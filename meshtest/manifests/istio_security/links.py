"""What security policies say about others: workloads they select, services that serve keys, addresses there are none.

Each complaint says what the policy will do here, so that nothing passes in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from meshtest.lib.words import listed, nearest
from meshtest.model.diagnostic import Diagnostic, Severity, Source
from meshtest.model.route import MESH, Gateway
from meshtest.model.security import (
    GATEWAY_NAME_LABEL,
    INGRESS_LABELS,
    ROOT_NAMESPACE,
    Authentication,
    Authorization,
    Policy,
    Proxy,
    ProxyPatches,
    Scope,
    TokenRule,
    covers,
    sidecar,
)
from meshtest.model.service import Service
from meshtest.model.topology import Topology

NO_ADDRESS = {
    "source.ip": "all pods are processes of one machine and meet on unix sockets, so no connection has a source IP",
    "destination.ip": "all pods are processes of one machine and meet on unix sockets, so none has an IP of its own",
}


def gateway_proxies(gateways: Iterable[Gateway]) -> list[Proxy]:
    """One proxy for each gateway address: the ingress of the root namespace, or a Gateway's own (Gateway API)."""
    by_address: dict[str, list[Gateway]] = {}
    for gateway in gateways:
        by_address.setdefault(gateway.address, []).append(gateway)
    return [gateway_proxy(address, members) for address, members in by_address.items()]


def gateway_proxy(address: str, members: Iterable[Gateway]) -> Proxy:
    """The proxy that serves these gateways of one address."""
    members = list(members)
    keys = frozenset(g.key for g in members)
    if "/" in address and "=" not in address:  # a Gateway of Gateway API
        namespace, _, name = address.partition("/")
        return Proxy(namespace=namespace, labels={GATEWAY_NAME_LABEL: name}, gateways=keys)
    labels: dict[str, str] = {} if address else dict(INGRESS_LABELS)
    for gateway in members:
        labels |= gateway.selector
    return Proxy(namespace=ROOT_NAMESPACE, labels=labels, gateways=keys)


def link(topology: Topology) -> Iterator[Diagnostic]:
    """All there is to say once the whole topology is known."""
    proxies = [*(sidecar(w) for w in topology.workloads), *gateway_proxies(topology.gateways)]
    policies: list[tuple[str, Authorization | Authentication | ProxyPatches]] = [
        *(("AuthorizationPolicy", a) for a in topology.authorizations),
        *(("RequestAuthentication", a) for a in topology.authentications),
        *(("EnvoyFilter", p) for p in topology.proxy_patches),
    ]
    for kind, policy in policies:
        yield from _selects(kind, policy, policy.source, proxies)
    for authorization in topology.authorizations:
        yield from _addresses(authorization, proxies)
    for authentication in topology.authentications:
        for rule in authentication.rules:
            yield from _key_server(rule, topology.services)
    yield from _claim_routes(topology)
    for patches in topology.proxy_patches:
        yield from _shared(patches)


def _selects(kind: str, policy: Policy, source: Source, proxies: list[Proxy]) -> Iterator[Diagnostic]:
    scope = policy.scope
    if any(covers(scope, proxy) for proxy in proxies) or not proxies:
        return
    whom = f"pods with the labels {_labels(scope)}" if scope.labels else "any pod"
    if scope.targets:
        whom = listed(f"{t.kind} `{t.name}`" for t in scope.targets)
    text = f"{kind} `{policy.name}` has no effect: namespace {scope.namespace!r} does not have {whom}"
    yield Diagnostic(Severity.WARNING, "selects-nothing", text + _meant(scope, proxies), source)


def _labels(scope: Scope) -> str:
    return listed(f"{name}={value}" for name, value in scope.labels.items())


def _meant(scope: Scope, proxies: list[Proxy]) -> str:
    """What was probably meant: a value that is nearly there, or the namespace that gateways are in."""
    if any(p.is_gateway and covers(Scope(namespace=p.namespace, labels=scope.labels), p) for p in proxies):
        return f"; gateways are in namespace {ROOT_NAMESPACE!r} here"
    for name, value in scope.labels.items():
        values = {p.labels[name] for p in proxies if name in p.labels}
        if value not in values and (close := nearest(value, values)):
            return f"; did you mean {name}={close}?"
    elsewhere = sorted({p.namespace for p in proxies if covers(Scope(namespace=p.namespace, labels=scope.labels), p)})
    return f"; there are some in {listed(elsewhere)}" if scope.labels and elsewhere else ""


def _addresses(policy: Authorization, proxies: list[Proxy]) -> Iterator[Diagnostic]:
    at_gateway = any(p.is_gateway and covers(policy.scope, p) for p in proxies)
    for rule in policy.rules:
        for condition in (*rule.conditions, *(c for part in (*rule.sources, *rule.operations) for c in part)):
            if why := NO_ADDRESS.get(condition.key):
                text = f"`{condition.key}` is not supported: {why}; it is never in a block ({_effect(policy)})"
                yield Diagnostic(Severity.WARNING, "not-supported", text, condition.source)
            elif condition.key == "remote.ip" and at_gateway:
                text = "at a gateway every client is 127.0.0.1 here, unless an EnvoyFilter sets xff_num_trusted_hops"
                yield Diagnostic(Severity.WARNING, "not-supported", f"`remote.ip`: {text}", condition.source)


def _effect(policy: Authorization) -> str:
    if policy.action == "ALLOW":
        return "blocks allow nothing, not-blocks exclude nothing"
    return "blocks deny nothing, not-blocks exclude nothing"


def key_server(uri: str, services: Iterable[Service]) -> tuple[Service, int] | None:
    """The service of the mesh that a jwksUri leads to, and its port (Istio: model.LookupCluster)."""
    parts = urlsplit(uri)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    for service in services:
        spellings = (service.fqdn, f"{service.name}.{service.namespace}.svc", f"{service.name}.{service.namespace}")
        if parts.hostname in spellings and any(p.number == port for p in service.ports):
            return service, port
    return None


SHARED_ROUTES = ("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE")
LISTENER_PARTS = ("LISTENER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER")


def _shared(patches: ProxyPatches) -> Iterator[Diagnostic]:
    """Where a patch reaches further than on a cluster, because proxies here share it."""
    for patch in patches.patches:
        outbound = patch.context in ("ANY", "SIDECAR_OUTBOUND")
        text = ""
        if patch.apply_to in SHARED_ROUTES and outbound and patches.scope.labels:
            text = "callers of one namespace share their routes here: the patch counts for all of them"
        elif patch.apply_to == "CLUSTER" and patch.context != "SIDECAR_INBOUND" and patches.scope.labels:
            text = "all proxies share their clusters here: the patch counts for every caller"
        elif patch.apply_to in LISTENER_PARTS and patch.context == "SIDECAR_OUTBOUND" and patch.listener.port:
            text = "a caller has one outbound listener for all ports here: the patch counts for each of them"
        if text:
            yield Diagnostic(Severity.WARNING, "shared", f"EnvoyFilter `{patches.name}`: {text}", patch.source)


def _claim_routes(topology: Topology) -> Iterator[Diagnostic]:
    """Istio refuses claims in routes of sidecars (ValidateVirtualService), and warns where no token is checked
    (IST0149)."""
    for table in topology.tables:
        for route in table.routes:
            claims = [h.name for h in route.match.headers if h.claim]
            if not claims:
                continue
            if MESH in (route.match.gateways or table.gateways):
                text = f"JWT claim based routing ({claims[0]}) is only supported for gateway, found gateways: mesh"
                yield Diagnostic(Severity.ERROR, "bad-value", text, route.source)
            elif not _checked(topology, route.match.gateways or table.gateways):
                text = f"no RequestAuthentication checks tokens at this gateway, so {claims[0]} is never there"
                yield Diagnostic(Severity.WARNING, "no-token", text, route.source)


def _checked(topology: Topology, gateways: Iterable[str]) -> bool:
    """Tokens are checked at one of the gateways."""
    wanted = set(gateways)
    proxies = [p for p in gateway_proxies(topology.gateways) if not wanted.isdisjoint(p.gateways)]
    return any(covers(a.scope, proxy) for a in topology.authentications for proxy in proxies)


def _key_server(rule: TokenRule, services: tuple[Service, ...]) -> Iterator[Diagnostic]:
    if rule.jwks_uri and urlsplit(rule.jwks_uri).hostname and key_server(rule.jwks_uri, services) is None:
        text = (
            f"`jwksUri` {rule.jwks_uri!r} leads to no service and port of this mesh, and nothing leaves this machine: "
            f"every token of {rule.issuer!r} is refused; write the keys into `jwks`, or add a Service that serves them "
            "(by its name.namespace)"
        )
        yield Diagnostic(Severity.WARNING, "unknown-host", text, rule.source)
