"""Outages: failed requests as windows of time, each with its length and error, what was hit, and what happened then.

What a length is worth is said in windows.py; what could have been missed altogether in certificate.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from meshtest.checks.failures import CAUSES, Failure, event_label, failures
from meshtest.checks.windows import Window, find
from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import percent, seconds
from meshtest.lib.words import listed
from meshtest.model.history import History
from meshtest.model.sends import stream_label

BEFORE = 1.0
"""Seconds before an outage in which an event may have to do with it."""
MOST = 4
"""Events told before and during an outage, each; the last ones before, the first ones during."""


class Seen(Protocol):
    """Something that has a history: a load, or a part of one."""

    @property
    def history(self) -> History: ...


@dataclass(frozen=True)
class Outage:
    """Failures of one load that belong together, in the order of their sending."""

    window: Window
    failures: Sequence[Failure]
    around: Sequence[str] = ()
    """What happened just before and during: `-12 ms config.ack 3`, relative to its first failure."""

    @property
    def load(self) -> str:
        return self.window.load

    @property
    def start(self) -> float:
        """When the first request that failed was sent."""
        return self.window.first

    @property
    def begin(self) -> float:
        """Best estimate."""
        return self.window.begin

    @property
    def end(self) -> float:
        return self.window.end

    @property
    def seconds(self) -> float:
        """Best estimate of the length; the truth is between `at_least` and `at_most`."""
        return self.window.seconds

    @property
    def at_least(self) -> float:
        return self.window.at_least

    @property
    def at_most(self) -> float:
        return self.window.at_most

    @property
    def lost(self) -> int:
        return len(self.failures)

    @property
    def share(self) -> float:
        """Of the load's traffic in this time."""
        return self.window.share

    @property
    def kind(self) -> str:
        """What most of its failures are."""
        return Counter(f.kind for f in self.failures).most_common(1)[0][0]

    @property
    def kinds(self) -> dict[str, int]:
        return dict(Counter(f.kind for f in self.failures).most_common())

    @property
    def versions(self) -> dict[str, int]:
        """Of whom the failures were; "" is not known."""
        return dict(Counter(f.request.version for f in self.failures).most_common())

    @property
    def fates(self) -> dict[str, int]:
        return dict(Counter(f.request.fate.name.lower() for f in self.failures).most_common())

    @property
    def streams(self) -> list[str]:
        """Lanes, targets and transports that were hit."""
        return [stream_label(stream) for stream in self.window.streams]

    def as_data(self) -> dict[str, Any]:
        return {
            "load": self.load, "start": self.start, "begin": self.begin, "end": self.end, "seconds": self.seconds,
            "at_least": self.at_least, "at_most": self.at_most, "open_start": self.window.open_start,
            "open_end": self.window.open_end, "failed": self.lost, "share": self.share, "kinds": self.kinds,
            "fates": self.fates, "versions": self.versions, "streams": self.streams, "around": list(self.around),
        }  # fmt: skip

    def __str__(self) -> str:
        bounds = f"({seconds(self.at_least)} to {seconds(self.at_most)})"
        part = "" if self.share == 1 else f", {percent(self.share)} of the traffic"
        happened = f"; {listed(self.around)}" if self.around else ""
        length = f"{seconds(self.seconds)} {bounds}"
        return f"t={self.start:.3f}s for {length}: {self.lost} failed ({self.kind}){part}{happened}"


def outages(seen: History | Seen, *, load: str = "") -> list[Outage]:
    """Of a history, or of a load (`outages(load)`): windows of failed requests, in order of time.

    `load` picks one of several by name. Each load is looked at by itself: another rate, another sight.
    """
    history = seen if isinstance(seen, History) else seen.history
    found = clustered(history, failures(history))
    return [outage for outage in found if load in ("", outage.load)]


def clustered(history: History, failed: Sequence[Failure]) -> list[Outage]:
    """Outages of failures that are known already."""
    known = {failure.position: failure for failure in failed}
    return [_outage(history, window, known) for window in find(history.requests, known)]


def _outage(history: History, window: Window, known: dict[int, Failure]) -> Outage:
    return Outage(window, [known[position] for position in window.positions], around(history, window))


def around(history: History, window: Window) -> list[str]:
    """What happened just before a window and during it."""
    told = [e for e in history.events if e.kind.startswith(CAUSES)]
    before = [e for e in told if window.first - BEFORE <= e.at <= window.first]
    during = [e for e in told if window.first < e.at <= window.latest]
    return [
        f"{'-' if e.at <= window.first else '+'}{seconds(abs(e.at - window.first))} {event_label(e)}"
        for e in (*before[-MOST:], *during[:MOST])
    ]
