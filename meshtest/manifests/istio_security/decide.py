"""Whether a request is let in, and by which policy and rule: what the proxies will do, told without one. Pure.

Read from the policies themselves, not from Envoy's filters, so that the two can be held against each other. Order and
outcome are Istio's: CUSTOM, then DENY, then ALLOW; without an ALLOW policy everything else is let in.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import NOWHERE, Source
from meshtest.model.security import Authorization, Condition, Proxy, Rule, applying
from meshtest.model.topology import Topology


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a request, or a connection, where it arrives."""

    identity: str = ""
    """`cluster.local/ns/NAMESPACE/sa/ACCOUNT` of the caller's certificate; "" without mutual TLS."""
    source_ip: str = ""
    """"" where there is none (unix sockets)."""
    remote_ip: str = ""
    """Of the original client, by X-Forwarded-For; "" means the source itself."""
    destination_ip: str = ""
    port: int = 0
    """The pod's own port, or the gateway's."""
    server_name: str = ""
    """Of the TLS handshake."""
    method: str = "GET"
    host: str = ""
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name."""
    claims: Mapping[str, Any] | None = None
    """Of a token that was checked; None without one."""
    metadata: Mapping[str, Mapping[str, str | Sequence[str]]] = field(default_factory=dict)
    """Of Envoy filters, by filter and key (`experimental.envoy.filters.`)."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The answer, its reason, and where that is written."""

    allowed: bool
    why: str
    policy: Authorization | None = None
    """The one that decided; None: no policy, or none of the ALLOW policies."""
    rule: int | None = None
    """Index of its rule."""
    source: Source = NOWHERE
    dry_run: tuple[str, ...] = ()
    """What policies in dry-run would have decided."""


def decide(topology: Topology, proxy: Proxy, facts: Facts, *, tcp: bool = False) -> Decision:
    """For one proxy at the destination; `tcp`: a connection whose bytes nobody reads."""
    return judge(applying(topology.authorizations, proxy), facts, tcp=tcp)


def judge(policies: Sequence[Authorization], facts: Facts, *, tcp: bool = False) -> Decision:
    """For policies that are known to apply."""
    enforced = [policy for policy in policies if not policy.dry_run]
    told = tuple(_dry_runs(policies, facts, tcp))
    for action in ("CUSTOM", "DENY"):
        if hit := _first(enforced, action, facts, tcp):
            policy, index = hit
            how = "asks an unknown authorizer" if action == "CUSTOM" else "denies it"
            return Decision(
                allowed=False,
                why=f"{_named(policy, index)} {how}",
                policy=policy,
                rule=index,
                source=_where(policy, index),
                dry_run=told,
            )
    allowing = [policy for policy in enforced if policy.action == "ALLOW"]
    if not allowing:
        return Decision(allowed=True, why="no policy is against it", dry_run=told)
    if hit := _first(allowing, "ALLOW", facts, tcp):
        policy, index = hit
        why = f"{_named(policy, index)} allows it"
        return Decision(allowed=True, why=why, policy=policy, rule=index, source=_where(policy, index), dry_run=told)
    names = ", ".join(f"`{p.name}` ({p.source})" for p in allowing)
    why = f"there are ALLOW policies, and no rule of theirs takes it: {names}"
    return Decision(allowed=False, why=why, source=allowing[0].source, dry_run=told)


def _first(policies: Iterable[Authorization], action: str, facts: Facts, tcp: bool) -> tuple[Authorization, int] | None:
    for policy in policies:
        if policy.action == action:
            for index, rule in enumerate(policy.rules):
                if takes(rule, policy, facts, tcp=tcp):
                    return policy, index
    return None


def _dry_runs(policies: Iterable[Authorization], facts: Facts, tcp: bool) -> Iterable[str]:
    for policy in policies:
        if policy.dry_run:
            hit = _first([policy], policy.action, facts, tcp)
            said = "would take it" if hit else "would not take it"
            yield f"dry-run {policy.action} policy `{policy.name}` ({policy.source}) {said}"


def _named(policy: Authorization, index: int) -> str:
    return f"rule {index} of {policy.action} policy `{policy.name}` ({_where(policy, index)})"


def _where(policy: Authorization, index: int) -> Source:
    return policy.rules[index].source if policy.rules[index].source != NOWHERE else policy.source


# -- rules


def takes(rule: Rule, policy: Authorization, facts: Facts, *, tcp: bool = False) -> bool:
    """One of the sources, one of the operations, all conditions. On TCP an HTTP attribute makes an ALLOW rule void,
    and falls out of any other (Istio: a policy is rather too strict)."""
    everything = [*rule.conditions, *(c for part in (*rule.sources, *rule.operations) for c in part)]
    if tcp and policy.action == "ALLOW" and any(_http(c) for c in everything):
        return False

    def holds(condition: Condition) -> bool:
        return (tcp and _http(condition)) or _holds(condition, facts, policy.scope.namespace)

    return (
        all(map(holds, rule.conditions))
        and (not rule.sources or any(all(map(holds, part)) for part in rule.sources))
        and (not rule.operations or any(all(map(holds, part)) for part in rule.operations))
    )


def _http(condition: Condition) -> bool:
    return condition.key.startswith("request.")


def _holds(condition: Condition, facts: Facts, namespace: str) -> bool:
    def found(values: Iterable[str]) -> bool:
        return any(_matches(condition.key, value, facts, namespace) for value in values)

    return (not condition.values or found(condition.values)) and not found(condition.not_values)


