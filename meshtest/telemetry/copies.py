"""Requests that arrived where no proxy sent them: copies that a mirror made, or calls past the proxies. Pure.

caller ── outbound hop: chose v1 ──► inbound hop at v1
       └────────── copy ───────────► inbound hop at v2, with the same request id
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from meshtest.model.history import History
from meshtest.model.request import Server
from meshtest.telemetry.names import UNKNOWN, Names
from meshtest.telemetry.passages import STREAMS, Passage, counted, rows

Counted = Sequence[tuple[Passage, int]]
Copy = tuple[str, str, bool, Passage, int]
"""Source, target, whether it is a copy (else nobody knows who sent it), and what arrived how often."""


def copies(history: History, names: Names, chosen: Counted, arrived: Counted) -> Iterator[Copy]:
    """Most runs have none, and then no request is looked at."""
    sent: Counter[str] = Counter()
    came: Counter[str] = Counter()
    for passage, count in chosen:
        sent[_node(names, passage.server)] += 0 if passage.stream else passage.tries * count
    for passage, count in arrived:
        came[_node(names, passage.server)] += 0 if passage.stream else count
    surplus = {node for node, count in came.items() if count > sent[node]}
    shadows = {node: source for node in surplus if not sent[node] and (source := _sole_caller(names, node, chosen))}
    for passage, count in arrived:
        if (node := _node(names, passage.server)) in shadows and not passage.stream:
            yield shadows[node], node, True, passage, count
    if surplus - set(shadows):
        yield from _one_by_one(history, names, surplus - set(shadows))


def _node(names: Names, server: str) -> str:
    return UNKNOWN if server == "-" else names.of_server(Server.parse(server))


def _sole_caller(names: Names, node: str, chosen: Counted) -> str:
    """Who calls the other versions of the node's service, if that is one, who never tried twice."""
    service = names.service(node)
    calls = [p for p, _ in chosen if names.service(_node(names, p.server)) == service and not p.stream]
    sources = {names.of_proxy(p.direction, p.proxy) for p in calls}
    return sources.pop() if len(sources) == 1 and all(p.tries == 1 for p in calls) else ""


def _one_by_one(history: History, names: Names, nodes: set[str]) -> Iterator[Copy]:
    """By their ids: what is left when each arrival is set off against a try that was sent there."""
    services = {names.service(node) for node in nodes}
    nodes_by_server: dict[str, str] = {}

    def node_of(row: Sequence[str]) -> str:
        found = nodes_by_server.get(row[10])
        if found is None:
            found = nodes_by_server[row[10]] = _node(names, row[10])
        return found

    requests = [row for row in rows(history) if row[4] not in STREAMS]
    ids = {row[3] for row in requests if row[1] == "inbound" and node_of(row) in nodes}
    concerned = [row for row in requests if row[3] in ids]
    tries: Counter[tuple[str, str]] = Counter()
    again: Counter[tuple[str, str]] = Counter()
    senders: dict[str, dict[tuple[str, str], float]] = {}
    for row in concerned:
        if row[1] != "inbound":
            node, count = node_of(row), int(row[11]) if row[11].isdigit() else 1
            tries[row[3], node] += max(count, 1)
            again[row[3], names.service(node)] += max(count - 1, 0)
            caller = (names.service(node), names.of_proxy(row[1], row[2]))
            senders.setdefault(row[3], {}).setdefault(caller, float(row[0]))
    groups: dict[tuple[str, str, bool], list[Sequence[str]]] = {}
    for row in concerned:
        node = node_of(row)
        if row[1] != "inbound" or names.service(node) not in services:
            continue
        if tries[row[3], node] > 0:
            tries[row[3], node] -= 1
        elif again[row[3], names.service(node)] > 0:
            again[row[3], names.service(node)] -= 1
        else:
            source = _sender(senders.get(row[3], {}), names.service(node), float(row[0]))
            groups.setdefault((source or UNKNOWN, node, bool(source)), []).append(row)
    for (source, node, mirrored), group in groups.items():
        for passage, count in counted(group):
            yield source, node, mirrored, passage, count


def _sender(senders: dict[tuple[str, str], float], service: str, at: float) -> str:
    """Who sent the original: to the same service, or else last before the copy came; "" if nobody did."""
    alike = {source for (called, source) in senders if called == service}
    if len(alike) == 1:
        return alike.pop()
    before = [(sent, source) for (_, source), sent in senders.items() if sent <= at]
    return max(before)[1] if before else ""
