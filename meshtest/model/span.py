"""A span: one piece of work in a distributed trace, as a proxy or a service tells of it.

Spans are kept in `spans.jsonl` of the run folder, a JSON object a line, in order of arrival: the fields of Span by
name, but `start` and `end` as nanoseconds of the wall clock. What is at its default may be left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple, overload

SpanKind = Literal["internal", "server", "client", "producer", "consumer"]
Source = Literal["proxy", "service", "framework"]


class Span(NamedTuple):
    """Times are seconds of the run. OpenTelemetry's terms (trace.proto)."""

    trace: str
    """32 hex digits."""
    id: str
    """16 hex digits."""
    parent: str
    """The id of the span that caused it; "" is a root."""
    service: str
    """`service.name` of the resource; of a proxy's spans the workload's canonical service, as `web.default`."""
    name: str
    start: float
    end: float
    kind: SpanKind = "internal"
    status: Literal["", "ok", "error"] = ""
    source: Source = "service"
    """Who tells of it."""
    version: str = ""
    """`service.version` of the resource."""
    pod: str = ""
    text: str = ""
    """The status message."""
    attributes: Mapping[str, Any] = {}
    """Of the span itself."""
    resource: Mapping[str, Any] = {}
    """Attributes of the resource beyond service, version and pod."""
    events: Sequence[Mapping[str, Any]] = ()
    """`{"at": ns, "name": str, "attributes": {...}}`"""
    links: Sequence[Mapping[str, Any]] = ()
    """`{"trace": str, "id": str, "attributes": {...}}`"""

    @property
    def seconds(self) -> float:
        return self.end - self.start


def nanoseconds(at: float, wall_start: float) -> int:
    """A second of the run on the wall clock. In parts, for a float of today's epoch resolves no better than 0.2 us."""
    whole = int(wall_start)
    return whole * 1_000_000_000 + round((wall_start - whole + at) * 1e9)


def parse_span(line: str | bytes, wall_start: float) -> Span:
    """A line of `spans.jsonl`; ValueError, KeyError or TypeError if it is not one."""
    data = json.loads(line)
    start, end = (int(data.pop(name)) / 1e9 - wall_start for name in ("start", "end"))
    return Span(start=start, end=end, **data)


class Spans(Sequence[Span]):
    """The spans of a run, parsed when they are looked at. Lines that are not spans are left out and counted."""

    def __init__(self, lines: Sequence[bytes] = (), wall_start: float = 0.0) -> None:
        self._lines, self._wall_start = lines, wall_start

    @cached_property
    def _parsed(self) -> list[Span]:
        found = []
        for line in self._lines:
            try:
                found.append(parse_span(line, self._wall_start))
            except (ValueError, KeyError, TypeError):
                continue
        return found

    @property
    def malformed(self) -> int:
        return len(self._lines) - len(self._parsed)

    def __len__(self) -> int:
        return len(self._parsed)

    @overload
    def __getitem__(self, index: int, /) -> Span: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[Span]: ...
    def __getitem__(self, index: int | slice, /) -> Span | list[Span]:
        return self._parsed[index]

    def __iter__(self) -> Iterator[Span]:
        return iter(self._parsed)
