"""How far the clock of another machine is from ours, and how sure that is: Cristian's algorithm, with its error bound.

worker   asks at t0 ────────────► master reads its clock: t1
         hears at t2 ◄──────────── t1
offset = t1 - (t0 + t2) / 2, and the truth is within (t2 - t0) / 2 of it, however unequal the two ways are.
"""

from __future__ import annotations

from collections import deque
from dataclasses import field

from meshtest.lib.dataclass import dataclass

_KEPT = 20
_DRIFT = 1e-4
"""Two clocks part by that at most: quartzes are good for 50 parts in a million each."""


@dataclass
class Offset:
    """What must be added to readings of this machine's clock to have the master's. Nanoseconds."""

    _seen: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def learn(self, asked: int, theirs: int, heard: int) -> None:
        self._seen.append(((heard - asked + 1) // 2, theirs - (asked + heard) // 2, heard))

    def __len__(self) -> int:
        return len(self._seen)

    def best(self, now: int) -> tuple[int, int]:
        """(offset, the largest error it can have), of the answers that came lately."""
        aged = ((bound + round((now - heard) * _DRIFT), offset) for bound, offset, heard in self._seen)
        bound, offset = min(aged)
        return offset, bound
