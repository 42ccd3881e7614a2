"""Services that take a traced request and call on without its trace context: their traces fall into pieces. Pure.

    the request's trace:   gateway > productpage            (reviews is not in it)
    a piece:               reviews > ratings                 (begun by productpage's own proxy, without a parent)

A piece is a trace that began, without a parent, at a workload that was being called: its first span is of that
workload's proxy (or its own), and either carries the id of a request that came in there, or lies within the time in
which requests were being served there. Calls that a workload makes on its own account (polling, warming up) lie outside
of that time as well: where a noticeable part does, time proves nothing. Where proxies begin no traces of their own,
hops tell: a call of the same request that its trace does not have.

Spans name a workload by its app, hops by its service; where the two differ, pods tell that they are the same.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from meshtest.lib.words import plural
from meshtest.model.history import History, Hop
from meshtest.model.proxy_span import short, side
from meshtest.model.trace import Trace

STRAY = 0.1
"""Of the pieces of a service may lie outside of the time in which it was called; more, and it calls by itself."""
SLACK = 0.002
"""Seconds; a proxy's log tells how long a request took in whole milliseconds."""

Interval = tuple[float, float]


class Broken(NamedTuple):
    """One service that did not forward the trace context to another."""

    service: str
    host: str
    traces: int
    """How many broke there."""
    pieces: tuple[str, ...] = ()
    """Trace ids of what broke off, as far as it was traced."""
    requests: tuple[str, ...] = ()
    """Ids of the requests it broke off from, where that is known."""

    def __str__(self) -> str:
        return f"{self.service} did not forward traceparent to {self.host}: {plural(self.traces, 'broken trace')}"


def broken(traces: Sequence[Trace], history: History) -> list[Broken]:
    """One for each service and host, the worst first."""
    found = _by_pieces(traces, history)
    told = {(one.service, one.host) for one in found}
    found += [one for one in _by_hops(traces, history) if (one.service, one.host) not in told]
    return sorted(found, key=lambda one: (-one.traces, one.service, one.host))


# ---- by the pieces


def _by_pieces(traces: Sequence[Trace], history: History) -> list[Broken]:
    served, visitors = _served(traces, history), _visitors(traces, history)
    edges: dict[tuple[str, str], list[Trace]] = {}
    strays: dict[str, int] = {}
    for piece in filter(_begun_inside, traces):
        service = _starter(piece)
        if service not in served or piece.of_load:
            continue
        if piece.request and (service, piece.request) not in visitors:
            continue  # somebody sent it by this workload's proxy: an ask, say
        if piece.request or _within(served[service], piece.start):
            edges.setdefault((service, _called(piece, service)), []).append(piece)
        else:
            strays[service] = strays.get(service, 0) + 1
    return [_broken(edge, pieces) for edge, pieces in edges.items() if _proven(pieces, strays.get(edge[0], 0))]


def _broken(edge: tuple[str, str], pieces: Sequence[Trace]) -> Broken:
    known = tuple(piece.request for piece in pieces if piece.request)
    return Broken(*edge, len(pieces), tuple(piece.id for piece in pieces), known)


def _proven(pieces: Sequence[Trace], strays: int) -> bool:
    return any(piece.request for piece in pieces) or strays <= STRAY * (len(pieces) + strays)


def _begun_inside(trace: Trace) -> bool:
    """By a workload and without a parent; a gateway's trace, or one that a client began, is none."""
    return bool(trace.spans) and not trace.first.parent and side(trace.first) not in ("gateway", "inbound")


def _starter(piece: Trace) -> str:
    return short(piece.first)


def _called(piece: Trace, service: str) -> str:
    others = (call.service for call in piece.calls if call.service not in ("", service))
    return next(others, "another service")


def _served(traces: Sequence[Trace], history: History) -> Mapping[str, Sequence[Interval]]:
    """By service, when requests of loads were in it: by spans, and by hops, which tell of unsampled ones too."""
    found: dict[str, list[Interval]] = {}
    for trace in traces:
        if trace.of_load:
            for call in trace.calls:
                found.setdefault(call.service, []).extend((span.start, span.end) for span in call.entries)
    apps = _apps(traces)
    for hop in _inbound(history):
        service = apps.get(hop.server.pod, hop.server.service)
        found.setdefault(service, []).append((hop.at - SLACK, hop.at + hop.seconds + SLACK))
    return {service: _merged(intervals) for service, intervals in found.items()}


def _visitors(traces: Sequence[Trace], history: History) -> set[tuple[str, str]]:
    """(service, id of a request that came in there)"""
    told = {(call.service, trace.request) for trace in traces if trace.of_load for call in trace.calls if call.reached}
    apps = _apps(traces)
    return told | {(apps.get(h.server.pod, h.server.service), h.request_id) for h in _inbound(history)}


def _apps(traces: Sequence[Trace]) -> Mapping[str, str]:
    """By pod, what its spans call the service."""
    return {entry.pod: call.service for trace in traces for call in trace.calls for entry in call.entries if entry.pod}


def _inbound(history: History) -> Iterator[Hop]:
    inside = (hop for hop in history.hops if history.start <= hop.at < history.end)
    return (hop for hop in inside if hop.direction == "inbound" and hop.request_id != "-")


def _merged(intervals: Iterable[Interval]) -> list[Interval]:
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _within(intervals: Sequence[Interval], at: float) -> bool:
    position = bisect_right(intervals, (at, float("inf"))) - 1
    return position >= 0 and at <= intervals[position][1]


# ---- by the hops


def _by_hops(traces: Sequence[Trace], history: History) -> list[Broken]:
    """A service further down was called for the same request, by one that is in its trace, but is not in it itself."""
    lost: dict[tuple[str, str], list[str]] = {}
    for trace in traces:
        if not trace.of_load or not trace.complete:
            continue
        hops = history.hops_of(trace.request)
        inside = {name for call in trace.calls for name in (call.service, call.host, call.pod)}
        for hop in hops:
            caller, host = _caller(hop, hops), hop.server.service
            called = not inside.isdisjoint((host, hop.server.pod))
            if hop.direction == "outbound" and caller in inside and host and not called:
                lost.setdefault((caller, host), []).append(trace.request)
    return [Broken(*edge, len(set(names)), (), tuple(dict.fromkeys(names))) for edge, names in lost.items()]


def _caller(hop: Hop, hops: Sequence[Hop]) -> str:
    """The service of the workload whose proxy wrote an outbound hop: one of its pods took the request in."""
    workload = hop.proxy.rpartition("/")[2]
    pods = (h.server for h in hops if h.direction == "inbound" and h.server.pod.startswith(f"{workload}-"))
    return next((server.service for server in pods), "")
