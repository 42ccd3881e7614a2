"""Did requests take the ways they were meant to?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from meshtest.checks.traces import TraceCheck
from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, plural
from meshtest.model.history import History
from meshtest.model.trace import Trace
from meshtest.model.traces import Traces
from meshtest.model.verdict import Finding, Outcome

Path = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TracePath(TraceCheck):
    """Every complete trace took one of `paths`, each as Trace.path tells it: `["gateway", "web@v2", "price@v1"]`. A
    name without a version stands for all of them. One path may stand alone."""

    name: ClassVar[str] = "trace_path"
    paths: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        one = bool(self.paths) and all(isinstance(part, str) for part in self.paths)
        object.__setattr__(self, "paths", tuple(tuple(path) for path in ([self.paths] if one else self.paths)))
        if not self.paths or not all(self.paths):
            raise UsageError('trace_path needs paths=[["gateway", "web@v2", "price"], ...]')

    def judge(self, history: History) -> Finding:
        traces = Traces.of(history)
        if nothing := self.unproven(traces):
            return nothing
        whole = [trace for trace in traces.of_loads if trace.complete]
        others: dict[Path, list[Trace]] = {}
        for trace in whole:
            if not any(_fits(path, trace) for path in self.paths):
                others.setdefault(tuple(trace.path), []).append(trace)
        figures = {"complete": len(whole), "others": {" > ".join(p): len(found) for p, found in others.items()}}
        if others:
            worst = sorted(others.items(), key=lambda item: -len(item[1]))
            text = listed((f"{len(f)} took {' > '.join(p)} (first {f[0].request})" for p, f in worst), most=3)
            count = sum(map(len, others.values()))
            text = f"{count} of {plural(len(whole), 'trace')} took another way: {text}"
            return self.finding(Outcome.FAIL, text, traces=len(traces), **figures)
        if not whole:
            return self.finding(Outcome.UNKNOWN, "no trace is complete", traces=len(traces), **figures)
        ways = listed(" > ".join(path) for path in self.paths)
        return self.unless_dropped(traces, Outcome.PASS, f"{plural(len(whole), 'trace')} took {ways}", **figures)


trace_path = TracePath


def _fits(path: Sequence[str], trace: Trace) -> bool:
    taken = trace.path
    return len(path) == len(taken) and all(
        want == got or ("@" not in want and want == got.partition("@")[0])
        for want, got in zip(path, taken, strict=True)
    )
