"""tcp and tls rules of a VirtualService: connections by port, server name and destination address.

By Istio's pilot/pkg/networking/core/tls.go; validation as in pkg/config/validation (validateTLSMatch).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from ipaddress import ip_network

from meshtest.manifests.istio import names
from meshtest.manifests.istio.destinations import entries, target, weights
from meshtest.manifests.view import View
from meshtest.manifests.wildcards import covers
from meshtest.model.route import Destination, StreamMatch, StreamRoute


def tcp_routes(spec: View) -> Iterator[StreamRoute]:
    """Each `match` entry of a rule is a route of its own; rules behind one that takes everything are told."""
    catch_all: View | None = None
    for rule in spec.children("tcp"):
        if catch_all is not None:
            text = f"{rule.name()} is never reached: {catch_all.name()} ({catch_all.source()}) takes every connection"
            rule.warn("unreachable-rule", text)
        matches = [stream_match(m) for m in rule.children("match")] or [StreamMatch()]
        if StreamMatch() in matches:
            catch_all = catch_all or rule
        yield from _routes(rule, matches)


def tls_routes(spec: View) -> Iterator[StreamRoute]:
    for rule in spec.children("tls"):
        views = rule.children("match")
        if not views:
            rule.error("missing-field", f"{rule.name('match')} is required: a tls rule goes by `sniHosts`")
        yield from _routes(rule, [_tls_match(view, spec.strings("hosts")) for view in views])


def _routes(rule: View, matches: Sequence[StreamMatch]) -> Iterator[StreamRoute]:
    if not rule.require("route"):
        return
    destinations = _destinations(rule)
    for match in matches if destinations else ():
        yield StreamRoute(match=match, destinations=destinations, source=rule.source())


def _destinations(rule: View) -> tuple[Destination, ...]:
    views = entries(rule)
    shares = zip(views, weights(rule, views), strict=True)
    found = ((target(view, "destination"), weight) for view, weight in shares)
    return tuple(replace(to, weight=weight) for to, weight in found if to is not None and weight)


def stream_match(view: View) -> StreamMatch:
    return StreamMatch(
        port=view.port("port"),
        destination_subnets=tuple(_subnets(view)),
        caller_labels=view.string_map("sourceLabels"),
        caller_namespace=view.string("sourceNamespace"),
        gateways=tuple(names.gateway(g, view.document.namespace) for g in view.strings("gateways")),
    )


def _tls_match(view: View, hosts: Sequence[str]) -> StreamMatch:
    wanted = view.strings("sniHosts")
    if view.require("sniHosts") and not wanted:
        view.error("missing-field", f"{view.name('sniHosts')} needs at least one server name", "sniHosts")
    for index, name in enumerate(wanted):
        if not any(name == host or covers(host, name) for host in hosts):
            text = (
                f"{view.name('sniHosts', index)}: {name!r} is none of the VirtualService's hosts ({', '.join(hosts)})"
            )
            view.error("bad-value", text, "sniHosts", index)
    return replace(stream_match(view), sni_hosts=wanted)


def _subnets(view: View) -> Iterator[str]:
    for index, text in enumerate(view.strings("destinationSubnets")):
        try:
            yield str(ip_network(text, strict=False))
        except ValueError:
            where = view.name("destinationSubnets", index)
            view.error("bad-value", f"{where} must be an IP address or CIDR, not {text!r}", "destinationSubnets", index)
