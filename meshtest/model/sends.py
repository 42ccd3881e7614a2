"""The requests of each load in the order in which they really left, and which of them travel alike.

Certificates and outages are told from this order: the plan (`intended`) says what should have been observed, `began`
what was.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import islice
from weakref import WeakKeyDictionary

from meshtest.lib.dataclass import dataclass
from meshtest.model.record import NOT_SENT
from meshtest.model.request import Lane, Requests, Transport

Stream = tuple[int, int, int]
"""Lane, target, transport: what breaks one stream (new connections, one target) may leave the others whole."""


@dataclass(frozen=True)
class Sends:
    """Of one load. Requests that never left are not among them."""

    load: str
    positions: Sequence[int]
    """In the history's requests."""
    times: Sequence[int]
    """ns at which each began to leave, ascending."""


_known: WeakKeyDictionary[Requests, list[Sends]] = WeakKeyDictionary()
"""Several checks ask for the same requests."""


def of_loads(requests: Requests) -> list[Sends]:
    """Each load that has sent anything."""
    if requests not in _known:
        _known[requests] = _of_loads(requests)
    return _known[requests]


def _of_loads(requests: Requests) -> list[Sends]:
    began = requests.began
    sends = []
    for load, positions in _by_load(requests).items():
        times = began.tolist() if isinstance(positions, range) else [began[position] for position in positions]
        in_order = (
            requests.in_order if isinstance(positions, range) else all(map(operator.le, times, islice(times, 1, None)))
        )
        if not in_order:
            positions = sorted(positions, key=began.__getitem__)
            times = list(map(began.__getitem__, positions))
        sends.append(Sends(load, positions, times))
    return sends


def _by_load(requests: Requests) -> dict[str, Sequence[int]]:
    fates = requests.fates
    if len(requests.loads) == 1 and NOT_SENT not in fates:
        return {requests.loads[0]: range(len(requests))} if len(requests) else {}
    groups: dict[str, list[int]] = {}
    names = [load for load, _ in requests.origins]
    for position, origin in enumerate(requests.served):
        if fates[position] != NOT_SENT:
            groups.setdefault(names[origin], []).append(position)
    return dict(groups)


def largest_gap(requests: Requests) -> float:
    """Seconds; the longest time between two sends of a load, over all loads: a shorter outage cannot hide there."""
    return max((_gap(sends.times) for sends in of_loads(requests)), default=0.0)


def _gap(times: Sequence[int]) -> float:
    return max(map(operator.sub, islice(times, 1, None), times), default=0) / 1e9


def lanes(requests: Requests) -> bytes:
    """A column, as those of Requests."""
    return bytes(memoryview(requests.raw)[29::40])


class Streams:
    """By position, looked up when asked for: outages are short, and runs long."""

    def __init__(self, requests: Requests) -> None:
        raw = memoryview(requests.raw)
        self._lanes, self._targets, self._transports = raw[29::40], raw.cast("H")[18::20], raw[38::40]

    def __getitem__(self, position: int) -> Stream:
        return self._lanes[position], self._targets[position], self._transports[position]


def stream_label(stream: Stream) -> str:
    """`fresh`, `keepalive target 1`, `held websocket`."""
    lane, target, transport = stream
    words = [Lane(lane).name.lower()]
    words += [f"target {target}"] * bool(target)
    words += [Transport(transport).name.lower().replace("_", "-")] * bool(transport)
    return " ".join(words)