def _matches(key: str, wanted: str, facts: Facts, namespace: str) -> bool:
    name = key.partition("[")[0]
    path = key.partition("[")[2].removesuffix("]").split("][")
    if name == "request.headers":
        return _header(path[0], wanted, facts)
    if name == "request.auth.claims":
        return _claim(path, wanted, facts)
    if name.startswith("experimental.envoy.filters."):
        return _metadata(name.removeprefix("experimental."), path[0], wanted, facts)
    if name == "source.serviceAccount":
        return _service_account(wanted, facts, namespace)
    return CHECKS[key](wanted, facts)


def like(pattern: str, value: str) -> bool:
    """`exact`, `prefix*`, `*suffix`; `*` is anything that is not empty."""
    if pattern == "*":
        return bool(value)
    if pattern.startswith("*"):
        return value.endswith(pattern[1:])
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


# -- one attribute each


def _header(name: str, wanted: str, facts: Facts) -> bool:
    pseudo = {":method": facts.method, ":authority": facts.host, ":path": facts.path}
    value = pseudo.get(name.lower(), facts.headers.get(name.lower()))
    return value is not None and (wanted == "*" or like(wanted, value))


def _host(wanted: str, facts: Facts) -> bool:
    return bool(facts.host) if wanted == "*" else like(wanted.lower(), facts.host.lower())


def _path(wanted: str, facts: Facts) -> bool:
    path = facts.path.partition("?")[0].partition("#")[0]
    if "{*}" in wanted or "{**}" in wanted:
        pattern = re.escape(wanted).replace(re.escape("{**}"), ".*").replace(re.escape("{*}"), "[^/]+")
        return re.fullmatch(pattern, path) is not None
    return like(wanted, path)


def _within(wanted: str, address: str) -> bool:
    if not address:
        return False
    network = ipaddress.ip_network(wanted, strict=False)
    found = ipaddress.ip_address(address)
    return found.version == network.version and found in network


def _namespace(wanted: str, facts: Facts) -> bool:
    pattern = ".*".join(map(re.escape, wanted.split("*")))
    return re.fullmatch(f".*/ns/{pattern}/.*", facts.identity) is not None


def _service_account(wanted: str, facts: Facts, namespace: str) -> bool:
    """Without a namespace it is of the policy's own."""
    space, slash, name = wanted.rpartition("/")
    where, who = re.escape(space if slash else namespace), re.escape(name)
    return re.fullmatch(f".+/ns/{where}/(.+/|)sa/{who}(/.+)?", facts.identity) is not None


def _trust_domain(wanted: str, facts: Facts) -> bool:
    domain, slash, _ = facts.identity.partition("/")
    return bool(slash) and like(wanted, domain)


def _request_principal(wanted: str, facts: Facts) -> bool:
    """`issuer/subject`, divided at the last slash. A wildcard stands for a part that is there."""
    if facts.claims is None:
        return False
    issuer, subject = (str(facts.claims.get(name, "")) for name in ("iss", "sub"))
    if "sub" not in facts.claims or "iss" not in facts.claims:
        return False
    want_issuer, slash, want_subject = wanted.rpartition("/")
    if slash:
        exact_subject = want_subject == subject if wanted.startswith("*") else like(want_subject, subject)
        return (like(want_issuer, issuer) if wanted.startswith("*") else want_issuer == issuer) and exact_subject
    if wanted == "*":
        return bool(issuer and subject)
    if wanted.startswith("*"):
        return bool(issuer) and like(wanted, subject)
    return like(wanted, issuer) and (bool(subject) if wanted.endswith("*") else subject == "")


def _claim(path: Sequence[str], wanted: str, facts: Facts) -> bool:
    """A claim may be a string, or a list of strings."""
    value: Any = facts.claims
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return any(like(wanted, item) for item in _strings(value))


def _metadata(filter_name: str, key: str, wanted: str, facts: Facts) -> bool:
    """`[value]` is one of a list."""
    value = facts.metadata.get(filter_name, {}).get(key)
    if wanted.startswith("[") and wanted.endswith("]"):
        return not isinstance(value, str) and any(like(wanted.strip("[]"), item) for item in _strings(value))
    return isinstance(value, str) and like(wanted, value)


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else []


CHECKS: dict[str, Callable[[str, Facts], bool]] = {
    "source.principal": lambda wanted, facts: like(wanted, facts.identity),
    "source.namespace": _namespace,
    "source.trustDomain": _trust_domain,
    "source.ip": lambda wanted, facts: _within(wanted, facts.source_ip),
    "remote.ip": lambda wanted, facts: _within(wanted, facts.remote_ip or facts.source_ip),
    "request.auth.principal": _request_principal,
    "request.auth.audiences": lambda wanted, facts: _claim(["aud"], wanted, facts),
    "request.auth.presenter": lambda wanted, facts: _claim(["azp"], wanted, facts),
    "request.host": _host,
    "request.method": lambda wanted, facts: like(wanted, facts.method),
    "request.path": _path,
    "destination.port": lambda wanted, facts: int(wanted) == facts.port,
    "destination.ip": lambda wanted, facts: _within(wanted, facts.destination_ip),
    "connection.sni": lambda wanted, facts: like(wanted, facts.server_name),
}
