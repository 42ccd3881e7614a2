"""What an RBAC filter means, read from its configuration alone; and requests that put each of its rules to the test.

Semantics: Envoy's source/extensions/filters/common/rbac/matchers.cc. Field names are protobuf's JSON, as in the golden
files.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from meshtest.manifests.istio_security.decide import Facts

JWT = "envoy.filters.http.jwt_authn"
NOBODY = Facts(
    source_ip="192.0.2.99", destination_ip="198.51.100.9", port=4999, host="nobody.example", path="/none", method="GET"
)
"""A request that no rule has in mind."""

Node = Mapping[str, Any]

# -- meaning


def allowed(filters: Sequence[Node], facts: Facts) -> bool:
    """By all filters in turn; what is in shadow decides nothing."""
    for one in filters:
        rules = one.get("rules")
        if rules is None:
            continue
        hit = any(policy_takes(policy, facts) for policy in rules.get("policies", {}).values())
        action = rules.get("action", "ALLOW")
        if (action == "DENY" and hit) or (action == "ALLOW" and not hit):
            return False
    return True


def policy_takes(policy: Node, facts: Facts) -> bool:
    return any(permits(p, facts) for p in policy["permissions"]) and any(is_one(p, facts) for p in policy["principals"])


def permits(node: Node, facts: Facts) -> bool:
    (kind, value), *_ = node.items()
    match kind:
        case "andRules":
            return all(permits(p, facts) for p in value["rules"])
        case "orRules":
            return any(permits(p, facts) for p in value["rules"])
        case "notRule":
            return not permits(value, facts)
        case "destinationPort":
            return bool(facts.port == value)
        case "destinationIp":
            return within(value, facts.destination_ip)
        case "requestedServerName":
            return string(value, facts.server_name)
        case "urlPath":
            return string(value["path"], facts.path.partition("?")[0])
        case "uriTemplate":
            return template(value["typedConfig"]["pathTemplate"], facts.path)
    return common(kind, value, facts)


def is_one(node: Node, facts: Facts) -> bool:
    (kind, value), *_ = node.items()
    match kind:
        case "andIds":
            return all(is_one(p, facts) for p in value["ids"])
        case "orIds":
            return any(is_one(p, facts) for p in value["ids"])
        case "notId":
            return not is_one(value, facts)
        case "authenticated":
            return bool(facts.identity) and string(value["principalName"], f"spiffe://{facts.identity}")
        case "directRemoteIp":
            return within(value, facts.source_ip)
        case "remoteIp":
            return within(value, facts.remote_ip or facts.source_ip)
    return common(kind, value, facts)


def common(kind: str, value: Any, facts: Facts) -> bool:
    if kind == "any":
        return True
    if kind == "header":
        return header(value, facts)
    assert kind == "metadata", kind
    found = dictionary(facts).get(value["filter"], {})
    for step in value["path"]:
        found = found.get(step["key"]) if isinstance(found, Mapping) else None
    return found is not None and matches(value["value"], found)


def dictionary(facts: Facts) -> dict[str, Any]:
    return {**facts.metadata, **({JWT: {"payload": facts.claims}} if facts.claims is not None else {})}


def matches(matcher: Node, value: Any) -> bool:
    (kind, inner), *_ = matcher.items()
    if kind == "orMatch":
        return any(matches(m, value) for m in inner["valueMatchers"])
    if kind == "listMatch":
        return isinstance(value, list) and any(matches(inner["oneOf"], item) for item in value)
    return isinstance(value, str) and string(inner, value)


def header(matcher: Node, facts: Facts) -> bool:
    known = {":authority": facts.host, ":method": facts.method, ":path": facts.path}
    value = {**facts.headers, **known}.get(matcher["name"].lower())
    if value is None or matcher.get("presentMatch"):
        return value is not None
    if "safeRegexMatch" in matcher:
        return re.fullmatch(matcher["safeRegexMatch"]["regex"], value) is not None
    return string(matcher["stringMatch"], value)


def string(matcher: Node, value: str) -> bool:
    if "safeRegex" in matcher:
        return re.fullmatch(matcher["safeRegex"]["regex"], value) is not None
    kind = next(k for k in ("exact", "prefix", "suffix") if k in matcher)
    pattern = matcher[kind]
    if matcher.get("ignoreCase"):
        pattern, value = pattern.lower(), value.lower()
    if kind == "exact":
        return bool(value == pattern)
    return value.startswith(pattern) if kind == "prefix" else value.endswith(pattern)


def template(pattern: str, path: str) -> bool:
    regex = re.escape(pattern).replace(r"\*\*", "\0").replace(r"\*", "[^/]+").replace("\0", ".*")
    return re.fullmatch(regex, path) is not None


def within(cidr: Node, address: str) -> bool:
    network = ipaddress.ip_network(f"{cidr['addressPrefix']}/{cidr['prefixLen']}", strict=False)
    return bool(address) and ipaddress.ip_address(address) in network


# -- requests


def requests(filters: Sequence[Node]) -> list[Facts]:
    """Requests that meet each rule as far as can be, and then everything else the filters look at, one at a time."""
    found = [NOBODY]
    changes = [c for one in filters for part in ("rules", "shadowRules") for c in candidates(one.get(part, {}))]
    for one in filters:
        for policy in one.get("rules", {}).get("policies", {}).values():
            for permission, principal in itertools.product(policy["permissions"], policy["principals"]):
                met = meet(principal, meet(permission, NOBODY))
                found += [met, *(change(met, c) for c in changes)]
    found += [change(NOBODY, c) for c in changes]
    unique: dict[str, Facts] = {repr(f): f for f in found}
    return list(unique.values())


def meet(node: Any, facts: Facts) -> Facts:
    """The facts, changed so that the positive conditions hold: of several the first."""
    (kind, value), *_ = node.items()
    if kind in ("andRules", "andIds"):
        for inner in next(iter(value.values())):
            facts = meet(inner, facts)
        return facts
    if kind in ("orRules", "orIds"):
        return meet(next(iter(value.values()))[0], facts)
    if kind in ("notRule", "notId", "any"):
        return facts
    return change(facts, (kind, value))


def candidates(node: Any) -> Iterator[tuple[str, Any]]:
    """Every condition, whether it stands under a `not` or not."""
    if isinstance(node, list):
        for inner in node:
            yield from candidates(inner)
    elif isinstance(node, Mapping):
        for kind, value in node.items():
            if kind in LEAVES:
                yield kind, value
            else:
                yield from candidates(value)


LEAVES = frozenset(
    (
        *("header", "urlPath", "uriTemplate", "destinationPort", "destinationIp", "requestedServerName"),
        *("authenticated", "directRemoteIp", "remoteIp", "metadata"),
    )
)


def change(facts: Facts, leaf: tuple[str, Any]) -> Facts:
    """The facts with one thing as the condition wants it."""
    kind, value = leaf
    match kind:
        case "header":
            return with_header(facts, value["name"], header_sample(value))
        case "urlPath":
            sample = sample_of(value["path"])
            return replace(facts, path=sample if sample.startswith(("/", "rule")) else f"/{sample}")
        case "uriTemplate":
            pattern = value["typedConfig"]["pathTemplate"]
            return replace(facts, path=pattern.replace("**", "some/where").replace("*", "one"))
        case "destinationPort":
            return replace(facts, port=value)
        case "destinationIp":
            return replace(facts, destination_ip=value["addressPrefix"])
        case "requestedServerName":
            return replace(facts, server_name=sample_of(value))
        case "authenticated":
            return replace(facts, identity=sample_of(value["principalName"]).removeprefix("spiffe://"))
        case "directRemoteIp":
            return replace(facts, source_ip=value["addressPrefix"])
        case "remoteIp":
            return replace(facts, remote_ip=value["addressPrefix"])
    return with_metadata(facts, value)


def header_sample(matcher: Node) -> str:
    if matcher.get("presentMatch"):
        return "present"
    if "safeRegexMatch" in matcher:
        return sample_of({"safeRegex": {"regex": matcher["safeRegexMatch"]["regex"].removeprefix("(?i)")}})
    sample = sample_of(matcher["stringMatch"])
    return sample.upper() if matcher["stringMatch"].get("ignoreCase") else sample


def with_header(facts: Facts, name: str, value: str) -> Facts:
    if name == ":authority":
        return replace(facts, host=value)
    if name == ":method":
        return replace(facts, method=value)
    return replace(facts, headers={**facts.headers, name.lower(): value})


def with_metadata(facts: Facts, matcher: Node) -> Facts:
    keys, value = [step["key"] for step in matcher["path"]], metadata_sample(matcher["value"])
    if matcher["filter"] != JWT:
        return replace(facts, metadata={matcher["filter"]: {keys[0]: value}})
    claims: Any = dict(facts.claims or {"iss": "someone", "sub": "somebody"})
    inner: Any = claims
    for key in keys[1:-1]:
        inner[key] = dict(inner.get(key, {}))
        inner = inner[key]
    inner[keys[-1]] = value
    return replace(facts, claims=claims)


def metadata_sample(matcher: Node) -> str:
    (kind, inner), *_ = matcher.items()
    if kind == "orMatch":
        return metadata_sample(inner["valueMatchers"][0])
    return metadata_sample(inner["oneOf"]) if kind == "listMatch" else sample_of(inner)


def sample_of(matcher: Node) -> str:
    """A string that matches."""
    if "safeRegex" in matcher:
        regex = matcher["safeRegex"]["regex"]
        for optional in ("(.+/|)", "(/.+)?"):
            regex = regex.replace(optional, "")
        for anything in ("[^/]*", "[^/]+", ".*", ".+"):
            regex = regex.replace(anything, "x")
        return re.sub(r"\\(.)", r"\1", regex)
    if "exact" in matcher:
        return str(matcher["exact"])
    return f"{matcher['prefix']}x" if "prefix" in matcher else f"x{matcher['suffix']}"
