"""A service graph: who called whom, how often, how well - and which edge is missing, and why.

Not here: how it comes of a history (telemetry/graph.py), how it is drawn (reporters/).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf
from typing import Any, Literal, NamedTuple

from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, nearest

NodeKind = Literal["workload", "gateway", "client", "unknown"]
SCHEMA = "https://meshtest.dev/schema/graph-1.json"
"""`$id` of reports/schema/graph.json."""


class Node(NamedTuple):
    """Who sends or serves."""

    name: str
    """`service@version`; `gateway` or `gateway:PORT`; `client`; `outside`, a client that has no proxy; the host alone
    where no version of it was reached."""
    kind: NodeKind
    service: str = ""
    version: str = ""
    workload: str = ""
    """`namespace/name` of the Deployment."""
    replicas: int = 0
    """Pods that were seen, by their start or by serving."""


class Edge(NamedTuple):
    """The requests from one node to another. Seconds; a request without an answer took forever."""

    source: str
    target: str
    requests: int
    failed: int
    """Not answered, or with 5xx."""
    rate: float
    """Requests a second of the graph's time."""
    p50: float
    p99: float
    mtls: bool | None
    """True: all of it went by mutual TLS; False: some did not; None: nothing tells."""
    protocols: tuple[str, ...] = ()
    flags: Mapping[str, int] = {}
    """Envoy's response flags, and how often: UH, UF, FI ... ; of a load also the fates of what was not answered."""
    mirrored: bool = False
    """Copies: nobody waited for the answers."""
    denied: int = 0
    """Answered 403 by the target's proxy; the service never saw them."""
    retries: int = 0
    """Tries beyond the first."""
    unlinked: int = 0
    """Without a request id: the caller did not pass the headers on, so nobody can say which request caused them."""

    def as_data(self) -> dict[str, Any]:
        """Times to the microsecond; null where there was no answer."""
        p50, p99 = (None if value == inf else round(value, 6) for value in (self.p50, self.p99))
        more = {"protocols": list(self.protocols), "flags": dict(self.flags), "p50": p50, "p99": p99}
        return {**self._asdict(), "rate": round(self.rate, 3), **more}


class Missing(NamedTuple):
    """An edge that was to be expected and is not there."""

    source: str
    """"" is: whoever calls."""
    target: str
    reason: str
    """One of REASONS in telemetry/missing.py."""
    text: str


class Calls(Mapping[str, Edge]):
    """Edges by the name at their other end. Asking for one that is not there says why."""

    def __init__(self, name: str, edges: Mapping[str, Edge], missing: tuple[Missing, ...]) -> None:
        self._name, self._edges, self._missing = name, edges, missing

    def __getitem__(self, name: str) -> Edge:
        if name in self._edges:
            return self._edges[name]
        told = next((m.text for m in self._missing if m.target == name and m.source in ("", self._name)), "")
        why = told or f"there are edges to: {listed(self._edges) or 'nobody'}"
        raise NotInGraph(f"no edge {self._name} -> {name}: {why}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._edges)

    def __len__(self) -> int:
        return len(self._edges)


class NotInGraph(KeyError):
    """With the reason, for a person: KeyError would show it as a quoted key."""

    def __str__(self) -> str:
        return str(self.args[0])


class Place:
    """A node with its edges: `graph["web@v2"].calls["price@v1"].failed`."""

    def __init__(self, node: Node, graph: Graph) -> None:
        self.node, self._graph = node, graph

    @property
    def calls(self) -> Calls:
        """By target; copies are in `mirrors`."""
        return Calls(self.node.name, self._edges(mirrored=False), self._graph.missing)

    @property
    def mirrors(self) -> Calls:
        return Calls(self.node.name, self._edges(mirrored=True), ())

    def _edges(self, *, mirrored: bool) -> dict[str, Edge]:
        name = self.node.name
        return {e.target: e for e in self._graph.edges if e.source == name and e.mirrored is mirrored}

    @property
    def callers(self) -> Mapping[str, Edge]:
        """By source, without copies."""
        return {e.source: e for e in self._graph.edges if e.target == self.node.name and not e.mirrored}

    @property
    def requests(self) -> int:
        """That came in, without copies."""
        return sum(e.requests for e in self.callers.values())


@dataclass(frozen=True)
class Graph:
    """Nodes and edges in the order in which requests pass them; `graph["web@v2"]` is one node with its edges."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    missing: tuple[Missing, ...]
    start: float
    end: float
    """Seconds of the run, the time that rates are of."""

    def __getitem__(self, name: str) -> Place:
        found = next((n for n in self.nodes if n.name == name), None)
        if found is None:
            names = [n.name for n in self.nodes]
            hint = nearest(name, names)
            raise NotInGraph(
                f"{name!r} is not in the graph; there are: {listed(names) or 'none'}"
                + (f" (did you mean {hint!r}?)" if hint else "")
            )
        return Place(found, self)

    def as_data(self) -> dict[str, Any]:
        """JSON-able: `graph.json`, of the schema in reports/schema."""
        return {
            "schema": SCHEMA,
            "start": round(self.start, 6),
            "end": round(self.end, 6),
            "nodes": [node._asdict() for node in self.nodes],
            "edges": [edge.as_data() for edge in self.edges],
            "missing": [missing._asdict() for missing in self.missing],
        }
