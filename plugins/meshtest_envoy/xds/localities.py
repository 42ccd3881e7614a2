"""Which localities a caller prefers: Istio's locality load balancing.

Callers of a namespace share clusters, but not their place. So where the place matters, a cluster has a copy for each
place that callers are in, with the endpoints in that caller's order, and the routes name the copy for the callers that
are there:

    outbound|80||web.default.svc.cluster.local                   callers whose place nobody told; gateways
    outbound|80||web.default.svc.cluster.local@eu/eu-1           callers in eu/eu-1

Source: Istio's pilot/pkg/networking/core/loadbalancer/loadbalancer.go. Failover needs outlier detection there too:
Envoy could not know otherwise that a locality is not well; `distribute` does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.memo import per_object
from meshtest.model.policy import LoadBalancing, LocalityBalancing, TrafficPolicy
from meshtest.model.service import Labels, Service
from meshtest.model.topology import Topology, key
from meshtest_envoy.xds import names, routes
from meshtest_envoy.xds.resources import Json

PARTS = ("region", "zone", "sub_zone")
TOPOLOGY_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone")
"""Labels that stand for the parts of a locality in failoverPriority."""


class Located(NamedTuple):
    """An LbEndpoint, and where it is (`region/zone/subzone`, "" if nobody told)."""

    locality: str
    labels: Labels
    host: Json


@dataclass(frozen=True)
class View:
    """Callers that prefer the same."""

    name: str
    locality: str
    labels: Labels
    callers: tuple[str, ...]


# -- who looks from where


def views(topology: Topology, service: Service, policy: TrafficPolicy) -> list[View]:
    """Places from which the endpoints of a service are not all alike under the policy; mostly none."""
    setting = (policy.load_balancing or LoadBalancing()).locality or LocalityBalancing()
    if not setting.enabled or not (setting.distribute or policy.outlier_detection):
        return []
    there = {w.locality for w in topology.backends(service)} | {e.locality for e in service.endpoints}
    if len(there) < 2 and not setting.failover_priority:
        return []
    found: dict[str, list[tuple[str, str, Labels]]] = {}
    for workload in topology.workloads:
        labels = {**workload.labels, **topology_labels(workload.locality)}
        name = view_name(setting, workload.locality, labels)
        if name and applies(setting, workload.locality):
            found.setdefault(name, []).append((key(workload), workload.locality, labels))
    return [View(name, them[0][1], them[0][2], tuple(k for k, _, _ in them)) for name, them in sorted(found.items())]


def view_name(setting: LocalityBalancing, locality: str, labels: Labels) -> str:
    if not setting.failover_priority or setting.distribute:
        return locality
    wanted = (entry.partition("=")[0] for entry in setting.failover_priority)
    return ",".join(f"{name}={labels.get(name, '')}" for name in wanted)


def applies(setting: LocalityBalancing, locality: str) -> bool:
    """`distribute` is for callers in the places it names, and it alone counts if it is there."""
    return not setting.distribute or distribution(setting, locality) is not None


def distribution(setting: LocalityBalancing, locality: str) -> Mapping[str, int] | None:
    return next((dict(to) for at, to in setting.distribute if matches(at, locality)), None)


def topology_labels(locality: str) -> dict[str, str]:
    return dict(zip(TOPOLOGY_LABELS, locality.split("/"), strict=False)) if locality else {}


def matches(pattern: str, locality: str) -> bool:
    """`eu/*` and `eu` stand for all of eu (Istio's LocalityMatch)."""
    for wanted, own in zip(pattern.split("/"), (*locality.split("/"), "", ""), strict=False):
        if wanted == "*":
            return True
        if wanted != own:
            return False
    return True


# -- in which order


def assignment(hosts: Iterable[Located]) -> list[Json]:
    """LocalityLbEndpoints for callers to whom all places are alike."""
    return [{**where(locality), "lb_endpoints": members} for locality, members in grouped(hosts).items()]


def arranged(hosts: Sequence[Located], view: View, policy: TrafficPolicy) -> list[Json]:
    """LocalityLbEndpoints as the view prefers them."""
    setting = (policy.load_balancing or LoadBalancing()).locality or LocalityBalancing()
    shares = distribution(setting, view.locality)
    if shares is not None:
        return weighted(hosts, shares)
    groups: dict[tuple[int, str], list[Located]] = {}
    for host in hosts:
        groups.setdefault((distance(setting, view, host), host.locality), []).append(host)
    levels = sorted({level for level, _ in groups})  # Envoy wants priorities without gaps
    return [
        {**where(place), "priority": levels.index(level), "lb_endpoints": [m.host for m in members]}
        for (level, place), members in sorted(groups.items(), key=lambda item: item[0])
    ]


def distance(setting: LocalityBalancing, view: View, host: Located) -> int:
    """0 is nearest."""
    if setting.failover_priority:
        return len(setting.failover_priority) - agreeing(setting.failover_priority, view.labels, host)
    own, other = (*view.locality.split("/"), "", ""), (*host.locality.split("/"), "", "")
    same = next((i for i, (a, b) in enumerate(zip(own[:3], other[:3], strict=True)) if a != b), 3)
    if same:
        return 3 - same
    chosen = dict(setting.failover).get(own[0])
    return 3 if chosen is None or chosen == other[0] else 4


def agreeing(labels: Sequence[str], caller: Labels, host: Located) -> int:
    """How many of the labels, from the first on, caller and endpoint share; `label=value` sets the caller's."""
    own = {**host.labels, **topology_labels(host.locality)}
    count = 0
    for entry in labels:
        name, told, value = entry.partition("=")
        if own.get(name, "") != (value if told else caller.get(name, "")):
            break
        count += 1
    return count


def weighted(hosts: Sequence[Located], shares: Mapping[str, int]) -> list[Json]:
    """Each place that is named gets its share, split by endpoints if a pattern stands for several; no other any."""
    groups, result = grouped(hosts), []
    for pattern, percent in shares.items():
        found = {place: members for place, members in groups.items() if matches(pattern, place)}
        total = sum(map(len, found.values()))
        for place, members in found.items():
            weight = max(1, round(percent * 100 * len(members) / total))
            result.append({**where(place), "load_balancing_weight": weight, "lb_endpoints": members})
    return result


def grouped(hosts: Iterable[Located]) -> dict[str, list[Json]]:
    groups: dict[str, list[Json]] = {}
    for host in hosts:
        groups.setdefault(host.locality, []).append(host.host)
    return groups


def where(locality: str) -> Json:
    return {"locality": dict(zip(PARTS, locality.split("/"), strict=False))} if locality else {}


# -- which cluster


def copy_name(cluster: str, view: View) -> str:
    return f"{cluster}@{view.name}"


@per_object
def copies(topology: Topology) -> dict[str, list[View]]:
    """By cluster, the views that have a copy of it."""
    found: dict[str, list[View]] = {}
    for service in topology.services:
        host = topology.policies.get(service.fqdn)
        for port in service.ports if host else ():
            assert host is not None
            for subset in (None, *host.subsets):
                policy = (subset or host).policy_for(port.number)
                if seen := views(topology, service, policy):
                    found[names.outbound_cluster(service.fqdn, port.number, subset.name if subset else "")] = seen
    return found


def localised(topology: Topology, hosts: Iterable[Json]) -> Iterator[Json]:
    """Virtual hosts of callers, with the routes to clusters that have copies repeated for each place."""
    known = copies(topology)
    for host in hosts:
        if known and host.get("routes"):
            yield {**host, "routes": [made for route in host["routes"] for made in _localised(known, route)]}
        else:
            yield host


def _localised(known: Mapping[str, list[View]], route: Json) -> Iterator[Json]:
    """The route of each view, then the one for all others."""
    chosen = [view for name in dict.fromkeys(_clusters(route)) for view in known.get(name, ())]
    callers = dict.fromkeys(caller for view in chosen for caller in view.callers)
    by_names: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for caller in callers:
        renamed = {n: copy_name(n, v) for n in _clusters(route) for v in known.get(n, ()) if caller in v.callers}
        by_names.setdefault(tuple(sorted(renamed.items())), []).append(caller)
    for renaming, who in by_names.items():
        made = routes.only_for(who, {**route, "route": _renamed(route["route"], dict(renaming))})
        before = route["match"].get("filter_state", [])
        yield {**made, "match": {**made["match"], "filter_state": [*before, *made["match"]["filter_state"]]}}
    yield route


def _clusters(route: Json) -> Iterator[str]:
    action = route.get("route", {})
    if "cluster" in action:
        yield action["cluster"]
    yield from (c["name"] for c in action.get("weighted_clusters", {}).get("clusters", ()))
    yield from (m["cluster"] for m in action.get("request_mirror_policies", ()))


def _renamed(action: Any, renaming: Mapping[str, str]) -> Any:
    """The action with clusters replaced, wherever it names them."""
    if isinstance(action, dict):
        return {
            k: renaming.get(v, v) if k in ("cluster", "name") and isinstance(v, str) else _renamed(v, renaming)
            for k, v in action.items()
        }
    return [_renamed(item, renaming) for item in action] if isinstance(action, list) else action
