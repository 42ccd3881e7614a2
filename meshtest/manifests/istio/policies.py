"""All DestinationRules of one host merged, and each service given the most specific of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from meshtest.manifests.istio import names
from meshtest.manifests.istio.destination_rule import RawSubset, Rule
from meshtest.manifests.istio.traffic_policy import NOTHING, Policies, overlay
from meshtest.manifests.wildcards import covers, most_specific
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.policy import HostPolicy, Subset
from meshtest.model.service import Service, within
from meshtest.model.topology import Topology


def host_policies(rules: Sequence[Rule], topology: Topology) -> tuple[Mapping[str, HostPolicy], list[Diagnostic]]:
    """Policies by service, and what is odd about the rules."""
    by_host: dict[str, list[Rule]] = {}
    for rule in sorted(rules, key=lambda rule: rule.age):
        by_host.setdefault(rule.host, []).append(rule)
    notes = list(_unknown_hosts(by_host, topology))
    policies: dict[str, HostPolicy] = {}
    for service in topology.services:
        host = service.fqdn if service.fqdn in by_host else most_specific(service.fqdn, by_host)
        if host is not None:
            chosen = _in_scope(by_host[host], service.namespace, notes)
            policies[service.fqdn] = merged(service.fqdn, chosen)
            notes += _empty_subsets(policies[service.fqdn], service, topology)
    return policies, notes


def _in_scope(rules: list[Rule], namespace: str, notes: list[Diagnostic]) -> list[Rule]:
    """Rules of the service's namespace, else of the root namespace; Istio keeps the others for callers beside them."""
    for home in (namespace, names.ROOT_NAMESPACE):
        local = [rule for rule in rules if rule.namespace == home]
        if local:
            notes += [_foreign(rule, "it is left out") for rule in rules if rule not in local]
            return local
    notes += [_foreign(rule, "here it counts for all callers") for rule in rules]
    return rules


def _foreign(rule: Rule, what: str) -> Diagnostic:
    text = f"a DestinationRule for callers of namespace `{rule.namespace}` only is not supported: {what}"
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


def _unknown_hosts(by_host: Mapping[str, list[Rule]], topology: Topology) -> Iterator[Diagnostic]:
    known = {service.fqdn for service in topology.services}
    for host, rules in by_host.items():
        if host in known or (host.startswith("*") and any(covers(host, name) for name in known)):
            continue
        for rule in rules:
            close = names.meant(host, known)
            hint = f"; did you mean `{names.short(close, rule.namespace)}`?" if close else ""
            shown = names.short(host, rule.namespace)
            text = f"DestinationRule for `{shown}`, which is no Service here{hint}"
            yield Diagnostic(Severity.WARNING, "unknown-host", text, rule.source)


def _empty_subsets(policy: HostPolicy, service: Service, topology: Topology) -> Iterator[Diagnostic]:
    if not policy.subsets:
        return
    backends = topology.backends(service)
    for subset in policy.subsets:
        if not any(within(subset.labels, workload.labels) for workload in backends):
            wanted = ", ".join(f"{k}={v}" for k, v in subset.labels.items())
            text = f"subset `{subset.name}` of `{service.name}` selects no Deployment ({wanted})"
            yield Diagnostic(Severity.WARNING, "empty-subset", text, subset.source)
