"""How much may be lost: `3` requests, `"0.1%"` of them, or `"50ms"` of outage."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from meshtest.checks.windows import Window, union
from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import percent, seconds
from meshtest.model.verdict import Outcome

_TEXT = re.compile(r"(\d+(?:\.\d+)?)\s*(%|ms|s|)")

Amount = int | str


@dataclass(frozen=True)
class Budget:
    """One of the three is set."""

    requests: int | None = None
    share: float | None = None
    seconds: float | None = None
    """All outages together; what several loads see at once counts once.

    Kept if the upper bounds of the lengths are within it, broken if the lower bounds are not; between the two nothing
    is proven, and more requests a second would tell.
    """

    @classmethod
    def parse(cls, value: Amount, name: str = "budget") -> Budget:
        """UsageError for anything else."""
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return cls(requests=value)
        match = _TEXT.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise UsageError(_wrong(name, value))
        number, unit = float(match[1]), match[2]
        if unit == "%" and number <= 100:
            return cls(share=number / 100)
        if unit in ("ms", "s"):
            return cls(seconds=number / 1000 if unit == "ms" else number)
        if unit == "" and number == int(number):
            return cls(requests=int(number))
        raise UsageError(_wrong(name, value))

    def judge(self, lost: int, of: int, windows: Collection[Window]) -> Outcome:
        """Whether so many requests out of so many, in these windows, are within it."""
        if self.requests is not None:
            return Outcome.PASS if lost <= self.requests else Outcome.FAIL
        if self.share is not None:
            return Outcome.PASS if lost <= self.share * of else Outcome.FAIL
        assert self.seconds is not None
        if at_least(windows) > self.seconds:
            return Outcome.FAIL
        whole = not any(window.open_start or window.open_end for window in windows)
        return Outcome.PASS if whole and at_most(windows) <= self.seconds else Outcome.UNKNOWN

    def undecided(self, windows: Sequence[Window]) -> str:
        """Why a length is neither within the budget nor beyond it."""
        if any(window.open_start or window.open_end for window in windows):
            return f"an outage reaches beyond what was observed, so it may be longer than the budget of {self}"
        bounds = f"{seconds(at_least(windows))} to {seconds(at_most(windows))}"
        return f"the outages last {bounds}; the budget of {self} lies between: a higher rate would tell"

    def __str__(self) -> str:
        if self.requests is not None:
            return str(self.requests)
        return percent(self.share) if self.share is not None else seconds(self.seconds or 0.0)


def at_least(windows: Collection[Window]) -> float:
    """Seconds; all together."""
    return union([(window.first, window.last) for window in windows])


def at_most(windows: Collection[Window]) -> float:
    return union([(window.earliest, window.latest) for window in windows])


def _wrong(name: str, value: object) -> str:
    return f'{name} {value!r}: give requests (3), a share of them ("0.1%"), or a length of outage ("50ms", "1.5s")'
