"""Which DestinationRules count for a service, merged.

By Istio's pilot/pkg/model/push_context.go (destinationRule) and destination_rule.go (mergeDestinationRule).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field, replace

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.istio import names, upstream_tls
from meshtest.manifests.istio.certificates import Credentials
from meshtest.manifests.istio.destination_rule import RawSubset, Rule
from meshtest.manifests.istio.traffic_policy import NOTHING, Policies, overlay
from meshtest.manifests.wildcards import covers, most_specific
from meshtest.model.diagnostic import NOWHERE, Diagnostic, Severity
from meshtest.model.policy import HostPolicy, Subset, TrafficPolicy
from meshtest.model.service import Service, within
from meshtest.model.topology import Topology


@dataclass
class Found:
    """Policies by service, those of single namespaces, and what is odd about the rules."""

    policies: dict[str, HostPolicy] = field(default_factory=dict)
    own: dict[tuple[str, str], HostPolicy] = field(default_factory=dict)
    notes: list[Diagnostic] = field(default_factory=list)


def host_policies(rules: Sequence[Rule], topology: Topology, credentials: Credentials) -> Found:
    """The shared policy of a service is that of callers in its own namespace; who gets another has it for itself."""
    index = Index(rules)
    found = Found(notes=list(_unknown_hosts(rules, topology)))
    callers = sorted({workload.namespace for workload in topology.workloads})
    for service in topology.services if rules else ():
        by_caller = {home: index.lookup(service, home) for home in dict.fromkeys((service.namespace, *callers))}
        shared = by_caller[service.namespace] or next(filter(None, by_caller.values()), [])
        if not shared:
            continue
        policies = {
            id(r): _settled(merged(service.fqdn, r), service, credentials) for r in (shared, *by_caller.values())
        }
        for caller in callers:
            if by_caller[caller] != shared:
                found.own[caller, service.fqdn] = policies[id(by_caller[caller])]
        found.policies[service.fqdn] = _with_all_subsets(policies[id(shared)], policies.values(), found.notes)
        found.notes += _empty_subsets(found.policies[service.fqdn], service, topology)
    found.notes += _for_nobody(rules, index, topology, callers)
    return found


class Index:
    """Rules by namespace and host, the oldest first."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules: dict[str, dict[str, list[Rule]]] = {}
        for rule in sorted(rules, key=lambda rule: rule.age):
            self._rules.setdefault(rule.namespace, {}).setdefault(rule.host, []).append(rule)
        self._wildcards = {home: [h for h in hosts if h.startswith("*")] for home, hosts in self._rules.items()}

    def lookup(self, service: Service, client: str) -> list[Rule]:
        """What callers of a namespace get: its own rules, else the service's namespace's, else the root's.

        In each namespace the most specific host counts.
        """
        homes = [client] if client != names.ROOT_NAMESPACE else []
        for home in dict.fromkeys((*homes, service.namespace, names.ROOT_NAMESPACE)):
            found = [rule for rule in self._of(home, service.fqdn) if sees(rule, client)]
            if found:
                return found
        return []

    def _of(self, namespace: str, fqdn: str) -> list[Rule]:
        by_host = self._rules.get(namespace, {})
        host = fqdn if fqdn in by_host else most_specific(fqdn, self._wildcards.get(namespace, ()))
        return by_host[host] if host is not None else []


def sees(rule: Rule, client: str) -> bool:
    return not rule.visible_to or client in rule.visible_to


def _with_all_subsets(shared: HostPolicy, others: Iterable[HostPolicy], notes: list[Diagnostic]) -> HostPolicy:
    """Subsets that only some namespaces know are there for all, so that no route leads nowhere; and told."""
    subsets = {subset.name: subset for subset in shared.subsets}
    for subset in (subset for other in others for subset in other.subsets):
        if subsets.setdefault(subset.name, subset) is subset and subset not in shared.subsets:
            text = f"subset `{subset.name}` of `{shared.host}` is for callers of some namespaces; here all know it"
            notes.append(Diagnostic(Severity.WARNING, "not-supported", text, subset.source))
    return replace(shared, subsets=tuple(subsets.values())) if len(subsets) > len(shared.subsets) else shared


