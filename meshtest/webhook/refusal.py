"""A call that is turned down before anything is done: a status, and a line that says what is allowed.

A verdict is no refusal (answers.py), and neither is trouble of the endpoint's own: that is 503.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Refusal(Exception):
    """Its text is what the caller reads, and what Flagger puts into its event: one line."""

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, dict(headers or {})


def listed(names: Iterable[str]) -> str:
    """What there is, for a message: `a, b`, or `none`."""
    return ", ".join(sorted(names)) or "none"


def shown(value: str, most: int = 60) -> str:
    """Somebody's word in a message: quoted, on one line, not too long."""
    return ascii(value if len(value) <= most else f"{value[:most]}...")
