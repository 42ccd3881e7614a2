"""Requests up to the first that has not ended: of those behind it only the fast ones have, and they would tell a share,
an error rate or a latency that is not true."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from math import inf

from meshtest.model.history import History
from meshtest.model.record import PART_BITS
from meshtest.model.request import Requests


def settled(requests: Requests, over: Collection[str] = ()) -> Requests:
    """Each part of each load counts its requests from 0; loads that are `over` have no unfinished ones."""
    names = [load for load, _ in requests.origins]
    if set(names) <= set(over):
        return requests
    keys = sorted((names[o], i, p) for p, (o, i) in enumerate(zip(requests.served, requests.indices, strict=True)))
    whole: list[int] = []
    for (load, _), part in itertools.groupby(keys, key=lambda key: (key[0], key[1] >> PART_BITS)):
        first, *more = part
        whole.append(first[2])
        whole += [p for n, (_, i, p) in enumerate(more, 1) if load in over or i == first[1] + n]
    return requests if len(whole) == len(requests) else requests.pick(sorted(whole))


def settled_in(history: History) -> Requests:
    """Of a history that may still be growing; in a window that has an end everything has ended."""
    if history.end < inf:
        return history.requests
    return settled(history.requests, {event.subject for event in history.of("load.end")})
