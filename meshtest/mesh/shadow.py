"""Mirrored requests as the shadow's own proxy saw them: users never see these answers, so only the hops can tell."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from meshtest.checks.share import Share
from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.model.history import History, Hop

FIELDS = {"status": "status", "body-size": "bytes_sent"}
"""What a proxy records of an answer, by the name `ignore` knows it."""


@dataclass(frozen=True)
class Shadow:
    """Requests that reached a version as copies: the caller's proxy had sent the original elsewhere."""

    history: History
    service: str
    version: str

    @cached_property
    def hops(self) -> list[Hop]:
        """Inbound hops at the version of requests whose original went to another version."""
        originals = {
            h.request_id: h.server.version
            for h in self.history.hops
            if h.direction != "inbound" and h.server.service == self.service
        }
        return [
            h
            for h in self.history.hops
            if h.direction == "inbound"
            and (h.server.service, h.server.version) == (self.service, self.version)
            and originals.get(h.request_id, self.version) != self.version
        ]

    @property
    def requests(self) -> int:
        return len(self.hops)

    def diff(self, other: object, *, ignore: Iterable[str] = ()) -> Difference:
        """Compare with what users got for the same requests. `ignore`: `status`, `body-size`, or `header:NAME` (headers
        are not recorded by the proxies, so they never differ)."""
        ignored = set(ignore)
        if unknown := {i for i in ignored if i not in FIELDS and not i.startswith("header:")}:
            raise UsageError(f"cannot ignore {', '.join(sorted(unknown))}; known: {', '.join(FIELDS)}, header:NAME")
        version = getattr(other, "version", "")
        fields = [attribute for name, attribute in FIELDS.items() if name not in ignored]
        originals = {
            h.request_id: h
            for h in self.history.hops
            if h.direction == "inbound"
            and h.server.service == self.service
            and h.server.version != self.version
            and version in ("", h.server.version)
        }
        pairs = [(h, originals[h.request_id]) for h in self.hops if h.request_id in originals]
        differing = [
            (shadow, original)
            for shadow, original in pairs
            if any(getattr(shadow, f) != getattr(original, f) for f in fields)
        ]
        return Difference(len(pairs), differing)


@dataclass(frozen=True)
class Difference:
    """How many of the compared pairs of answers differ, and which."""

    compared: int
    pairs: list[tuple[Hop, Hop]]
    """(shadow, original) of those that differ."""

    @property
    def ratio(self) -> float:
        return len(self.pairs) / self.compared if self.compared else 0.0

    @property
    def share(self) -> Share:
        """For `== mesh.about(percent)`."""
        return Share(len(self.pairs), self.compared)
