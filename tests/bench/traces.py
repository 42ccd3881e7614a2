"""What looking at traces costs: reading spans, making calls of them, the checks, the exports. CPU seconds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from meshtest.checks import no_hidden_errors, span_duration, traces_complete, traces_propagated
from meshtest.model.span import Spans
from meshtest.model.steps import whole
from meshtest.model.traces import Traces
from meshtest.reporters.traces import FORMATS, written
from tests.model.spans import lines
from tests.model.test_traces import run, shops

TRACES = 5000
"""Of 8 spans: a minute of `traces = "all"` at 80 requests a second."""


def main() -> None:
    raw = lines(shops(TRACES)).splitlines()
    history = run(Spans(raw), requests=TRACES)
    count = len(raw)
    print(f"{count} spans of {TRACES} traces{'measured':>34}  aim")
    timed("read spans.jsonl", lambda: len(history.spans), count, 40)
    timed("group by trace", lambda: len(Traces.of(history)), count, 10)
    checks = (traces_complete(), traces_propagated(), no_hidden_errors(), span_duration(service="web", below=9.0))
    timed("four checks", lambda: [check.judge(history) for check in checks], count, 50)
    spans = whole(history)
    for format in FORMATS:
        timed(f"export as {format}", lambda name=format: json.dumps(written(name)(spans, 0.0)), count, 100)  # type: ignore[misc]


def timed(what: str, work: Callable[[], object], spans: int, aim: int) -> None:
    began = time.process_time()
    work()
    print(f"{what:<40} {(time.process_time() - began) / spans * 1e6:>14.1f} us a span  <= {aim}", flush=True)
