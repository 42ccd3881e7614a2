"""Where the nodes of a graph stand: in layers, callers before those they call, with few crossings (Sugiyama's method).

Pure, and without a drawing: a layer is a list of names, in order. An edge over several layers passes through a stand-in
in each layer between, so that it has a way of its own around the nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

SWEEPS = 6


class Via(NamedTuple):
    """Where an edge passes a layer."""

    source: str
    target: str
    layer: int


Slot = str | Via


class Layers(NamedTuple):
    rows: Sequence[Sequence[Slot]]
    ways: Mapping[tuple[str, str], Sequence[Slot]]
    """Of each edge, from its source to its target."""


def layered(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> Layers:
    """Every name is in one layer; an edge goes from a layer to a later one, but for those that close a circle."""
    depth = _depths(names, [(s, t) for s, t in edges if s != t])
    rows: list[list[Slot]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in names:
        rows[depth[name]].append(name)
    ways: dict[tuple[str, str], list[Slot]] = {}
    for source, target in edges:
        step = 1 if depth[source] <= depth[target] else -1
        between = [Via(source, target, layer) for layer in range(depth[source] + step, depth[target], step)]
        for via in between:
            rows[via.layer].append(via)
        ways[source, target] = [source, *between, target]
    for sweep in range(SWEEPS):
        _sweep(rows, ways, forward=sweep % 2 == 0)
    return Layers(rows, ways)


def _depths(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The longest way to each from where nobody calls, without the edges that close a circle."""
    callees: dict[str, list[str]] = {name: [] for name in names}
    for source, target in edges:
        callees[source].append(target)
    called = {target for _, target in edges}
    order: list[str] = []
    state: dict[str, int] = {}
    forward: set[tuple[str, str]] = set()
    for root in [*(n for n in names if n not in called), *names]:
        stack = [(root, iter(callees[root]))] if root not in state else []
        state.setdefault(root, 1)
        while stack:
            name, rest = stack[-1]
            for target in rest:
                if state.get(target) != 1:
                    forward.add((name, target))
                if target not in state:
                    state[target] = 1
                    stack.append((target, iter(callees[target])))
                    break
            else:
                state[name] = 2
                order.append(name)
                stack.pop()
    depth = dict.fromkeys(names, 0)
    for name in reversed(order):
        for target in callees[name]:
            if (name, target) in forward:
                depth[target] = max(depth[target], depth[name] + 1)
    return depth


def _sweep(rows: list[list[Slot]], ways: Mapping[tuple[str, str], Sequence[Slot]], *, forward: bool) -> None:
    """Each row in the order of the middles of its neighbours in the row before."""
    near: dict[Slot, list[Slot]] = {}
    for way in ways.values():
        for one, other in pairwise(way):
            near.setdefault(other if forward else one, []).append(one if forward else other)
    place = {slot: i / max(len(row), 1) for row in rows for i, slot in enumerate(row)}
    for row in rows if forward else reversed(rows):
        middles = {slot: _middle([place[n] for n in near.get(slot, ())], place[slot]) for slot in row}
        row.sort(key=lambda slot: middles[slot])
        place |= {slot: (i + 0.5) / len(row) for i, slot in enumerate(row)}


def _middle(places: Sequence[float], own: float) -> float:
    return sum(places) / len(places) if places else own
