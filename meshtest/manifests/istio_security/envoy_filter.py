"""EnvoyFilter: changes to what the control plane generates, and where they count.

Rules: istio pkg/config/validation validateEnvoyFilter and the CRD's own. Not here: what the values mean to Envoy; the
provider checks these against Envoy's own API.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from meshtest.manifests.istio_security import wording
from meshtest.manifests.istio_security.fields import ENVOY_FILTER
from meshtest.manifests.istio_security.scope import scope
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata, shown
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document
from meshtest.model.security import ClusterMatch, ListenerMatch, Patch, ProxyPatches, RoutesMatch

INSERTS = ("INSERT_FIRST", "INSERT_BEFORE", "INSERT_AFTER")
LISTENER_SIDE = ("MERGE", "ADD", "REMOVE")
FILTERS = ("MERGE", "ADD", "REMOVE", "REPLACE", *INSERTS)
OPERATIONS = {
    "LISTENER": LISTENER_SIDE,
    "FILTER_CHAIN": LISTENER_SIDE,
    "NETWORK_FILTER": (*FILTERS, "MERGE_AND_REPLACE_LIST"),
    "HTTP_FILTER": (*FILTERS, "MERGE_AND_REPLACE_LIST"),
    "ROUTE_CONFIGURATION": ("MERGE",),
    "VIRTUAL_HOST": ("MERGE", "ADD", "REMOVE"),
    "HTTP_ROUTE": ("MERGE", "ADD", "REMOVE", *INSERTS),
    "CLUSTER": ("MERGE", "ADD", "REMOVE"),
}
"""What can be patched, and how (istio.io/api networking/v1alpha3 EnvoyFilter.Patch.Operation)."""

LEFT_OUT = {
    "EXTENSION_CONFIG": "write the filter's config into the HTTP_FILTER patch",
    "BOOTSTRAP": "all proxies share one Envoy here, and its bootstrap is not a proxy's own",
    "LISTENER_FILTER": "listener filters are not patched",
}
CONTEXTS = ("ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT")
WORDS = ("MERGE", "ADD", "REMOVE", "REPLACE", *INSERTS, "MERGE_AND_REPLACE_LIST")
ROUTE_ACTIONS = ("ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE")
PARTS = {
    "listener": ("LISTENER", "FILTER_CHAIN", "NETWORK_FILTER", "HTTP_FILTER"),
    "routeConfiguration": ("ROUTE_CONFIGURATION", "VIRTUAL_HOST", "HTTP_ROUTE"),
    "cluster": ("CLUSTER",),
}
"""Which match belongs to which kinds of patch."""


@per_document
def envoy_filter(document: Document, notes: list[Diagnostic]) -> ProxyPatches | None:
    view = View.of(document, ENVOY_FILTER, notes)
    metadata(view)
    spec = view.child("spec")
    if spec is None:
        view.require("spec")
        return None
    return ProxyPatches(
        name=document.name,
        scope=scope(spec, "workloadSelector", "labels"),
        priority=spec.integer("priority") or 0,
        patches=tuple(_patches(spec)),
        created=str(document.metadata.get("creationTimestamp") or ""),
        source=document.where(),
    )


def _patches(spec: View) -> Iterator[Patch]:
    for entry in wording.objects(spec, "configPatches"):
        apply_to = wording.word(entry, "applyTo", (*OPERATIONS, *LEFT_OUT), "")
        if not apply_to:
            if not entry.data.get("applyTo"):
                entry.error("missing-field", f"{entry.name()}: Envoy filter: missing applyTo")
        elif apply_to in LEFT_OUT:
            entry.not_supported(LEFT_OUT[apply_to], "applyTo")
        elif (made := _patch(entry, apply_to)) is not None:
            yield made


def _patch(entry: View, apply_to: str) -> Patch | None:
    match = entry.child("match")
    context = _context(match) if match is not None else "ANY"
    patch = entry.child("patch")
    operation = _operation(entry, patch, apply_to)
    value = _value(patch, apply_to, operation) if patch is not None and operation else None
    if value is None or context == "WAYPOINT":
        return None
    made = Patch(apply_to=apply_to, operation=operation, value=value, context=context, source=entry.source())
    return made if match is None else _matched(made, match)


def _operation(entry: View, patch: View | None, apply_to: str) -> str:
    """ "" when it is none, which is then told."""
    if patch is None or not patch.data.get("operation"):
        entry.error("missing-field", f"{entry.name()}: Envoy filter: missing patch operation", "patch")
        return ""
    operation = wording.word(patch, "operation", WORDS, "")
    if operation and operation not in OPERATIONS[apply_to]:
        allowed = ", ".join(OPERATIONS[apply_to])
        patch.error("bad-value", f"{patch.name('operation')}: {apply_to} takes {allowed}, not {operation}", "operation")
        return ""
    return operation


def _value(patch: View, apply_to: str, operation: str) -> dict[str, Any] | None:
    value = patch.data.get("value")
    if operation == "REMOVE":
        return {}
    if not isinstance(value, dict):
        text = f"{patch.name('value')} must be a mapping: what {operation} puts there"
        patch.error("missing-field", f"Envoy filter: missing patch value for non-remove operation; {text}", "value")
        return None
    added = operation not in ("MERGE", "MERGE_AND_REPLACE_LIST")
    if apply_to in ("HTTP_FILTER", "NETWORK_FILTER") and added and not value.get("name"):
        patch.error("missing-field", f"{patch.name('value')}: a filter needs a name", "value")
        return None
    return value


def _context(match: View) -> str:
    context = wording.word(match, "context", CONTEXTS, "ANY")
    if (context == "WAYPOINT") != ("waypoint" in match):
        text = 'Invalid value: "object": only support waypointMatch when context is WAYPOINT'
        match.error("bad-value", f"{shown(match.path)}: {text}")
    if context == "WAYPOINT":
        match.not_supported("there are no waypoints: proxies are sidecars and gateways", "context")
    if (waypoint := match.child("waypoint")) is not None:
        _port(waypoint)
    return context


def _port(view: View) -> int | None:
    """`portNumber`, in the API server's words when it is none."""
    value = view.data.get("portNumber")
    if value is None or value == 0:
        return None
    if isinstance(value, int) and not 0 < value <= 65535:
        text = f'{shown((*view.path, "portNumber"))}: Invalid value: "integer": port must be between 1-65535'
        view.error("bad-value", text, "portNumber")
        return None
    return view.integer("portNumber")


