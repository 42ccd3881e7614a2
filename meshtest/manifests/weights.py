"""Weights that somebody asks for, before a dialect writes them."""

from __future__ import annotations

from collections.abc import Mapping

from meshtest.errors import UsageError


def check_weights(weights: Mapping[str, int], *, all_zero: str = "no request could go anywhere") -> None:
    """They are shares: none negative, not all zero. `all_zero`: what would come of that."""
    for name, weight in weights.items():
        if isinstance(weight, bool) or not isinstance(weight, int):
            raise UsageError(f"the weight of {name!r} must be a whole number, not {weight!r}")
        if weight < 0:
            raise UsageError(f"the weight of {name!r} must not be negative: {weight}")
    if not sum(weights.values()):
        shown = ", ".join(f"{name}={weight}" for name, weight in weights.items()) or "none given"
        raise UsageError(f"weights must not sum to 0, or {all_zero}: {shown}")
