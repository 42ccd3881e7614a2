"""AuthorizationPolicies as Envoy's RBAC filters, rule by rule as Istio's pilot/pkg/security/authz builder makes them.

    Authorization ─ rule[i] ─► policy `ns[NS]-policy[NAME]-rule[i]`: permissions (to, when) and principals (from, when)

DENY before ALLOW. AUDIT writes a log entry in Istio only with a plugin, so its rules are made but not installed. A rule
with an HTTP attribute means nothing to plain TCP: an ALLOW rule is then left out, of another rule only the attribute,
so that a connection is rather refused than let in. Not here: where the filters stand (security.py).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from meshtest.manifests.istio_security.trust import aliases
from meshtest.model.security import TRUST_DOMAIN, Authorization, Condition, Conditions, Rule
from meshtest_envoy.xds.names import TYPE_URL
from meshtest_envoy.xds.resources import Json

HTTP = "envoy.filters.http.rbac"
NETWORK = "envoy.filters.network.rbac"
JWT = "envoy.filters.http.jwt_authn"
PAYLOAD = "payload"
"""Key of the dynamic metadata in which jwt_authn leaves the claims of a token."""
SPIFFE = "spiffe://"
URI_TEMPLATE = TYPE_URL + "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"

NEVER: Json = {
    "permissions": [{"not_rule": {"any": True}}],
    "principals": [{"not_id": {"any": True}}],
}
"""The policy of an Authorization without rules."""

Matcher = Callable[[Condition, Sequence[str]], list[Json]]


class HttpOnlyError(ValueError):
    """The attribute does not exist on a TCP connection."""


# -- strings


def quoted(text: str) -> str:
    """As Go's regexp.QuoteMeta, so that names equal upstream's to the letter."""
    return "".join(f"\\{c}" if c in r"\.+*?()|[]{}^$" else c for c in text)


def string(value: str, *, ignore_case: bool = False) -> Json:
    """`exact`, `prefix*`, `*suffix`, or `*` for anything that is not empty."""
    case = {"ignore_case": True} if ignore_case else {}
    if value == "*":
        return {"safe_regex": {"regex": ".+"}}
    if value.startswith("*"):
        return {"suffix": value[1:], **case}
    if value.endswith("*"):
        return {"prefix": value[:-1], **case}
    return {"exact": value, **case}


def header(name: str, value: str, *, ignore_case: bool = False) -> Json:
    if value == "*":
        return {"header": {"name": name, "present_match": True}}
    return {"header": {"name": name, "string_match": string(value, ignore_case=ignore_case)}}


def either(matchers: list[Json]) -> Json:
    return matchers[0] if len(matchers) == 1 else {"or_match": {"value_matchers": matchers}}


def cidr(value: str) -> Json:
    """Host bits stay as written: Envoy masks them."""
    address, _, length = value.partition("/")
    bits = int(length) if length else ipaddress.ip_address(address).max_prefixlen
    return {"address_prefix": address, "prefix_len": bits}


# -- principals: who asks


def authenticated(match: Json) -> Json:
    return {"authenticated": {"principal_name": match}}


def _principals(_: Condition, values: Sequence[str]) -> list[Json]:
    return [authenticated(_spiffe(value)) for value in values]


def _spiffe(value: str) -> Json:
    if value == "*":
        return {"safe_regex": {"regex": ".+"}}
    if value.startswith("*"):
        return {"safe_regex": {"regex": f"{SPIFFE}.*{quoted(value[1:])}"}}
    return {"prefix": SPIFFE + value[:-1]} if value.endswith("*") else {"exact": SPIFFE + value}


def _namespaces(_: Condition, values: Sequence[str]) -> list[Json]:
    patterns = (quoted(value).replace(r"\*", ".*") for value in values)
    return [authenticated({"safe_regex": {"regex": f".*/ns/{pattern}/.*"}}) for pattern in patterns]


def _service_accounts(_: Condition, values: Sequence[str]) -> list[Json]:
    """`namespace/name`; the namespace was filled in by `rule_policy`."""
    pairs = (value.partition("/") for value in values)
    return [
        authenticated({"safe_regex": {"regex": f"{SPIFFE}.+/ns/{quoted(ns)}/(.+/|)sa/{quoted(name)}(/.+)?"}})
        for ns, _, name in pairs
    ]


def _trust_domains(_: Condition, values: Sequence[str]) -> list[Json]:
    found = []
    for value in values:
        pattern = quoted(value).replace(r"\*", "[^/]*" if value != "*" else "[^/]+")
        regex = {"safe_regex": {"regex": f"{SPIFFE}{pattern}/.*"}}
        found.append(authenticated(regex if "*" in value else {"prefix": f"{SPIFFE}{value}/"}))
    return found


def _source_ips(_: Condition, values: Sequence[str]) -> list[Json]:
    return [{"direct_remote_ip": cidr(value)} for value in values]


def _remote_ips(_: Condition, values: Sequence[str]) -> list[Json]:
    return [{"remote_ip": cidr(value)} for value in values]


def _headers(condition: Condition, values: Sequence[str]) -> list[Json]:
    name = condition.key.partition("[")[2].removesuffix("]")
    return [header(name, value) for value in values]


# -- principals: what their token says


def claim(path: Sequence[str], value: Json) -> Json:
    keys = [{"key": PAYLOAD}, *({"key": key} for key in path)]
    return {"metadata": {"filter": JWT, "path": keys, "value": value}}


def _request_principals(_: Condition, values: Sequence[str]) -> list[Json]:
    """`issuer/subject`; the issuer may be a URL, so the last slash divides."""
    found = []
    for value in values:
        issuer, subject = _issuer_and_subject(value)
        parts = [claim(["iss"], {"string_match": issuer}), claim(["sub"], {"string_match": subject})]
        found.append({"and_ids": {"ids": parts}})
    return [found[0] if len(found) == 1 else {"or_ids": {"ids": found}}]


def _issuer_and_subject(value: str) -> tuple[Json, Json]:
    anything = string("*")
    if "/" in value:
        issuer, _, subject = value.rpartition("/")
        if value.startswith("*"):
            return string(issuer), {"exact": subject}
        return {"exact": issuer}, string(subject) if value.endswith("*") else {"exact": subject}
    if value == "*":
        return anything, anything
    if value.startswith("*"):
        return anything, string(value)
    return string(value), anything if value.endswith("*") else {"exact": ""}


def _claims(path: Sequence[str]) -> Matcher:
    def matcher(_: Condition, values: Sequence[str]) -> list[Json]:
        return [_any_claim(path, values)]

    return matcher


def _any_claim(path: Sequence[str], values: Sequence[str]) -> Json:
    """A claim may be a string or a list of strings."""
    one = either([{"string_match": string(value)} for value in values])
    return claim(path, {"or_match": {"value_matchers": [{"list_match": {"one_of": one}}, one]}})


def _named_claims(condition: Condition, values: Sequence[str]) -> list[Json]:
    """`request.auth.claims[a][b]`"""
    path = condition.key.partition("[")[2].removesuffix("]").split("][")
    return [_any_claim(path, values)]


# -- permissions: what is asked for


def _hosts(_: Condition, values: Sequence[str]) -> list[Json]:
    return [header(":authority", value, ignore_case=True) for value in values]


def _methods(_: Condition, values: Sequence[str]) -> list[Json]:
    return [header(":method", value) for value in values]


def _paths(_: Condition, values: Sequence[str]) -> list[Json]:
    return [_path(value) for value in values]


def _path(value: str) -> Json:
    if "{*}" in value or "{**}" in value:
        template = value.replace("{*}", "*").replace("{**}", "**")
        config = {"@type": URI_TEMPLATE, "path_template": template}
        return {"uri_template": {"name": "uri-template", "typed_config": config}}
    return {"url_path": {"path": string(value)}}


def _ports(_: Condition, values: Sequence[str]) -> list[Json]:
    return [{"destination_port": int(value)} for value in values]


def _destination_ips(_: Condition, values: Sequence[str]) -> list[Json]:
    return [{"destination_ip": cidr(value)} for value in values]


def _server_names(_: Condition, values: Sequence[str]) -> list[Json]:
    return [{"requested_server_name": string(value)} for value in values]


def _filter_metadata(condition: Condition, values: Sequence[str]) -> list[Json]:
    """`experimental.envoy.filters.NAME[key]`; a value in brackets is one of a list."""
    name, _, key = condition.key.removeprefix("experimental.").removesuffix("]").partition("[")
    matchers: list[Json] = []
    for value in values:
        if value.startswith("[") and value.endswith("]"):
            matchers.append({"list_match": {"one_of": {"string_match": string(value.strip("[]"))}}})
        else:
            matchers.append({"string_match": string(value)})
    return [{"metadata": {"filter": name, "path": [{"key": key}], "value": either(matchers)}}]


# -- which attribute is what

PRINCIPALS: dict[str, Matcher] = {
    "source.principal": _principals,
    "source.namespace": _namespaces,
    "source.serviceAccount": _service_accounts,
    "source.trustDomain": _trust_domains,
    "source.ip": _source_ips,
    "remote.ip": _remote_ips,
    "request.auth.principal": _request_principals,
    "request.auth.audiences": _claims(["aud"]),
    "request.auth.presenter": _claims(["azp"]),
    "request.auth.claims": _named_claims,
    "request.headers": _headers,
}
PERMISSIONS: dict[str, Matcher] = {
    "request.host": _hosts,
    "request.method": _methods,
    "request.path": _paths,
    "destination.port": _ports,
    "destination.ip": _destination_ips,
    "connection.sni": _server_names,
    "experimental.envoy.filters": _filter_metadata,
}

MERGED = frozenset({*(kind for kind in PRINCIPALS if kind.startswith("request.auth.")), "experimental.envoy.filters"})
"""Attributes whose values are one matcher already (upstream's extendedGenerator)."""


def kind_of(condition: Condition) -> str:
    """The attribute without what is in brackets."""
    key = condition.key.partition("[")[0]
    return "experimental.envoy.filters" if key.startswith("experimental.envoy.filters.") else key


# -- rules


def rule_policy(
    rule: Rule, namespace: str, *, strict: bool, tcp: bool = False, trust_domains: Sequence[str] = (TRUST_DOMAIN,)
) -> Json | None:
    """`strict`: a rule that TCP cannot check is left out (ALLOW); otherwise only the attribute is. None: left out."""
    who = [c for c in rule.conditions if kind_of(c) in PRINCIPALS]
    what = [c for c in rule.conditions if kind_of(c) in PERMISSIONS]
    try:
        permissions = [_all_of((*part, *what), PERMISSIONS, "rule", strict, tcp) for part in rule.operations or ((),)]
        sources = [_meant(part, namespace, trust_domains) for part in rule.sources or ((),)]
        base = _meant(who, namespace, trust_domains)
        principals = [_all_of((*part, *base), PRINCIPALS, "id", strict, tcp) for part in sources]
    except HttpOnlyError:
        return None
    return {"permissions": permissions, "principals": principals}


def _all_of(conditions: Iterable[Condition], known: dict[str, Matcher], word: str, strict: bool, tcp: bool) -> Json:
    """`word`: rule or id, as the fields of Permission and Principal are called."""
    parts: list[Json] = []
    for condition in conditions:
        if tcp and kind_of(condition).startswith("request."):
            if strict:
                raise HttpOnlyError(condition.key)
            continue
        if condition.values:
            parts.append(_one_of(condition, condition.values, known, word))
        if condition.not_values:
            parts.append({f"not_{word}": _one_of(condition, condition.not_values, known, word)})
    return {f"and_{word}s": {f"{word}s": parts or [{"any": True}]}}


def _one_of(condition: Condition, values: Sequence[str], known: dict[str, Matcher], word: str) -> Json:
    kind = kind_of(condition)
    found = known[kind](condition, values)
    return found[0] if kind in MERGED else {f"or_{word}s": {f"{word}s": found}}


def _meant(conditions: Iterable[Condition], namespace: str, trust_domains: Sequence[str]) -> Conditions:
    """Principals with every alias of the trust domain, service accounts with their namespace."""
    found = []
    for condition in conditions:
        values, not_values = condition.values, condition.not_values
        if condition.key == "source.principal":
            values, not_values = (aliases(v, trust_domains) for v in (values, not_values))
        elif condition.key == "source.serviceAccount":
            values, not_values = (
                tuple(v if "/" in v else f"{namespace}/{v}" for v in side) for side in (values, not_values)
            )
        found.append(Condition(key=condition.key, values=values, not_values=not_values))
    return tuple(found)


# -- policies


def policy_name(authorization: Authorization, index: int) -> str:
    return f"ns[{authorization.scope.namespace}]-policy[{authorization.name}]-rule[{index}]"


def policies(
    authorizations: Iterable[Authorization],
    *,
    strict: bool,
    tcp: bool = False,
    trust_domains: Sequence[str] = (TRUST_DOMAIN,),
    name: Callable[[Authorization, int], str] = policy_name,
) -> dict[str, Json]:
    """RBAC policies by name."""
    found: dict[str, Json] = {}
    for authorization in authorizations:
        namespace = authorization.scope.namespace
        for index, rule in enumerate(authorization.rules):
            made = rule_policy(rule, namespace, strict=strict, tcp=tcp, trust_domains=trust_domains)
            if made is not None:
                found[name(authorization, index)] = made
        if not authorization.rules:
            found[name(authorization, 0)] = NEVER
    return found


def config(authorizations: Sequence[Authorization], action: str, **how: Any) -> Json:
    """The fields of an RBAC filter for one action: ALLOW, DENY or LOG. What is dry-run is evaluated, not enforced."""
    enforced = [a for a in authorizations if not a.dry_run]
    shadow = [a for a in authorizations if a.dry_run]
    sides = {"rules": enforced, "shadow_rules": shadow}
    made: Json = {
        field: {"action": action, "policies": policies(chosen, strict=action == "ALLOW", **how)}
        for field, chosen in sides.items()
        if chosen
    }
    # upstream asks the shadow rules for their action, and no rules are ALLOW
    denies = shadow and action == "DENY"
    return {**made, "shadow_rules_stat_prefix": f"istio_dry_run_{'deny' if denies else 'allow'}_"}


def custom(authorizations: Sequence[Authorization], **how: Any) -> list[Json]:
    """Action CUSTOM, one filter a provider: none is known here, and Istio denies for an unknown one."""

    def name(authorization: Authorization, index: int) -> str:
        own = policy_name(authorization, index)
        return f"istio-ext-authz-{authorization.provider}-{own}-deny-due-to-bad-CUSTOM-action"

    by_provider: dict[str, list[Authorization]] = {}
    for authorization in authorizations:
        if not authorization.dry_run:
            by_provider.setdefault(authorization.provider, []).append(authorization)
    return [
        {"rules": {"action": "DENY", "policies": policies(by_provider[p], strict=False, name=name, **how)}}
        for p in sorted(by_provider)
    ]


def configs(authorizations: Sequence[Authorization], *, audit: bool = False, **how: Any) -> list[Json]:
    """All filters of one proxy in the order they stand: CUSTOM, AUDIT, DENY, ALLOW."""
    by_action: dict[str, list[Authorization]] = {"CUSTOM": [], "AUDIT": [], "DENY": [], "ALLOW": []}
    for authorization in authorizations:
        by_action[authorization.action].append(authorization)
    words = {"AUDIT": "LOG", "DENY": "DENY", "ALLOW": "ALLOW"}
    found = custom(by_action["CUSTOM"], **how)
    for action, word in words.items():
        if by_action[action] and (audit or action != "AUDIT"):
            found.append(config(by_action[action], word, **how))
    return found


def network_filters(authorizations: Sequence[Authorization], **how: Any) -> list[Json]:
    """For the filter chain of a TCP port, before the proxy."""
    url = TYPE_URL + "envoy.extensions.filters.network.rbac.v3.RBAC"
    return [
        {"name": NETWORK, "typed_config": {"@type": url, "stat_prefix": "tcp.", **made}}
        for made in configs(authorizations, tcp=True, **how)
    ]


def at_port(config: Any, port: int) -> Any:
    """The same with every `destination_port` decided: pods are reached by unix sockets, which have no port.

    As Istio does for waypoints (authz/model AmbientDestinationPortAdaptations).
    """
    if isinstance(config, list):
        return [at_port(item, port) for item in config]
    if not isinstance(config, dict):
        return config
    if "destination_port" in config:
        return {"any": True} if config["destination_port"] == port else {"not_rule": {"any": True}}
    return {key: at_port(value, port) for key, value in config.items()}
