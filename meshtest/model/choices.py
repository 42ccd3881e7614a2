"""What a load chooses for each request, as pure functions of its seed and the request's index.

The prober chooses by them, and whoever judges a run can work the choice out again: which target, which virtual user,
whether a fault header was on it, which trace it is. Light imports (part of the prober's process).
"""

from __future__ import annotations

from bisect import bisect_right

from meshtest.model.record import PART_BITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

WORD = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
"""2**64 / golden ratio: the increment of SplitMix64, whose finaliser `mixed` is (Steele, Lea, Flood: Fast splittable
pseudorandom number generators, 2014)."""
_COUNT = (1 << PART_BITS) - 1


def salt(seed: int, *words: str) -> int:
    """64 bits for one use of a seed; other words give unrelated ones."""
    import hashlib  # 3 ms, and the prober is handed its salts

    text = "/".join((str(seed), *words)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def mixed(salt: int, index: int) -> int:
    """64 bits that look random; equal for equal arguments."""
    word = (salt + (index + 1) * GOLDEN) & WORD
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & WORD
    return word ^ (word >> 31)


def limit(share: float) -> int:
    """What `mixed` is below for this share of all indices."""
    return round(share * (WORD + 1))


def chosen(salt: int, index: int, share: float) -> bool:
    """Whether a request is among this share of all."""
    return mixed(salt, index) < limit(share)


def edges(weights: Sequence[float]) -> list[int]:
    """The upper bound of `mixed` for all targets but the last."""
    total, sums = sum(weights), 0.0
    return [limit((sums := sums + weight) / total) for weight in weights[:-1]]


def target_of(salt: int, index: int, edges: Sequence[int]) -> int:
    """Which target a request goes to. Drawn, not dealt in turn: a cycle of targets would beat with the cycles of lanes,
    connections and the mesh's own round robin, so that one target got, say, all the new connections."""
    return bisect_right(edges, mixed(salt, index)) if edges else 0


def user_of(index: int, users: int, parts: int = 1) -> int:
    """Which of the virtual users sends a request: in turn, each of them always from the same process."""
    part, number = index >> PART_BITS, index & _COUNT
    return part + parts * (number % ((users - part + parts - 1) // parts))


def trace(salt: int, index: int) -> int:
    """The lower half of a request's trace id, which is also the id of its span. The upper half is the salt."""
    return (salt + (index + 1) * GOLDEN) & WORD