def _matched(patch: Patch, match: View) -> Patch:
    for part, kinds in PARTS.items():
        if part in match and patch.apply_to not in kinds:
            text = f"{match.name(part)} does not match a patch of {patch.apply_to}; it has no effect, in Istio too"
            match.warn("no-effect", text, part)
    if (listener := match.child("listener")) is not None:
        patch = replace(patch, listener=_listener(listener))
        _relative(match, patch.apply_to, patch.operation, patch.listener)
    if (routes := match.child("routeConfiguration")) is not None:
        patch = replace(patch, routes=_routes(routes))
    if (cluster := match.child("cluster")) is not None:
        patch = replace(patch, cluster=_cluster(cluster))
    return patch


def _cluster(view: View) -> ClusterMatch:
    name, service, subset = (view.string(key) for key in ("name", "service", "subset"))
    return ClusterMatch(name=name, port=_port(view), service=service, subset=subset)


def _relative(match: View, apply_to: str, operation: str, listener: ListenerMatch) -> None:
    """An HTTP filter is found through the network filter that holds it."""
    if apply_to == "HTTP_FILTER" and listener.sub_filter and not listener.filter:
        text = f"{match.name('listener')}: subFilter needs the name of the network filter that holds it"
        match.error("bad-value", text, "listener")
    if operation in ("REPLACE", "REMOVE", "MERGE") and apply_to == "HTTP_FILTER" and not listener.sub_filter:
        text = f"{match.name('listener')}: {operation} needs filterChain.filter.subFilter.name, or it finds no filter"
        match.warn("no-effect", text, "listener")


def _listener(view: View) -> ListenerMatch:
    chain = view.child("filterChain")
    network = chain.child("filter") if chain is not None else None
    inner = network.child("subFilter") if network is not None else None
    return ListenerMatch(
        port=_port(view),
        name=view.string("name"),
        chain=chain.string("name") if chain is not None else "",
        sni=chain.string("sni") if chain is not None else "",
        transport=chain.string("transportProtocol") if chain is not None else "",
        application_protocols=chain.string("applicationProtocols") if chain is not None else "",
        destination_port=(chain.integer("destinationPort") or None) if chain is not None else None,
        filter=network.string("name") if network is not None else "",
        sub_filter=inner.string("name") if inner is not None else "",
    )


def _routes(view: View) -> RoutesMatch:
    host = view.child("vhost")
    route = host.child("route") if host is not None else None
    return RoutesMatch(
        name=view.string("name"),
        port=_port(view),
        gateway=view.string("gateway"),
        host=host.string("name") if host is not None else "",
        domain=host.string("domainName") if host is not None else "",
        route=route.string("name") if route is not None else "",
        action=wording.word(route, "action", ROUTE_ACTIONS, "ANY") if route is not None else "ANY",
    )
