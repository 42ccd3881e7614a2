"""VirtualService and DestinationRules of a Canary. Rules: IstioRouter of fluxcd/flagger pkg/router/istio.go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meshtest.model.document import Document, Documents, Path
from meshtest.rollouts.canary import affinity
from meshtest.rollouts.canary.objects.origin import Json, Origin, filled, mapping, mappings
from meshtest.rollouts.canary.objects.services import route_metadata
from meshtest.rollouts.canary.spec import Canary
from meshtest.rollouts.canary.state import ALL_CANARY, ALL_PRIMARY, Routes, Status

VIRTUAL_SERVICE = "networking.istio.io/v1beta1/VirtualService"
DESTINATION_RULE = "networking.istio.io/v1beta1/DestinationRule"
MESH = "mesh"
COOKIE, SET_COOKIE = "Cookie", "Set-Cookie"
ACTIONS = ("timeout", "retries", "corsPolicy", "headers")
"""What a rule takes from `spec.service` as it stands there."""


def routed(canary: Canary, documents: Documents, routes: Routes, status: Status) -> list[Document]:
    origin = Origin.of(canary, documents)
    rules = [_destination_rule(canary, origin, name) for name in (canary.service.canary, canary.service.primary)]
    return [*rules, _virtual_service(canary, documents, _rules(canary, routes, status))]


def _destination_rule(canary: Canary, origin: Origin, name: str) -> Document:
    spec = {"host": name, **filled(trafficPolicy=canary.service.data.get("trafficPolicy"))}
    places: dict[Path, Path] = {("spec", "trafficPolicy"): ("spec", "service", "trafficPolicy")}
    return origin.made(DESTINATION_RULE, name, {"spec": spec}, places)


def _virtual_service(canary: Canary, documents: Documents, rules: list[Json]) -> Document:
    service, origin = canary.service, Origin.of(canary, documents)
    labels, annotations = route_metadata(canary, documents)
    protocol = "tcp" if service.is_tcp else "http"
    body = {
        "metadata": {**filled(labels=labels), "annotations": annotations},
        "spec": {**_ends(canary), protocol: rules},
    }
    places: dict[Path, Path] = {("spec", key): ("spec", "service", key) for key in ("hosts", "gateways")}
    for index in range(len(rules)):
        places |= {("spec", protocol, index, key): ("spec", "service", key) for key in ("match", "rewrite", *ACTIONS)}
    if _matched(canary):
        places["spec", "http", 0, "match"] = ("spec", "analysis", "match")
    return origin.made(VIRTUAL_SERVICE, service.name, body, places)


def _ends(canary: Canary) -> Json:
    """Hosts and gateways; a delegate has none of its own."""
    service = canary.service
    if service.delegation:
        return {}
    named = service.name in service.hosts or "*" in service.hosts
    hosts = [*service.hosts, *(() if named else (service.name,))]
    return {"hosts": hosts, "gateways": list(service.gateways) or [MESH]}


def _matched(canary: Canary) -> bool:
    return bool(canary.analysis.match) and not canary.service.is_tcp


def _rules(canary: Canary, routes: Routes, status: Status) -> list[Json]:
    if canary.service.is_tcp:
        return [_connections(canary, routes)]
    if _matched(canary):
        chosen = merged(canary.analysis.match, service_match(canary))
        only = [destination(canary, canary.service.primary, routes.primary)]
        return [_rule(canary, routes, chosen), {**_rule(canary, routes), "route": only}]
    if canary.analysis.affinity is None:
        rules = [_rule(canary, routes)]
    else:
        rules = _sticky(canary, routes, affinity.after(status, canary, canary.analysis.affinity, routes))
    return [rules[0] | _mirror(canary), *rules[1:]] if routes.mirrored else rules


def _connections(canary: Canary, routes: Routes) -> Json:
    ports = [filled(port=one.get("port")) for one in service_match(canary)]
    return {**filled(match=ports), "route": _split(canary, routes)}


def service_match(canary: Canary) -> list[Json]:
    return mappings(canary.service.data.get("match"))


def _rule(canary: Canary, routes: Routes, match: list[Json] | None = None) -> Json:
    data = canary.service.data
    rewrite = {key: value for key, value in mapping(data.get("rewrite")).items() if key in ("uri", "authority")}
    return {
        **filled(match=service_match(canary) if match is None else match),
        "route": _split(canary, routes),
        **filled(rewrite=rewrite, **{key: data.get(key) for key in ACTIONS}),
    }


def _split(canary: Canary, routes: Routes) -> list[Json]:
    service = canary.service
    return [destination(canary, service.primary, routes.primary), destination(canary, service.canary, routes.canary)]


def destination(canary: Canary, host: str, weight: int) -> Json:
    """Behind a gateway of its own a discovered port has to be named: the Services have several."""
    service = canary.service
    outside = bool(service.gateways) and service.gateways[0] != MESH
    named = service.data.get("portDiscovery") and (outside or service.delegation)
    return {"destination": {"host": host, **({"port": {"number": service.port}} if named else {})}, "weight": weight}


def _mirror(canary: Canary) -> Json:
    share = canary.analysis.mirror_weight
    return {"mirror": {"host": canary.service.canary}, **({"mirrorPercentage": {"value": share}} if share else {})}


def merged(chosen: Any, defaults: list[Json]) -> list[Json]:
    """Conditions of the analysis on top of those of the service: only headers and source labels, in place of those."""
    if not defaults:
        return mappings(chosen)
    own = [{key: one[key] for key in ("headers", "sourceLabels") if key in one} for one in mappings(chosen)]
    return [default | one for one in own for default in defaults]


# -- session affinity


def _sticky(canary: Canary, routes: Routes, status: Status) -> list[Json]:
    """Users with a cookie stay where they are; the others are split, and get one."""
    assert canary.analysis.affinity
    rule, cookies = _rule(canary, routes), affinity.set_cookies(status, canary, canary.analysis.affinity)
    if not status.cookie:
        return _taken_back(canary, rule, status, cookies.get("previous", ""))
    primary, to_canary = rule["route"]
    to_canary |= {"headers": _set_cookie(cookies["canary"])}
    rules = [{**rule, "match": _held(canary, status.cookie), "route": _split(canary, ALL_CANARY)}]
    if "primary" in cookies:
        primary |= {"headers": _set_cookie(cookies["primary"])}
        kept = _held(canary, status.primary_cookie)
        rules.append({**rule, "match": kept, "route": _split(canary, ALL_PRIMARY)})
    return [*rules, rule]


def _taken_back(canary: Canary, rule: Json, status: Status, cookie: str) -> list[Json]:
    """The cookie of the last run ends. Flagger adds that to the headers of the service, which all rules share."""
    if not cookie:
        return [rule]  # Flagger writes it twice
    own = mapping(canary.service.data.get("headers"))
    headers = _with_cookie(own, cookie)
    sticky = {**rule, "match": _held(canary, status.previous_cookie), "headers": headers}
    return [sticky, {**rule, "headers": headers} if own else rule]


def _with_cookie(headers: Mapping[str, Any], cookie: str) -> Json:
    response = mapping(headers.get("response"))
    return {**headers, "response": {**response, "add": mapping(response.get("add")) | {SET_COOKIE: cookie}}}


def _set_cookie(value: str) -> Json:
    return {"response": {"add": {SET_COOKIE: value}}}


def _held(canary: Canary, cookie: str) -> list[Json]:
    return merged([{"headers": {COOKIE: {"regex": held(cookie)}}}], service_match(canary))


def held(cookie: str) -> str:
    """The expression for a Cookie header that has `name=value` in it."""
    name, _, value = cookie.partition("=")
    return f".*{name}.*{value}.*"
