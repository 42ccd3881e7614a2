"""Virtual hosts as Envoy route configurations.

Field by field as Istio's pilot/pkg/networking/core/route/route.go does it; the model already carries all defaults.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from meshtest.model.policy import HashOn, HostPolicy, LoadBalancing
from meshtest.model.request import SERVED_BY
from meshtest.model.route import (
    Abort,
    Cors,
    Delay,
    Destination,
    DirectResponse,
    Fault,
    HeaderEdits,
    HeaderMatch,
    Match,
    Redirect,
    Retry,
    Rewrite,
    Route,
    StringMatch,
    VirtualHost,
)
from meshtest.model.topology import Topology
from meshtest_envoy.xds import names
from meshtest_envoy.xds.names import TYPE_URL
from meshtest_envoy.xds.resources import Json, drop_none, seconds

FAULT = "envoy.filters.http.fault"
CORS = "envoy.filters.http.cors"

CALLER = "meshtest.caller"
"""Filter state that an outbound listener sets: whose proxy it is."""

MILLION = 1_000_000


def route_configuration(name: str, hosts: Sequence[Json], *, any_port: bool) -> Json:
    """`any_port`: hosts are matched without their port (a gateway's listener already is one port)."""
    return {
        "@type": TYPE_URL + "envoy.config.route.v3.RouteConfiguration",
        "name": name,
        "virtual_hosts": list(hosts),
        "validate_clusters": False,
        "ignore_port_in_host_matching": any_port,
        "max_direct_response_body_size_bytes": 1024 * 1024,
        "response_headers_to_add": [set_header(SERVED_BY, "%UPSTREAM_METADATA(meshtest:server)%")],
    }


def blocked() -> Json:
    """What the mesh does with hosts it does not know: Istio's REGISTRY_ONLY answer. Nothing leaves this machine."""
    action = {"status": 502, "body": {"inline_string": "no such host in this mesh\n"}}
    return {
        "name": "block_all",
        "domains": ["*"],
        "routes": [{"name": "block_all", "match": {"prefix": "/"}, "direct_response": action}],
    }


def pods() -> Json:
    """Requests that name a pod by its address: no route counts (Istio's passthrough)."""
    action = {"cluster_header": ":authority", "timeout": "0s"}
    return {
        "name": "pods",
        "domains": [f"{names.POD_ADDRESS}:*"],
        "routes": [{"name": "pods", "match": {"prefix": "/"}, "route": action}],
    }


def virtual_host(topology: Topology, host: VirtualHost) -> Json:
    return {
        "name": host.name,
        "domains": list(host.domains),
        "routes": [translated for r in host.routes for translated in routes(topology, r)],
        "include_request_attempt_count": True,
        "include_attempt_count_in_response": True,
    }


def only_for(callers: Sequence[str], translated: Json) -> Json:
    """The route, for these callers only (Istio's sourceLabels, sourceNamespace)."""
    who = "|".join(_quoted(c) for c in callers)
    condition = {"key": CALLER, "string_match": {"safe_regex": {"regex": who}}}
    return {**translated, "match": {**translated["match"], "filter_state": [condition]}}


def routes(topology: Topology, r: Route) -> Iterator[Json]:
    """The route; or one a destination where they differ in what only a whole route can say.

    Envoy compares one random value a request with the fraction of every route it tries
    (`RouteEntryImplBase::matchRoute`), so the fractions add up: the second of 20 %, 30 % and 50 % has 50 %.
    """
    if all(_plain(d) for d in r.destinations):
        yield route(topology, r)
        return
    total, so_far = sum(d.weight for d in r.destinations), 0
    for destination in r.destinations:
        so_far += destination.weight
        translated = route(topology, _alone(r, destination))
        if so_far < total:
            share = {"numerator": round(MILLION * so_far / total), "denominator": "MILLION"}
            translated["match"] = {**translated["match"], "runtime_fraction": {"default_value": share}}
        yield translated


def _plain(destination: Destination) -> bool:
    """Envoy's weighted clusters can express it; of rewrites they know that of the host."""
    path = destination.rewrite and replace(destination.rewrite, authority="") != Rewrite()
    return not (path or destination.redirect or destination.mirrors or destination.broken)


def _alone(r: Route, destination: Destination) -> Route:
    """What the requests of one destination's share do."""
    if destination.broken:
        response = DirectResponse(status=destination.broken)
        return replace(r, destinations=(), direct_response=response, rewrite=None, mirrors=())
    if destination.redirect:
        return replace(r, destinations=(), redirect=destination.redirect, rewrite=None, mirrors=())
    return replace(
        r,
        destinations=(destination,),
        rewrite=destination.rewrite or r.rewrite,
        mirrors=(*r.mirrors, *destination.mirrors),
    )


def route(topology: Topology, r: Route) -> Json:
    result: Json = {"match": match(r.match)}
    if r.name:
        result["name"] = r.name
    if r.redirect:
        result["redirect"] = redirect(r.redirect, r.match)
    elif r.direct_response:
        body = {"body": {"inline_string": r.direct_response.body}} if r.direct_response.body else {}
        result["direct_response"] = {"status": r.direct_response.status, **body}
    else:
        result["route"] = action(topology, r)
    result |= all_header_edits(r)
    if filters := per_route_filters(r.fault, r.cors):
        result["typed_per_filter_config"] = filters
    return result


def action(topology: Topology, r: Route) -> Json:
    result: Json = {"timeout": seconds(r.timeout or 0.0), **targets(r)}
    if r.timeout:
        # as Istio, and not max_stream_duration: with that Envoy would not look at `timeout` any more
        result["max_grpc_timeout"] = seconds(r.timeout)
    hashes = [h for d in r.destinations for h in hash_policy(topology.policies.get(d.host), d)]
    if hashes:
        result["hash_policy"] = hashes
    if r.retry and r.retry.attempts:
        result["retry_policy"] = retry_policy(r.retry, hashed=bool(hashes))
    if r.rewrite:
        result |= rewrite(r.rewrite, r.match)
    if r.mirrors:
        result["request_mirror_policies"] = [
            {
                "cluster": cluster_of(m.destination),
                "runtime_fraction": {"default_value": fraction(m.percent)},
                "trace_sampled": False,
                # Istio's default since 1.25; before, the mirror saw HOST-shadow
                "disable_shadow_host_suffix_append": True,
            }
            for m in r.mirrors
        ]
    return result


def cluster_of(destination: Destination) -> str:
    return names.outbound_cluster(destination.host, destination.port, destination.subset)


def targets(r: Route) -> Json:
    """One destination is a cluster and its weight does not count; several are weighted clusters."""
    if len(r.destinations) == 1:
        return {"cluster": cluster_of(r.destinations[0])}
    weighted = [
        {
            "name": cluster_of(d),
            "weight": d.weight,
            **header_edits(d.request_headers, d.response_headers),
            **({"host_rewrite_literal": d.rewrite.authority} if d.rewrite and d.rewrite.authority else {}),
        }
        for d in r.destinations
        if d.weight > 0
    ]
    return {"weighted_clusters": {"clusters": weighted}}


def hash_policy(policy: HostPolicy | None, destination: Destination) -> list[Json]:
    """Consistent hashing picks a replica within a cluster; it does not choose among weighted subsets (istio#9764)."""
    if policy is None:
        return []
    subset = next((s for s in policy.subsets if s.name == destination.subset), None)
    chosen = subset.policy_for(destination.port) if subset else policy.policy_for(destination.port)
    on = (chosen.load_balancing or LoadBalancing()).hash_on
    return [hash_on(on)] if on else []


def hash_on(on: HashOn) -> Json:
    if on.header:
        return {"header": {"header_name": on.header}}
    if on.cookie:
        ttl = None if on.cookie_ttl is None else seconds(on.cookie_ttl)
        attributes = [{"name": name, "value": value} for name, value in on.cookie_attributes] or None
        return {"cookie": drop_none(name=on.cookie, ttl=ttl, path=on.cookie_path or None, attributes=attributes)}
    if on.query:
        return {"query_parameter": {"name": on.query}}
    return {"connection_properties": {"source_ip": True}}


def match(m: Match) -> Json:
    result = path_match(m.path or StringMatch(kind="prefix", value="/"))
    if headers := [header_match(h) for h in sorted(m.headers, key=lambda h: h.name) if not h.claim]:
        result["headers"] = headers
    if claims := [claim_match(h) for h in m.headers if h.claim]:
        result["dynamic_metadata"] = claims
    if m.query:
        result["query_parameters"] = [
            {"name": name, **({"present_match": True} if s.kind == "present" else {"string_match": string_match(s)})}
            for name, s in m.query
        ]
    return result


def path_match(path: StringMatch) -> Json:
    case = {"case_sensitive": False} if path.ignore_case else {}
    match path.kind:
        case "exact":
            return {"path": path.value, **case}
        case "regex":
            return {"safe_regex": {"regex": path.value}}
        case "path_prefix" if path.value.rstrip("/"):
            return {"path_separated_prefix": path.value.rstrip("/"), **case}
        case _:
            return {"prefix": path.value or "/", **case}


def header_match(h: HeaderMatch) -> Json:
    result: Json = {"name": h.name}
    if h.match.kind == "present":
        result["present_match"] = True
    else:
        result["string_match"] = string_match(h.match)
    if h.invert:
        result["invert_match"] = True
    if h.missing_is_empty:
        result["treat_missing_header_as_empty"] = True
    return result


def claim_match(h: HeaderMatch) -> Json:
    """A claim of the token that jwt_authn has verified: a string, or a list with it (Istio)."""
    wanted = StringMatch(kind="regex", value=".*") if h.match.kind == "present" else h.match
    value = {"string_match": string_match(wanted)}
    result: Json = {
        "filter": "envoy.filters.http.jwt_authn",
        "path": [{"key": key} for key in ("payload", *h.claim)],
        "value": {"or_match": {"value_matchers": [{"list_match": {"one_of": value}}, value]}},
    }
    return {**result, "invert": True} if h.invert else result


def string_match(s: StringMatch) -> Json:
    case = {"ignore_case": True} if s.ignore_case and s.kind != "regex" else {}
    if s.kind == "regex":
        return {"safe_regex": {"regex": s.value}}
    return {"prefix" if s.kind in {"prefix", "path_prefix"} else "exact": s.value, **case}


def retry_policy(retry: Retry, *, hashed: bool) -> Json:
    """Istio: pilot/pkg/networking/core/route/retry/retry.go. With consistent hashing there is no host predicate."""
    result: Json = {"num_retries": retry.attempts, "retry_on": ",".join(retry.on)}
    if retry.status_codes:
        result["retriable_status_codes"] = list(retry.status_codes)
    if retry.per_try_timeout is not None:
        result["per_try_timeout"] = seconds(retry.per_try_timeout)
    if retry.backoff is not None:
        result["retry_back_off"] = {"base_interval": seconds(retry.backoff)}
    if retry.other_host and not hashed:
        previous = TYPE_URL + "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
        result["retry_host_predicate"] = [
            {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {"@type": previous}}
        ]
        result["host_selection_retry_max_attempts"] = "5"
    if retry.other_localities:
        previous = TYPE_URL + "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
        result["retry_priority"] = {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {"@type": previous, "update_frequency": 2},
        }
    return result


def rewrite(r: Rewrite, m: Match) -> Json:
    result: Json = {"host_rewrite_literal": r.authority} if r.authority else {}
    if r.regex:
        result["regex_rewrite"] = {"pattern": {"regex": r.regex[0]}, "substitution": r.regex[1]}
    elif r.full_path:
        result["regex_rewrite"] = {"pattern": {"regex": "^/.*$"}, "substitution": r.full_path.replace("\\", r"\\")}
    elif r.prefix:
        result |= new_prefix(r.prefix, m)
    return result


def new_prefix(prefix: str, m: Match) -> Json:
    """What replaces the part of the path that was matched. Path elements stay whole: `/a` to `/` is no `//`."""
    if m.path is None or m.path.kind != "path_prefix":
        return {"prefix_rewrite": prefix}
    old = m.path.value.rstrip("/")
    if prefix == "/":
        # a bare prefix_rewrite would leave "//rest"
        pattern = f"^{_quoted(old)}(/?)(.*)"
        return {"regex_rewrite": {"pattern": {"regex": pattern}, "substitution": r"/\2"}}
    return {"prefix_rewrite": prefix if old else f"{prefix.rstrip('/')}/"}


def _quoted(text: str) -> str:
    """RE2 quoting."""
    return "".join(c if c.isalnum() or c in "/_-" else f"\\{c}" for c in text)


REDIRECT_CODES = {
    301: "MOVED_PERMANENTLY",
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}


def redirect(r: Redirect, m: Match) -> Json:
    fields = drop_none(
        response_code=REDIRECT_CODES[r.status],
        scheme_redirect=r.scheme or None,
        host_redirect=r.authority or None,
        port_redirect=r.port,
        path_redirect=r.path or None,
    )
    return fields | (new_prefix(r.prefix, m) if r.prefix and not r.path else {})


def all_header_edits(r: Route) -> Json:
    """The route's own, then those of its destination where there is just one (with several they sit on each weight)."""
    result = header_edits(r.request_headers, r.response_headers)
    if len(r.destinations) == 1:
        for field, edits in header_edits(r.destinations[0].request_headers, r.destinations[0].response_headers).items():
            result[field] = [*result.get(field, []), *edits]
    return result


def header_edits(request: HeaderEdits, response: HeaderEdits) -> Json:
    result: Json = {}
    for side, edits in (("request", request), ("response", response)):
        added = [set_header(k, v) for k, v in sorted(edits.set.items())]
        added += [add_header(k, v) for k, v in sorted(edits.add.items())]
        if added:
            result[f"{side}_headers_to_add"] = added
        if edits.remove:
            result[f"{side}_headers_to_remove"] = list(edits.remove)
    return result


def set_header(key: str, value: str) -> Json:
    return {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def add_header(key: str, value: str) -> Json:
    return {"header": {"key": key, "value": value}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}


def per_route_filters(fault: Fault | None, cors: Cors | None) -> Json:
    result: Json = {}
    if fault and (fault.delay or fault.abort):
        result[FAULT] = fault_config(fault)
    if cors:
        result[CORS] = cors_config(cors)
    return result


def fault_config(fault: Fault) -> Json:
    result: Json = {"@type": TYPE_URL + "envoy.extensions.filters.http.fault.v3.HTTPFault"}
    if fault.delay:
        result["delay"] = delay(fault.delay)
    if fault.abort:
        result["abort"] = abort(fault.abort)
    if fault.headers:
        result["headers"] = [header_match(h) for h in fault.headers]
    return result


def delay(d: Delay) -> Json:
    return {"fixed_delay": seconds(d.seconds), "percentage": fraction(d.percent)}


def abort(a: Abort) -> Json:
    status = {"http_status": a.http_status} if a.http_status is not None else {"grpc_status": a.grpc_status}
    return {**status, "percentage": fraction(a.percent)}


def fraction(percent: float) -> Json:
    """Istio: value * 10000 of a MILLION."""
    return {"numerator": min(MILLION, round(percent * 10_000)), "denominator": "MILLION"}


def cors_config(cors: Cors) -> Json:
    result: dict[str, Any] = {
        "@type": TYPE_URL + "envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [string_match(o) for o in cors.origins],
        "filter_enabled": {"default_value": {"numerator": 100}},
        "forward_not_matching_preflights": cors.forward_unmatched_preflights,
    }
    lists = {
        "allow_methods": cors.methods,
        "allow_headers": cors.headers,
        "expose_headers": cors.expose_headers,
    }
    result |= {k: ",".join(v) for k, v in lists.items() if v}
    result |= drop_none(
        max_age=None if cors.max_age is None else str(int(cors.max_age)),
        allow_credentials=cors.credentials,
    )
    return result
