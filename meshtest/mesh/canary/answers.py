"""What users are promised, and whether the new version keeps it: the shape of its answers against those of the running
version. Pure.

Flagger's metrics see a status and a duration. That an answer lacks a header, or is 200 and nonsense, only a client sees
that looks at it: ours asks now and then beside the users. Values may differ between versions; what may not go missing
are the headers that all answers of the running version have, and the fields of its JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed

if TYPE_CHECKING:
    from meshtest.loads.ask import Reply


@dataclass(frozen=True)
class Seen:
    """The shape of one answer."""

    primary: bool
    """Of the running version."""
    ok: bool
    headers: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    """Of its JSON object; of any other body there are none."""

    @classmethod
    def of(cls, reply: Reply, primary: str) -> Seen | None:
        """None: nobody of ours answered. `primary`: how the names of the running version's pods begin."""
        if not reply.server.pod:
            return None
        headers = frozenset(name for name, _ in reply.headers)
        return cls(reply.server.pod.startswith(f"{primary}-"), reply.ok, headers, _keys(reply.body))


@dataclass(frozen=True)
class Compared:
    """Answers of the new version against the promise."""

    answers: int = 0
    """Of the new version that were good by their status."""
    wrong: int = 0
    first: str = ""
    """What the first wrong one lacks."""

    @property
    def share(self) -> float:
        return self.wrong / self.answers if self.answers else 0.0


def compare(seen: Iterable[Seen]) -> Compared:
    """Without an answer of both versions nothing is found out."""
    good = [one for one in seen if one.ok]
    promised = [one for one in good if one.primary]
    new = [one for one in good if not one.primary]
    if not promised:
        return Compared()
    headers = frozenset.intersection(*(one.headers for one in promised))
    keys = frozenset.intersection(*(one.keys for one in promised))
    missing = [text for one in new if (text := _missing(headers - one.headers, keys - one.keys))]
    return Compared(len(new), len(missing), next(iter(missing), ""))


def _missing(headers: frozenset[str], keys: frozenset[str]) -> str:
    said = [f"header {listed(sorted(headers))}"] if headers else []
    said += [f"field {listed(sorted(keys), most=3)} of the body"] if keys else []
    return " and ".join(said)


def _keys(body: bytes) -> frozenset[str]:
    try:
        told = json.loads(body)
    except ValueError:
        return frozenset()
    return frozenset(told) if isinstance(told, dict) else frozenset()
