"""The endpoint's own metrics, in Prometheus' text format. Not here: the format (lib/exposition.py).

meshtest_webhook_answers_total{route,status}          answers
meshtest_webhook_answer_seconds_bucket{route,le}      from the request's head to the end of the answer
meshtest_webhook_runs{state}                          runs that are kept
meshtest_webhook_run_seconds_{sum,count}{suite,state} of those that have ended
meshtest_webhook_queue, _queue_limit, _workers        runs that wait; how many may; how many run at the same time
meshtest_webhook_gates_open{kind}                     gates that are open now
meshtest_webhook_draining                             1 from SIGTERM on
meshtest_webhook_trouble                              1 while the state cannot be written; worth an alert
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from meshtest.lib.exposition import Sample, line, number
from meshtest.webhook.gates import KINDS
from meshtest.webhook.jobs import Limits
from meshtest.webhook.runs import RunState, StoredRun
from meshtest.webhook.store import Gate, Store

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0, 60.0)
"""Seconds; 5 ms is what a gate's answer is to stay below."""
PREFIX = "meshtest_webhook_"
HELP = {
    "answers_total": ("counter", "Answers by route and status."),
    "answer_seconds": ("histogram", "Seconds from the head of a request to the end of its answer."),
    "runs": ("gauge", "Runs that are kept, by state."),
    "run_seconds": ("summary", "Seconds of the kept runs that have ended, from begin to end."),
    "queue": ("gauge", "Runs that wait to begin."),
    "queue_limit": ("gauge", "Runs that may wait."),
    "workers": ("gauge", "Runs that may run at the same time."),
    "gates_open": ("gauge", "Gates that are open."),
    "draining": ("gauge", "1 while the endpoint is about to end and accepts no runs."),
    "trouble": ("gauge", "1 while the state cannot be written, so that no run is accepted."),
}


class Numbers:
    """Counts answers; what the store knows is read when somebody asks."""

    def __init__(self) -> None:
        self._answers: Counter[tuple[str, int]] = Counter()
        self._durations: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS) + 1))
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """`route` is the pattern, never the path: a label has few values."""
        self._answers[route, status] += 1
        self._durations[route][bisect_left(BOUNDS, seconds)] += 1
        self._seconds[route] += seconds

    def text(self, store: Store, limits: Limits, draining: bool) -> str:
        runs = store.runs()
        families = {
            "answers_total": self._answer_samples(),
            "answer_seconds": self._duration_samples(),
            "runs": _by_state(runs),
            "run_seconds": _run_seconds(runs),
            "queue": [_sample("queue", sum(run.state is RunState.QUEUED for run in runs))],
            "queue_limit": [_sample("queue_limit", limits.queue)],
            "workers": [_sample("workers", limits.workers)],
            "gates_open": _open(store.gates()),
            "draining": [_sample("draining", int(draining))],
            "trouble": [_sample("trouble", int(bool(store.trouble)))],
        }
        return "".join(_family(name, samples) for name, samples in families.items())

    def _answer_samples(self) -> Iterator[Sample]:
        for (route, status), count in sorted(self._answers.items()):
            yield _sample("answers_total", count, route=route, status=str(status))

    def _duration_samples(self) -> Iterator[Sample]:
        for route, counts in sorted(self._durations.items()):
            total = 0
            for bound, count in zip((*BOUNDS, float("inf")), counts, strict=True):
                total += count
                yield _sample("answer_seconds_bucket", total, route=route, le=number(bound))
            yield _sample("answer_seconds_sum", self._seconds[route], route=route)
            yield _sample("answer_seconds_count", total, route=route)


def _family(name: str, samples: Iterable[Sample]) -> str:
    kind, about = HELP[name]
    head = f"# HELP {PREFIX}{name} {about}\n# TYPE {PREFIX}{name} {kind}\n"
    return head + "".join(map(line, samples))


def _sample(name: str, value: float, **labels: str) -> Sample:
    return Sample(f"{PREFIX}{name}", labels, value)


def _by_state(runs: Iterable[StoredRun]) -> list[Sample]:
    counts = Counter(run.state for run in runs)
    return [_sample("runs", counts[state], state=str(state)) for state in RunState]


def _run_seconds(runs: Iterable[StoredRun]) -> Iterator[Sample]:
    took: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for run in runs:
        if run.state.is_over and run.began:
            took[run.key.suite, str(run.state)].append(run.seconds)
    for (suite, state), seconds in sorted(took.items()):
        yield _sample("run_seconds_sum", sum(seconds), suite=suite, state=state)
        yield _sample("run_seconds_count", len(seconds), suite=suite, state=state)


def _open(gates: Iterable[Gate]) -> list[Sample]:
    counts = Counter(gate.kind for gate in gates if gate.open)
    return [_sample("gates_open", counts[kind], kind=kind) for kind in KINDS]
