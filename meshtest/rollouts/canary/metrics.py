"""The metric checks of the analysis: which queries run, in which order, and what their values mean.

Rules: fluxcd/flagger pkg/controller/scheduler_metrics.go (runBuiltinMetricChecks, runMetricChecks). Not here: the
queries themselves, and who answers them.
"""

from __future__ import annotations

import math

from meshtest.rollouts.canary.replies import Reading
from meshtest.rollouts.canary.routers import GATEWAY_API, KUBERNETES, LINKERD
from meshtest.rollouts.canary.spec import Bounds, Canary, Metric
from meshtest.rollouts.canary.steps import Script, Source
from meshtest.rollouts.canary.turn import Turn
from meshtest.rollouts.canary.wording import duration, number

NOTHING = "no values found"


def check(turn: Turn) -> Script[bool]:
    """All metrics with a query of their own, or built in; then those with a template. The first bad one ends it."""
    for metric in turn.analysis.metrics:
        if metric.is_builtin and not (yield from _judged(turn, metric, Source.BUILTIN)):
            return False
        if metric.query and not (yield from _judged(turn, metric, Source.INLINE)):
            return False
    for metric in turn.analysis.metrics:
        if metric.template is not None:
            if not (yield from _judged(turn, metric, Source.TEMPLATE)):
                return False
        elif not metric.is_builtin and not metric.query:
            yield from turn.warn("Metric query failed for no usable metrics template and query were configured")
            return False
    return True


def _judged(turn: Turn, metric: Metric, source: Source) -> Script[bool]:
    reading = yield from turn.measure(metric, source)
    objection = why_not(turn.canary, metric, source, reading)
    if objection:
        yield from turn.warn(objection)
    return not objection


def why_not(canary: Canary, metric: Metric, source: Source, reading: Reading) -> str:
    """What is wrong with a reading, in Flagger's words; empty: nothing."""
    if reading.error:
        return _failed(canary, metric, source, reading.error)
    if reading.value is None or math.isnan(reading.value):
        return _empty(canary, metric, source)
    if source is not Source.BUILTIN:
        return _outside(canary, metric, reading.value)
    if metric.is_duration:
        return _too_slow(canary, metric, int(reading.value))
    return _too_few(canary, metric, reading.value)


def _failed(canary: Canary, metric: Metric, source: Source, error: str) -> str:
    match source:
        case Source.BUILTIN:
            return f"Prometheus query failed: {_wrapped(canary, metric, error)}"
        case Source.INLINE:
            return f"Prometheus query failed for {metric.name}: {error}"
        case _:
            return f"Metric query failed for {metric.name}: {error}"


def _empty(canary: Canary, metric: Metric, source: Source) -> str:
    """No request, no series, NaN: each is a failed check."""
    match source:
        case Source.BUILTIN:
            probably = f"probably {canary.workload} is not receiving traffic"
            why = f": {_wrapped(canary, metric, NOTHING)}" if metric.is_success_rate else ""
            return f"Halt advancement no values found for {observer(canary)} metric {metric.name} {probably}{why}"
        case Source.INLINE:
            return f"Halt advancement no values found for metric: {metric.name}"
        case _:
            return f"Halt advancement no values found for custom metric: {metric.name}: {NOTHING}"


def _wrapped(canary: Canary, metric: Metric, error: str) -> str:
    """The success rate of applications is the one whose errors are not wrapped (pkg/metrics/observers/http.go)."""
    bare = metric.is_success_rate and asks_applications(canary)
    return error if bare else f"running query failed: {error}"


def asks_applications(canary: Canary) -> bool:
    """The built-in checks ask for metrics of the application, not of a proxy; their durations are in seconds."""
    return observer(canary).startswith(GATEWAY_API) or observer(canary) == KUBERNETES


def observer(canary: Canary) -> str:
    """Whose metrics the built-in checks ask for, as events name it."""
    return canary.provider if canary.runs_pods else f"{canary.provider}:service"


def falls_back_to_istio(canary: Canary) -> bool:
    """A target of kind Service makes names like `linkerd:service`, which Flagger does not know: Istio's it is."""
    return observer(canary) in (f"{LINKERD}:service", f"{KUBERNETES}:service")


def _too_few(canary: Canary, metric: Metric, value: float) -> str:
    """A success rate in per cent. Without bounds the deprecated threshold is the least."""
    bounds = metric.bounds or Bounds(least=metric.threshold)
    shown = f"Halt {canary.full_name} advancement success rate {value:.2f}%"
    if bounds.least is not None and value < bounds.least:
        return f"{shown} < {number(bounds.least)}%"
    if bounds.most is not None and value > bounds.most:
        return f"{shown} > {number(bounds.most)}%"
    return ""


def _too_slow(canary: Canary, metric: Metric, value: int) -> str:
    """A p99 in whole milliseconds, and so are its bounds. Without bounds the deprecated threshold is the most."""
    bounds = metric.bounds or Bounds(most=metric.threshold)
    shown = f"Halt {canary.full_name} advancement request duration {duration(value)}"
    if bounds.least is not None and value < int(bounds.least):
        return f"{shown} < {duration(int(bounds.least))}"
    if bounds.most is not None and value > int(bounds.most):
        return f"{shown} > {duration(int(bounds.most))}"
    return ""


def _outside(canary: Canary, metric: Metric, value: float) -> str:
    bounds = metric.bounds or Bounds(most=metric.threshold)
    shown = f"Halt {canary.full_name} advancement {metric.name} {value:.2f}"
    if bounds.least is not None and value < bounds.least:
        return f"{shown} < {number(bounds.least)}"
    if bounds.most is not None and value > bounds.most:
        return f"{shown} > {number(bounds.most)}"
    return ""
