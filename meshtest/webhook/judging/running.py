"""Asks a Prometheus until the gate has a verdict, or its time is over; says what came of it.

A Prometheus that does not answer is waited for; if it never did, nothing is proven. Time is a parameter.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from meshtest.errors import ProviderError, UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.model.series import Matrix, NoData, Vector
from meshtest.rollouts.judge.gate import OUTCOMES, Counts, Gate
from meshtest.rollouts.judge.samples import Pair
from meshtest.rollouts.judge.score import Judged, judge
from meshtest.settings import Settings
from meshtest.spi.telemetry import PromQl
from meshtest.webhook.judging.counters import Counter
from meshtest.webhook.judging.file import JudgeFile
from meshtest.webhook.judging.queries import Names, Templates, all_kayenta, queries

Say = Callable[[str], None]
Wait = Callable[[float], None]
VERDICTS = {outcome: verdict for verdict, outcome in OUTCOMES.items()}


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of it."""

    verdict: str
    reason: str
    data: Mapping[str, Any]
    """`verdict`, `ok`, `reason`, `samples`, and the figures; of Kayenta's judge `score` and `judgeResult`."""


def run(file: JudgeFile, names: Names, asked: PromQl, *, say: Say = print, wait: Wait = time.sleep,
        now: Callable[[], float] = time.time) -> Result:  # fmt: skip
    """To the end, which is the deadline at the latest."""
    way = _score if file.config else _gate
    return way(file, names, asked, say, wait, now)


@contextmanager
def prometheus(settings: Settings) -> Iterator[PromQl]:
    """The one at the URL of the settings."""
    from meshtest.spi import registry
    from meshtest.spi.telemetry import Asking

    if not settings.prometheus.startswith(("http://", "https://")):
        raise UsageError("whom to ask? write `prometheus: http://HOST:PORT` into the file, or set MESHTEST_PROMETHEUS")
    with tempfile.TemporaryDirectory(prefix="meshtest-gate-") as folder:
        asking = Asking(folder=Path(folder), settings=settings, wall_start=0.0, record=lambda *_, **__: None)
        made: PromQl = registry.load("telemetry", "prometheus")(asking)
        try:
            yield made
        finally:
            made.close()


def settings_for(file: JudgeFile, settings: Settings) -> Settings:
    return replace(settings, prometheus=file.prometheus) if file.prometheus else settings


# ---- counts


class _Watched:
    """The counters of one version."""

    def __init__(self, found: Templates, who: str) -> None:
        self._counters = [Counter(query) for query in (found.requests, found.errors, found.within) if query]
        self._who = who

    @property
    def missing(self) -> str:
        """What Prometheus has never had of it."""
        if self._counters[0].seen:
            return ""
        return f"there is no series of {self._counters[0].query}, which would count the requests of {self._who}"

    def ask(self, asked: PromQl, at: float) -> list[Vector]:
        """All as of one moment, so that they are of the same scrape."""
        return [_vector(asked, counter.query, at) for counter in self._counters]

    def count(self, answers: list[Vector]) -> Counts:
        """Since the last time."""
        requests, errors, *within = (counter.add(found) for counter, found in zip(self._counters, answers, strict=True))
        if requests and within and not self._counters[2].seen:
            raise UsageError(f"{self._who} has requests, but there is no series of {self._counters[2].query}")
        slow = requests - within[0] if within else 0
        return Counts(requests=requests, errors=min(errors, requests), slow=max(0, min(slow, requests)))


def _vector(asked: PromQl, query: str, at: float) -> Vector:
    found = asked.query(query, at)
    if isinstance(found, Matrix):
        raise UsageError(f"{query} is a range of samples; write the counter without [...]")
    return found


def _gate(file: JudgeFile, names: Names, asked: PromQl, say: Say, wait: Wait, now: Callable[[], float]) -> Result:
    assert file.templates
    gate, trouble, looks = Gate(file.rules), "", 0
    targets = [names.target(one) for one in (file.canary, file.baseline) if one]
    watched = [_Watched(queries(file.templates, names, target), target) for target in targets]
    ends = now() + file.deadline
    while True:
        try:
            at = now()
            answers = [one.ask(asked, at) for one in watched]  # all of them, or none is counted
            looks, trouble = looks + 1, ""
            gate.add(*(one.count(found) for one, found in zip(watched, answers, strict=True)))
            say(f"{gate.requests} requests of {targets[0]}: {gate.reason}")
        except ProviderError as error:
            trouble = str(error)
            say(trouble)
        if gate.verdict != "inconclusive" or now() + file.every > ends:
            missing = next((one.missing for one in watched if one.missing), "")
            return _of_gate(gate, missing if looks else trouble, file)
        wait(file.every)


def _of_gate(gate: Gate, trouble: str, file: JudgeFile) -> Result:
    """`trouble`: why there was nothing to count, or only of one of the two."""
    reason = gate.reason
    if gate.verdict == "inconclusive":
        reason = f"not decided within {file.deadline:g} s: {trouble or reason}"
    return Result(verdict=gate.verdict, reason=reason, data={**gate.as_data(), "reason": reason})


# ---- Kayenta's score


def _score(file: JudgeFile, names: Names, asked: PromQl, say: Say, wait: Wait, now: Callable[[], float]) -> Result:
    assert file.config
    config = file.config
    begins = now()
    scopes = [names.target(one) for one in (file.baseline, file.canary)]
    asking = [dict(all_kayenta(config, scope, file.location)) for scope in scopes]
    say(f"{len(config.metrics)} metrics of {scopes[1]} and {scopes[0]}, judged after {file.deadline:g} s")
    wait(file.deadline)
    pairs = [
        Pair(name=metric.name, baseline=baseline, canary=canary)
        for metric in config.metrics
        for baseline, canary in [[_values(asked, one[metric.name], begins, now(), file.every) for one in asking]]
    ]
    return _of_score(judge(config, pairs, compatible=file.compatible, **file.thresholds))


def _values(asked: PromQl, query: str, begins: float, ends: float, step: float) -> list[float]:
    """Of all series of the answer; a moment without a value is NaN."""
    found = asked.query_range(query, begins, ends, step)
    return [float("nan") if isinstance(value, NoData) else value for series in found for _, value in series.points]


def _of_score(found: Judged) -> Result:
    verdict = VERDICTS[found.outcome]
    bad = [one.reason for one in found.metrics if one.label not in ("Pass",) and one.reason and not one.config.muted]
    reason = f"score {found.score:g}: {found.ruling}" + (f"; {found.reason or bad[0]}" if found.reason or bad else "")
    samples = sum(len(one.pair.canary) for one in found.metrics)
    data = {
        "verdict": verdict, "ok": verdict == "pass", "reason": reason, "score": found.score, "samples": samples,
        "judgeResult": found.as_data(),
    }  # fmt: skip
    return Result(verdict=verdict, reason=reason, data=data)
