"""The shape of a load over time, as a person writes it: stages one after the other.

    shape=[Ramp(50, 500, seconds=10), Hold(500, seconds=20), Burst(100, every=1.0, seconds=5), Hold(50)]

A stage without an end lasts until the load ends, so only the last may have none. Steps are several Holds: `steps(...)`.
Not here: the times that follow from it (pacing.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass


@dataclass(frozen=True)
class Hold:
    """So many requests a second. 0 is a pause."""

    rate: float
    seconds: float | None = None

    def order(self) -> tuple[str, float, float, float | None]:
        return "rate", float(self.rate), float(self.rate), self.seconds

    def __str__(self) -> str:
        return f"hold {self.rate:g}{_for(self.seconds)}"


@dataclass(frozen=True)
class Ramp:
    """The rate goes from one to the other in a straight line."""

    start: float
    end: float
    seconds: float

    def order(self) -> tuple[str, float, float, float | None]:
        return "rate", float(self.start), float(self.end), self.seconds

    def __str__(self) -> str:
        return f"ramp {self.start:g} {self.end:g}{_for(self.seconds)}"


@dataclass(frozen=True)
class Burst:
    """So many requests at the same moment; with `every`, again after each so many seconds.

    A burst is exact, also in a load whose other arrivals are random.
    """

    requests: int
    every: float = 0.0
    seconds: float | None = None
    """How long the stage lasts. A single burst may take no time: 0, which is also what None means then."""

    def order(self) -> tuple[str, float, float, float | None]:
        seconds = self.seconds if self.every or self.seconds else 0.0
        return "burst", self.requests, self.every, seconds

    def __str__(self) -> str:
        return f"burst {self.requests}" + (f" every {self.every:g}" if self.every else "") + _for(self.seconds)


Stage = Hold | Ramp | Burst


def steps(start: float, end: float, *, by: float, seconds: float) -> list[Stage]:
    """Holds of `seconds` each: `start`, `start + by` … `end`, which is one of them. Downwards `by` is below 0."""
    count = (end - start) / by if by else -1.0
    if count < 0 or abs(count - round(count)) > 1e-9:
        raise UsageError(
            f"steps from {start:g} to {end:g} by {by:g}: `by` must lead from one to the other in whole steps"
        )
    return [Hold(start + i * by, seconds) for i in range(round(count) + 1)]


def check_shape(shape: Sequence[Stage]) -> tuple[Stage, ...]:
    """UsageError if a stage makes no sense."""
    stages = tuple(shape)
    for number, stage in enumerate(stages, 1):
        where = (
            f"stage {number} of the shape, `{stage}`" if isinstance(stage, Stage) else f"stage {number} of the shape"
        )
        if not isinstance(stage, Stage):
            raise UsageError(f"{where}: {stage!r} is neither Hold, Ramp nor Burst")
        if why := _wrong(stage):
            raise UsageError(f"{where}: {why}")
        if length(stage) is None and number < len(stages):
            raise UsageError(f"{where}: it has no end, so nothing can follow it; give it `seconds`")
    if not any(_sends(stage) for stage in stages):
        raise UsageError("the shape sends nothing: at least one stage needs a rate above 0")
    return stages


def length(stage: Stage) -> float | None:
    """Seconds of a stage; None if it has no end."""
    return stage.order()[3]


def _wrong(stage: Stage) -> str:
    if stage.seconds is not None and not 0 <= stage.seconds < inf:
        return f"seconds is {stage.seconds!r}; it must be 0 or above"
    if isinstance(stage, Burst):
        if not 0 < stage.requests < inf or stage.requests != int(stage.requests):
            return f"requests is {stage.requests!r}; it must be a whole number above 0"
        return "" if 0 <= stage.every < inf else f"every is {stage.every!r}; it must be above 0"
    if isinstance(stage, Hold) and not stage.rate and stage.seconds is None:
        return "a pause needs an end; give it `seconds`"
    rates = (stage.rate,) if isinstance(stage, Hold) else (stage.start, stage.end)
    if not all(0 <= rate < inf for rate in rates):
        return "a rate is 0 or above"
    return "a ramp takes some time" if isinstance(stage, Ramp) and not stage.seconds else ""


def _sends(stage: Stage) -> bool:
    kind, first, second, seconds = stage.order()
    return kind == "burst" or ((first > 0 or second > 0) and seconds != 0)


def parse_stage(text: str) -> Stage:
    """`hold 500 20`, `ramp 50 500 10`, `burst 100`, `burst 100 every 1 for 20`: rates, then seconds."""
    word, *rest = text.replace(" every ", " ").replace(" for ", " ").split() or [""]
    try:
        numbers = [float(number.removesuffix("s")) for number in rest]
        if word == "hold" and len(numbers) in (1, 2):
            return Hold(*numbers)
        if word == "ramp" and len(numbers) == 3:
            return Ramp(*numbers)
        if word == "burst" and len(numbers) in (1, 2, 3) and numbers[0] == int(numbers[0]):
            return Burst(int(numbers[0]), *numbers[1:])
    except (ValueError, OverflowError):
        pass
    raise UsageError(
        f"stage {text!r}: write `hold RATE SECONDS`, `ramp RATE RATE SECONDS`, `burst REQUESTS` or "
        "`burst REQUESTS every SECONDS for SECONDS`"
    )


def _for(seconds: float | None) -> str:
    return "" if seconds is None else f" for {seconds:g} s"
