"""Hosts with a leading wildcard: `*`, `*.example.com`."""

from __future__ import annotations

from collections.abc import Iterable


def covers(pattern: str, host: str) -> bool:
    """Every host that `host` stands for is one of `pattern`'s. `*.a.b` covers `x.a.b` and `*.x.a.b`, not `a.b`."""
    if not pattern.startswith("*"):
        return pattern == host
    suffix = pattern[1:]
    return host.endswith(suffix) and len(host) > len(suffix)


def intersection(one: str, other: str) -> str | None:
    """The narrower of two hosts if one covers the other."""
    if covers(one, other) or one == other:
        return other
    return one if covers(other, one) else None


def most_specific(host: str, patterns: Iterable[str]) -> str | None:
    """The longest wildcard that covers the host."""
    return max((p for p in patterns if p.startswith("*") and covers(p, host)), key=len, default=None)
