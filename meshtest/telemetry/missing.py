"""Why an edge that one would expect is not there. Pure.

Expected is what the configuration gave a weight to, and what another version of the same service calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from meshtest.lib.figures import percent
from meshtest.lib.words import plural
from meshtest.model.graph import Missing, Node
from meshtest.model.history import Event, History, same_host
from meshtest.model.sightings import sightings
from meshtest.telemetry.names import node_name
from meshtest.telemetry.sums import Sums

REASONS = (
    "no-traffic", "no-endpoints", "by-chance", "not-routed", "caller-not-reached", "caller-denied", "not-called",
    "not-propagated", "no-hop",
)  # fmt: skip
"""Nobody called the host; no pod of the version was ready; the weight is small and the requests few; no rule led there,
or not in fact; its caller got no request; all requests of its caller were denied; its caller does not call it, as its
other versions do; its callers do not pass headers on, so that a rule by header cannot match; no proxy keeps a record of
this call."""

LIKELY = 0.001
"""Above this probability that none of the requests went to a version is no wonder."""


class Weight(NamedTuple):
    """What the configuration gave a version, and when that came into force."""

    percent: float
    since: float
    until: float


def missing(history: History, sums: Sums) -> tuple[Missing, ...]:
    """The first reason found for each."""
    expected = [*_by_weight(history, sums), *_by_other_versions(sums)]
    told = {m.target for m in expected}
    return (*expected, *(m for m in _idle(sums) if m.target not in told))


# ---- what has a weight


def weights(history: History) -> dict[tuple[str, str], Weight]:
    """By host and version: the largest share that was in force in the window."""
    asked: dict[object, Event] = {}
    found: dict[tuple[str, str], Weight] = {}
    acks = [e for e in history.of("config.ack") if e.data.get("number") is not None]
    for event in history.of("config.apply"):
        asked[event.data.get("number")] = event
    for ack, until in zip(acks, [*(e.at for e in acks[1:]), history.end], strict=False):
        apply = asked.get(ack.data["number"])
        if apply is None or until <= history.start or ack.at >= history.end:
            continue
        for host, versions in (apply.data.get("shares") or {}).items():
            for version, share in versions.items():
                known = found.get((host, version))
                if share > 0 and (known is None or known.percent < share):
                    found[host, version] = Weight(share, ack.at, until)
    return found


def _by_weight(history: History, sums: Sums) -> Iterator[Missing]:
    called: dict[str, set[str]] = {}
    for source, target, mirrored in sums.edges:
        if not mirrored:
            called.setdefault(sums.names.service(target), set()).add(source)
    reached = {target for _, target, mirrored in sums.edges if not mirrored}
    callers = {source for source, _, _ in sums.edges}
    for (host, version), weight in weights(history).items():
        service = next((s for s in sums.names.services if same_host(s, host)), host)
        target = node_name(service, version)
        if target in reached:
            continue
        sources = called.get(service, set())
        if not sources and target in callers:
            continue  # where the calls begin: a load sends as this workload
        if not sources:
            yield Missing("", target, *_unseen(history, sums, service))
        elif not _ready(history, sums, target):
            text = f"no pod of {target} was ready while {percent(weight.percent / 100)} of {service} was meant for it"
            yield from (Missing(source, target, "no-endpoints", text) for source in sorted(sources))
        else:
            reason, text = _weighed(history, service, version, weight)
            yield from (Missing(source, target, reason, text) for source in sorted(sources))


def _unseen(history: History, sums: Sums, service: str) -> tuple[str, str]:
    if history.requests and not sums.received and not any(history.hops):
        return (
            "no-hop",
            f"the provider keeps no access log: only what a load calls itself can be seen, {service} was not",
        )
    return "no-traffic", f"nobody sent a request to {service}"


def _weighed(history: History, service: str, version: str, weight: Weight) -> tuple[str, str]:
    """Requests of the host while the weight was in force, against the chance that none of them went there."""
    seen = sightings(history, service).count(weight.since, weight.until)
    count, share = sum(seen.values()), weight.percent / 100
    if not count:
        return "no-traffic", f"no request to {service} came as far as to a version: see the flags of its edges"
    chance = (1 - share) ** count
    wanted = f"{version} was meant to get {percent(share)} of {plural(count, 'request')} to {service}"
    if chance > LIKELY:
        return "by-chance", f"{wanted}: that none went there happens {percent(chance)} of the time"
    return "not-routed", f"{wanted}, and got none: is it another route that they matched?"


def _ready(history: History, sums: Sums, target: str) -> bool:
    node = sums.names.nodes().get(target)
    if node is None:
        return False
    pods = {e.subject for e in history.of("pod.start") if e.data.get("workload") == node.workload}
    return not pods or any(e.subject in pods for e in history.of("pod.ready"))


# ---- what other versions call


def _by_other_versions(sums: Sums) -> Iterator[Missing]:
    nodes = {name: node for name, node in sums.names.nodes().items() if node.kind == "workload"}
    calls: dict[str, set[str]] = {}
    for source, target, mirrored in sums.edges:
        if source in nodes and not mirrored:
            calls.setdefault(source, set()).add(sums.names.service(target))
    for name, node in nodes.items():
        others = [n for n, other in nodes.items() if other.service == node.service and n != name]
        for service in sorted(set().union(*(calls.get(n, set()) for n in others)) - calls.get(name, set())):
            example = next(n for n in others if service in calls.get(n, ()))
            yield Missing(name, _target(nodes, service), *_silent(sums, name, service, example))


def _target(nodes: Mapping[str, Node], service: str) -> str:
    """The version that is meant, if there is only one."""
    names = [name for name, node in nodes.items() if node.service == service]
    return names[0] if len(names) == 1 else service


def _silent(sums: Sums, name: str, service: str, example: str) -> tuple[str, str]:
    received, denied = sums.received[name], sums.denied[name]
    if not received:
        return "caller-not-reached", f"{name} got no request, so it called nobody"
    if denied == received:
        return "caller-denied", f"all {plural(received, 'request')} to {name} were denied by its proxy (403)"
    if any(target == service or sums.names.service(target) == service for source, target, _ in sums.edges
           if source == "unknown"):  # fmt: skip
        return "no-hop", f"{service} got requests that passed no caller's proxy; they may be from {name}"
    return "not-called", f"{name} got {plural(received, 'request')} and called {service} for none, as {example} does"


# ---- what nobody calls


def _idle(sums: Sums) -> Iterator[Missing]:
    """Pods that are there, without a weight and without a request: only a rule by header or path could lead there."""
    busy = {name for source, target, _ in sums.edges for name in (source, target)}
    for name, node in sums.names.nodes().items():
        if node.kind != "workload" or not node.replicas or name in busy:
            continue
        calls = [(s, e) for (s, t, _), e in sums.edges.items() if sums.names.service(t) == node.service]
        if not calls:
            yield Missing("", name, "no-traffic", f"nobody sent a request to {node.service}")
            continue
        for source, edge in calls:
            if edge.unlinked and edge.unlinked == edge.requests and sums.names.kind(source) == "workload":
                text = (
                    f"{source} passes no headers on: none of its {plural(edge.requests, 'call')} has a request id, so"
                )
                yield Missing(source, name, "not-propagated", f"{text} no rule by header can lead to {name}")
            else:
                text = f"no weight leads to {name}, and no request matched a rule that does"
                yield Missing(source, name, "not-routed", text)
