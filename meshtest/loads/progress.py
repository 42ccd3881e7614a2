"""What a load tells while it runs, and at its end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from meshtest.model.record import NEVER, RECORD, TICK_NS
from meshtest.model.request import Fate


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What the prober said at its end."""

    sent: int
    fates: Mapping[Fate, int]
    idle_closed: int
    """Kept connections that the peer closed while idle; no request was on them."""
    max_gap: float
    """Seconds; the longest time without a send: no shorter outage is sure to be seen."""
    late_p50: float
    late_p99: float
    rate: float
    """Achieved, a second."""
    error: str = ""

    @classmethod
    def parse(cls, text: str) -> Summary:
        data = json.loads(text)
        data["fates"] = {Fate(i): count for i, count in enumerate(data["fates"]) if count}
        return cls(**data)

    def as_data(self) -> dict[str, Any]:
        """For the event `load.end`."""
        return {**self.__dict__, "fates": {fate.name.lower(): count for fate, count in self.fates.items()}}


@dataclass
class Progress:
    """Follows a growing file of records; looks at each once."""

    path: Path
    begins: list[int] = field(default_factory=list)
    """ns at which the sending of each finished request began, up to the first request that has not ended: of those
    behind it only the fast ones have, and to count them would favour a fast version."""
    _behind: dict[int, int] = field(default_factory=dict)
    """Those, by index."""
    _seen: int = 0
    _after: int = 0
    _counted: int = 0
    _count: int = 0

    def look(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self._seen)
            data = file.read()
        whole = data[: len(data) // RECORD.size * RECORD.size]
        self._seen += len(whole)
        for intended, index, sent, *_ in RECORD.iter_unpack(whole):
            self._behind[index] = intended if sent == NEVER else intended + sent * TICK_NS
        while (begin := self._behind.pop(len(self.begins), None)) is not None:
            self.begins.append(begin)

    def count(self, after: int) -> int:
        """Finished requests that began at or after a moment; asked again, it counts the new ones only."""
        if after != self._after:
            self._after, self._counted, self._count = after, 0, 0
        self._count += sum(begin >= after for begin in self.begins[self._counted :])
        self._counted = len(self.begins)
        return self._count
