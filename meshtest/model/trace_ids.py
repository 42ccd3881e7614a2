"""Between the requests of a load and their trace ids: a pure function of the run's seed, both ways.

    traceparent: 00-SALT INDEXED-INDEXED-FLAGS      (choices.trace; loads/stamp.py puts it on)

Not here: traces that a user's own client or another load engine began; they are known by the tag `x-meshtest-id`.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshtest.model.choices import GOLDEN, WORD, limit, salt, trace
from meshtest.model.history import History

_INVERSE = pow(GOLDEN, -1, WORD + 1)
"""The increment is odd, so it has one modulo 2**64."""

ALL_TRACED = 'ask for all with mesh.load(..., sampled=1.0) or @pytest.mark.mesh(traces="all")'


class TraceIds:
    """Of the loads of one run."""

    def __init__(self, seed: int, loads: Iterable[str] = (), sampled: dict[str, float] | None = None) -> None:
        self._salts = {load: salt(seed, load, "trace") for load in loads}
        self._loads = {_upper(value): load for load, value in self._salts.items()}
        self.sampled = sampled or {}
        """By load, the share of its requests that asks to be traced."""

    @classmethod
    def of(cls, history: History) -> TraceIds:
        seed = next((event.data.get("seed") for event in history.of("run.start")), None)
        loads = {event.subject: event.data for event in history.of("load.start")}
        sampled = {load: float(data["sampled"]) for load, data in loads.items() if "sampled" in data}
        names = dict.fromkeys([*loads, *history.requests.loads])
        return cls(int(seed or 0), names if seed is not None else (), sampled)

    def id(self, load: str, index: int) -> str:
        """The trace id of a request, in hex."""
        return f"{_upper(self._salts[load])}{trace(self._salts[load], index):016x}"

    def request(self, trace_id: str) -> tuple[str, int] | None:
        """Load and index of the request that a trace is of; None if it is of none of ours."""
        load = self._loads.get(trace_id[:16])
        if load is None:
            return None
        steps = (int(trace_id[16:], 16) - self._salts[load]) * _INVERSE & WORD
        return load, (steps - 1) & WORD

    def traced(self, load: str, index: int) -> bool:
        """Whether its traceparent asked for it."""
        return trace(self._salts[load], index) < limit(self.sampled.get(load, 0.0))


def _upper(value: int) -> str:
    return f"{value or 1:016x}"
