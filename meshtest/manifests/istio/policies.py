"""Which DestinationRules count for a service, merged: Istio's pilot/pkg/model/push_context.go and destination_rule.go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from meshtest.manifests.istio import names, upstream_tls
from meshtest.manifests.istio.certificates import Credentials
from meshtest.manifests.istio.destination_rule import RawSubset, Rule
from meshtest.manifests.istio.traffic_policy import NOTHING, Policies, overlay
from meshtest.manifests.wildcards import covers, most_specific
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.policy import HostPolicy, Subset, TrafficPolicy
from meshtest.model.service import Service, within
from meshtest.model.topology import Topology


def host_policies(
    rules: Sequence[Rule], topology: Topology, credentials: Credentials
) -> tuple[Mapping[str, HostPolicy], list[Diagnostic]]:
    """Policies by service, and what is odd about the rules."""
    index = Index(rules)
    notes = list(_unknown_hosts(rules, topology))
    callers = {workload.namespace for workload in topology.workloads}
    policies: dict[str, HostPolicy] = {}
    for service in topology.services if rules else ():
        chosen = _for_all(index, service, sorted(callers | index.homes(service)), notes)
        if chosen:
            policies[service.fqdn] = _settled(merged(service.fqdn, chosen), service, credentials)
            notes += _empty_subsets(policies[service.fqdn], service, topology)
    return policies, notes


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

    def homes(self, service: Service) -> set[str]:
        """Namespaces that have rules for it."""
        return {home for home in self._rules if self._of(home, service.fqdn)} - {names.ROOT_NAMESPACE}

    def _of(self, namespace: str, fqdn: str) -> list[Rule]:
        by_host = self._rules.get(namespace, {})
        host = fqdn if fqdn in by_host else most_specific(fqdn, self._wildcards.get(namespace, ()))
        return by_host[host] if host is not None else []


def sees(rule: Rule, client: str) -> bool:
    return not rule.visible_to or client in rule.visible_to


def _for_all(index: Index, service: Service, clients: Sequence[str], notes: list[Diagnostic]) -> list[Rule]:
    """One set of rules for all callers, as they share clusters: those of callers beside the service, if there are any."""
    by_client = {client: index.lookup(service, client) for client in dict.fromkeys((service.namespace, *clients))}
    chosen = by_client[service.namespace] or next((rules for rules in by_client.values() if rules), [])
    told: list[Rule] = []
    for client, rules in by_client.items():
        if client in clients and rules != chosen:
            for rule in rules or chosen:
                if rule not in told:
                    told.append(rule)
                    notes.append(_partial(rule, client, counts=rule in chosen))
    return chosen


def _partial(rule: Rule, client: str, *, counts: bool) -> Diagnostic:
    whose = f"namespace `{client if not counts else rule.namespace}`"
    if counts and set(rule.visible_to) - {rule.namespace}:
        whose = "some namespaces"
    what = "here it counts for all callers" if counts else "it is left out"
    text = f"a DestinationRule for callers of {whose} only is not supported: {what}"
    return Diagnostic(Severity.WARNING, "not-supported", text, rule.source)


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
        source=rules[0].source,
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
