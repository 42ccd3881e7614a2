"""By how much is one sample larger than another? The Hodges-Lehmann estimate, the median of all differences of pairs,
with the interval that belongs to the Mann-Whitney test (Moses). Needs numpy, which comes with scipy.

Not here: the test itself (scipy.stats.mannwhitneyu).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, sqrt
from typing import Any

from meshtest.lib.dataclass import dataclass
from meshtest.lib.stats import normal

MOST = 1000
"""Of each sample; larger ones are told by so many of their quantiles, as a million million pairs do not fit."""


@dataclass(frozen=True)
class Shift:
    """In the unit of the samples."""

    estimate: float
    low: float
    high: float


def shift(ours: Sequence[float], theirs: Sequence[float], confidence: float) -> Shift:
    """Infinite values count as ten times the largest finite one: a median cares for their order only."""
    import numpy as np

    top = 10 * max((v for sample in (ours, theirs) for v in sample if v < inf), default=1.0)
    one, other = _thinned(np, ours, top), _thinned(np, theirs, top)
    differences = np.sort(np.subtract.outer(one, other), axis=None)
    n, m = len(ours), len(theirs)
    spread = normal((1 + confidence) / 2) * sqrt(n * m * (n + m + 1) / 12) / (n * m)
    places = (0.5, max(0.0, 0.5 - spread), min(1.0, 0.5 + spread))
    return Shift(*(float(differences[round(place * (len(differences) - 1))]) for place in places))


def _thinned(np: Any, values: Sequence[float], top: float) -> Any:
    finite = np.minimum(np.asarray(values, dtype=float), top)
    if len(finite) <= MOST:
        return finite
    return np.quantile(finite, (np.arange(MOST) + 0.5) / MOST)
