"""Hosts further down the call graph, which users do not call themselves: added up from the proxies' hops. Pure."""

from __future__ import annotations

from math import inf

from meshtest.model.history import History, Hop, same_host
from meshtest.model.sightings import is_choice, sightings
from meshtest.model.tables import Row, quantile


def moved(history: History) -> list[str]:
    """Hosts whose requests some configuration split among versions, and that users do not call themselves."""
    entries = {server.service for _, server in history.requests.origins if server.service}
    asked = [event.data.get("shares") or {} for event in history.of("config.apply")]
    seen: dict[str, set[str]] = {}
    for shares in asked:
        for host, versions in shares.items():
            seen.setdefault(host, set()).update(versions)
    return [h for h, versions in seen.items() if len(versions) > 1 and not any(same_host(h, e) for e in entries)]


def by_version(history: History, host: str) -> list[Row]:
    """A row a version: what its callers' proxies saw. A request that was cut has an infinite latency."""
    chosen = [hop for hop in history.hops if is_choice(hop, host) and history.start <= hop.at < history.end]
    groups: dict[str, list[Hop]] = {}
    for hop in chosen:
        groups.setdefault(hop.server.version, []).append(hop)
    return [_row(host, version, hops, len(chosen)) for version, hops in sorted(groups.items())]


def _row(host: str, version: str, hops: list[Hop], total: int) -> Row:
    ordered = sorted(hop.seconds if hop.status else inf for hop in hops)
    return Row(
        version=f"{host}/{version}",
        requests=len(hops),
        share=len(hops) / total,
        failed=sum(hop.status >= 500 or not hop.status for hop in hops),
        p50=quantile(ordered, 0.5),
        p99=quantile(ordered, 0.99),
        worst=ordered[-1],
    )


def timeline(history: History, host: str, buckets: int) -> dict[str, list[int]]:
    """Requests of each version in so many equal parts of the time of the load; without one, of what was seen."""
    seen = sightings(history, host)
    requests = history.requests
    if requests:
        start, end = requests[0].at, requests[-1].at
    else:
        start, end = (seen.first, seen.last) if seen else (0.0, 0.0)
    rows: dict[str, list[int]] = {f"{host}/{version}": [0] * buckets for version in sorted(set(seen.versions.values()))}
    for at, version in seen.each():
        bucket = int((at - start) / max(end - start, 1e-9) * buckets)
        rows[f"{host}/{version}"][min(max(bucket, 0), buckets - 1)] += 1
    return rows