def _for_nobody(
    rules: Iterable[Rule], index: Index, topology: Topology, callers: Sequence[str]
) -> Iterator[Diagnostic]:
    """Rules that no caller here gets: those of a namespace without callers, for services of another."""
    used = {
        id(rule)
        for service in topology.services
        for caller in (service.namespace, *callers)
        for rule in index.lookup(service, caller)
    }
    known = {service.fqdn for service in topology.services}
    for rule in rules:
        if id(rule) not in used and (rule.host in known or any(covers(rule.host, name) for name in known)):
            text = "this DestinationRule does nothing: others come before it, or it is for namespaces without callers"
            yield Diagnostic(Severity.WARNING, "ineffective-rule", text, rule.source)


def merged(host: str, rules: Sequence[Rule]) -> HostPolicy:
    """Subsets one after the other, the first of a name; the first trafficPolicy."""
    policies = next((rule.policies for rule in rules if rule.policies is not None), NOTHING)
    subsets: dict[str, Subset] = {}
    for rule in rules:
        for raw in rule.subsets:
            subsets.setdefault(raw.name, _subset(raw, policies))
    return HostPolicy(
        host=host,
        policy=policies.policy,
        port_policies=tuple(sorted(policies.ports.items())),
        subsets=tuple(subsets.values()),
        source=rules[0].source if rules else NOWHERE,
    )


def _subset(raw: RawSubset, host: Policies) -> Subset:
    policies = overlay(host, raw.policies)
    return Subset(
        name=raw.name,
        labels=raw.labels,
        policy=policies.policy,
        port_policies=tuple(sorted(policies.ports.items())),
        source=raw.source,
    )


def _settled(host: HostPolicy, service: Service, credentials: Credentials) -> HostPolicy:
    """With the certificates that its TLS settings mean."""

    def settled(policy: TrafficPolicy) -> TrafficPolicy:
        return upstream_tls.settled(policy, credentials, service.subject_alt_names)

    def ports(policies: tuple[tuple[int, TrafficPolicy], ...]) -> tuple[tuple[int, TrafficPolicy], ...]:
        return tuple((port, settled(policy)) for port, policy in policies)

    if not any(p.tls for p in _all_policies(host)):
        return host
    return HostPolicy(
        host=host.host,
        policy=settled(host.policy),
        port_policies=ports(host.port_policies),
        subsets=tuple(
            Subset(**{**vars(s), "policy": settled(s.policy), "port_policies": ports(s.port_policies)})
            for s in host.subsets
        ),
        source=host.source,
    )


def _all_policies(host: HostPolicy) -> Iterator[TrafficPolicy]:
    levels: tuple[HostPolicy | Subset, ...] = (host, *host.subsets)
    for level in levels:
        yield level.policy
        yield from (policy for _, policy in level.port_policies)


def _unknown_hosts(rules: Iterable[Rule], topology: Topology) -> Iterator[Diagnostic]:
    known = {service.fqdn for service in topology.services}
    for rule in rules:
        host = rule.host
        if host in known or (host.startswith("*") and any(covers(host, name) for name in known)):
            continue
        close = names.meant(host, known)
        hint = f"; did you mean `{names.short(close, rule.namespace)}`?" if close else ""
        shown = names.short(host, rule.namespace)
        text = f"DestinationRule for `{shown}`, which is no Service here{hint}"
        yield Diagnostic(Severity.WARNING, "unknown-host", text, rule.source)


def _empty_subsets(policy: HostPolicy, service: Service, topology: Topology) -> Iterator[Diagnostic]:
    if not policy.subsets:
        return
    labels = [w.labels for w in topology.backends(service)] + [e.labels for e in service.endpoints]
    for subset in policy.subsets:
        if not any(within(subset.labels, found) for found in labels):
            wanted = ", ".join(f"{k}={v}" for k, v in subset.labels.items())
            kind = "endpoint" if service.host else "Deployment"
            text = f"subset `{subset.name}` of `{service.name}` selects no {kind} ({wanted})"
            yield Diagnostic(Severity.WARNING, "empty-subset", text, subset.source)
