"""Who called whom: the service graph of a run, as Kiali draws it, made of every request instead of samples. Pure.

    client ──load's records──► gateway ──its hops──► web@v2 ──hops of web's proxy──► price@v1
                                                       └┄┄┄┄ copies (arrivals that nobody chose) ┄┄┄► price@v2

An edge that one would expect and that is not there is told with the reason (missing.py), because an empty graph is what
people complain about most. Not here: how hops become edges (sums.py), what a graph is (model/graph.py).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from meshtest.model.graph import Edge, Graph, Node
from meshtest.model.history import History
from meshtest.model.tables import quantile
from meshtest.telemetry.missing import missing
from meshtest.telemetry.passages import rows
from meshtest.telemetry.sums import Key, Sum, Sums


def graph_of(history: History, start: float | None = None, end: float | None = None) -> Graph:
    """Of the requests of [start, end), by default of all that the history judges."""
    window = history.between(history.start if start is None else start, history.end if end is None else end)
    sums = Sums(window)
    first, last = _times(window)
    began = first if start is None else start
    ended = last if end is None else end
    edges = {key: _edge(key, found, sums, ended - began) for key, found in sums.edges.items()}
    absent = missing(window, sums)
    named = {name for source, target, _ in edges for name in (source, target)} | {m.target for m in absent}
    nodes = {name: n for name, n in sums.names.nodes().items() if n.kind == "workload" or name in named}
    place = {name: number for number, name in enumerate(_in_order(nodes, edges))}
    ordered = sorted(edges.values(), key=lambda e: (place[e.source], place[e.target], e.mirrored))
    return Graph(tuple(nodes[name] for name in place), tuple(ordered), absent, began, ended)


def _times(history: History) -> tuple[float, float]:
    """From the first request to the end of the last; where no load ran, of what the proxies saw."""
    if requests := history.requests:
        return requests[0].at, requests[-1].ended_at
    zero = getattr(history.hops, "wall_start", 0.0)
    times = [float(row[0]) - zero for row in rows(history)]
    return (min(times), max(times)) if times else (0.0, 0.0)


def _edge(key: Key, found: Sum, sums: Sums, seconds: float) -> Edge:
    source, target, mirrored = key
    times = found.latencies
    return Edge(
        source=source,
        target=target,
        requests=found.requests,
        failed=found.failed,
        rate=found.requests / seconds if seconds > 0 else 0.0,
        p50=quantile(times, 0.5),
        p99=quantile(times, 0.99),
        mtls=found.mtls,
        protocols=tuple(sorted(found.protocols)),
        flags=dict(sorted(found.flags.items())),
        mirrored=mirrored,
        denied=min(found.forbidden, sums.denied[target]),
        retries=found.retries,
        unlinked=found.unlinked,
    )


def _in_order(nodes: Mapping[str, Node], edges: Collection[Key]) -> list[str]:
    """As requests pass them: clients first, then level by level; what nobody calls last."""
    order = sorted((name for name, node in nodes.items() if node.kind == "client"))
    called = {target for _, target, _ in edges}
    order += sorted(s for s in {source for source, _, _ in edges} - called if s not in order)
    for name in order:  # grows while it is gone through
        order += sorted({t for s, t, _ in edges if s == name} - set(order))
    return order + sorted(set(nodes) - set(order))
