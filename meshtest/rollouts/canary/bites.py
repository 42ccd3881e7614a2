"""Which surprises a Canary as written will run into, and at which of its fields. Pure; made for the lint.

Not here: the sentences (surprises.py), what is refused anyway (reading.py), what happens only in some runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.quantities import seconds
from meshtest.model.document import Document, Path
from meshtest.rollouts.canary import metrics, routers, weights
from meshtest.rollouts.canary.reading import parse
from meshtest.rollouts.canary.reading_analysis import DURATION, SHORTEST
from meshtest.rollouts.canary.spec import TOTAL, Analysis, Canary, HookType, Metric, Strategy
from meshtest.rollouts.canary.surprises import SURPRISES, Surprise

ANALYSIS: Path = ("spec", "analysis")
SERVICE: Path = ("spec", "service")


@dataclass(frozen=True)
class Bite:
    """A surprise, and the field that leads to it."""

    surprise: Surprise
    path: Path


def bites(document: Document, *, provider: str = "istio") -> tuple[Bite, ...]:
    """Those of a Canary document, in the order of their codes. What cannot be read counts as absent."""
    canary = parse(document, provider=provider).value
    written = _analysis_as_written(document)
    found = [(code, path) for rule in _RULES for code, path in rule(canary, written)]
    return tuple(Bite(SURPRISES[code], path) for code, path in sorted(found, key=lambda pair: (pair[0], str(pair[1]))))


Found = Iterator[tuple[str, Path]]
Rule = Callable[[Canary, Mapping[str, Any]], Found]


def _analysis_as_written(document: Document) -> Mapping[str, Any]:
    spec = document.data.get("spec")
    found = spec.get("analysis") if isinstance(spec, dict) else None
    return found if isinstance(found, dict) else {}


def _steps(canary: Canary, _: Mapping[str, Any]) -> Found:
    """How the weight grows."""
    analysis = canary.analysis
    if analysis.strategy is not Strategy.CANARY or not routers.moves_traffic(canary):
        return
    steps = weights.steps(analysis)
    if analysis.target_weight > TOTAL:
        yield "FL60", (*ANALYSIS, "maxWeight")
    elif not steps or steps[-1] < analysis.target_weight:
        yield ("FL28", (*ANALYSIS, "stepWeights")) if analysis.step_weights else ("FL10", ANALYSIS)
    elif steps[-1] > analysis.target_weight:
        yield "FL07", (*ANALYSIS, "maxWeight")
    if analysis.step_weights and analysis.max_weight:
        yield "FL08", (*ANALYSIS, "maxWeight")
    if analysis.match:
        yield "FL11", (*ANALYSIS, "match")


def _mirror(canary: Canary, _: Mapping[str, Any]) -> Found:
    analysis = canary.analysis
    if not analysis.mirror:
        return
    invisible = not (routers.mirrors(canary) and routers.sees_mirror(canary))
    if analysis.strategy is Strategy.CANARY and routers.moves_traffic(canary) and invisible:
        yield "FL09", (*ANALYSIS, "mirror")
    elif analysis.strategy is Strategy.AB_TESTING:
        yield "FL56", (*ANALYSIS, "mirror")
    elif analysis.affinity and routers.mirrors(canary):
        yield "FL54", (*ANALYSIS, "mirror")
        if routers.family(canary.provider) == routers.ISTIO:
            yield "FL52", (*ANALYSIS, "mirror")
    if analysis.step_weight > TOTAL:
        yield "FL30", (*ANALYSIS, "stepWeight")
    if analysis.mirror_weight and routers.family(canary.provider) != routers.ISTIO:
        yield "FL40", (*ANALYSIS, "mirrorWeight")


def _numbers(canary: Canary, written: Mapping[str, Any]) -> Found:
    """Values that become others."""
    text = written.get("interval")
    if isinstance(text, str) and DURATION.match(text):
        found = seconds(text)
        if found is None or found < SHORTEST:
            yield "FL14", (*ANALYSIS, "interval")
    if isinstance(written.get("threshold"), int) and written["threshold"] <= 0:
        yield "FL15", (*ANALYSIS, "threshold")
    for key in ("primaryReadyThreshold", "canaryReadyThreshold"):
        if isinstance(written.get(key), int) and written[key] < TOTAL:
            yield "FL27", (*ANALYSIS, key)
    if canary.analysis.promotion_step:
        yield "FL46", (*ANALYSIS, "stepWeightPromotion")


def _gates(canary: Canary, _: Mapping[str, Any]) -> Found:
    """Hooks that are asked less, or more often, than it seems."""
    analysis, has = canary.analysis, {hook.type for hook in canary.analysis.hooks}
    weighted = analysis.strategy is Strategy.CANARY and routers.moves_traffic(canary)
    if {HookType.CONFIRM_ROLLOUT, HookType.ROLLBACK} <= has:
        yield "FL01", _hook(analysis, HookType.ROLLBACK)
    if HookType.CONFIRM_ROLLOUT in has:
        yield "FL02", _hook(analysis, HookType.CONFIRM_ROLLOUT)
    if HookType.CONFIRM_PROMOTION in has and analysis.strategy is Strategy.BLUE_GREEN:
        yield "FL03", _hook(analysis, HookType.CONFIRM_PROMOTION)
    if HookType.CONFIRM_PROMOTION in has and analysis.strategy is Strategy.AB_TESTING:
        yield "FL50", _hook(analysis, HookType.CONFIRM_PROMOTION)
    if {HookType.CONFIRM_TRAFFIC_INCREASE, HookType.PRE_ROLLOUT} <= has and weighted:
        yield "FL05", _hook(analysis, HookType.PRE_ROLLOUT)
    if HookType.CONFIRM_TRAFFIC_INCREASE in has and not weighted:
        yield "FL43", _hook(analysis, HookType.CONFIRM_TRAFFIC_INCREASE)


def _hook(analysis: Analysis, kind: HookType) -> Path:
    """Where the first hook of a type stands."""
    index = next(index for index, hook in enumerate(analysis.hooks) if hook.type is kind)
    return (*ANALYSIS, "webhooks", index, "type")


def _calls(canary: Canary, _: Mapping[str, Any]) -> Found:
    """Hooks and alerts that never do their work."""
    for index, hook in enumerate(canary.analysis.hooks):
        if hook.timeout < 0:
            yield "FL45", (*ANALYSIS, "webhooks", index, "timeout")
    for index, rule in enumerate(canary.analysis.alerts):
        if rule.severity is None:
            yield "FL26", (*ANALYSIS, "alerts", index)
    if canary.skip and {HookType.ROLLBACK, HookType.PRE_ROLLOUT} & {hook.type for hook in canary.analysis.hooks}:
        yield "FL44", ("spec", "skipAnalysis")


def _metrics(canary: Canary, _: Mapping[str, Any]) -> Found:
    analysis = canary.analysis
    if not (analysis.metrics or analysis.of(HookType.ROLLOUT) or canary.skip):
        yield "FL38", ANALYSIS
    for index, metric in enumerate(analysis.metrics):
        for code, *below in _metric(metric):
            yield code, (*ANALYSIS, "metrics", index, *below)
    if metrics.falls_back_to_istio(canary) and any(metric.is_builtin for metric in analysis.metrics):
        yield "FL34", ("spec", "targetRef", "kind")


def _metric(metric: Metric) -> Iterator[tuple[str, ...]]:
    if metric.bounds is None and not metric.threshold:
        yield ("FL31",)
    limits = (metric.bounds.least, metric.bounds.most) if metric.bounds else (metric.threshold,)
    if metric.is_duration and any(limit is not None and limit != int(limit) for limit in limits):
        yield ("FL32", "thresholdRange" if metric.bounds else "threshold")
    if metric.is_builtin and (metric.template or metric.query):
        yield ("FL33", "name")


def _provider(canary: Canary, _: Mapping[str, Any]) -> Found:
    """What the provider's objects cannot say."""
    analysis, name = canary.analysis, routers.family(canary.provider)
    if routers.refusal(canary):
        yield "FL39", SERVICE
    if name == routers.KUBERNETES:
        yield "FL20", ("spec", "provider")
    if analysis.match and name == routers.LINKERD:
        yield "FL35", (*ANALYSIS, "match")
    if analysis.affinity and not routers.keeps_sessions(canary):
        yield "FL37", (*ANALYSIS, "sessionAffinity")
    elif analysis.affinity and analysis.match:
        yield "FL36", (*ANALYSIS, "sessionAffinity")
        if name == routers.GATEWAY_API and analysis.promotion_step:
            yield "FL53", (*ANALYSIS, "stepWeightPromotion")
    if analysis.affinity and analysis.affinity.primary_cookie:
        yield "FL13", (*ANALYSIS, "sessionAffinity", "primaryCookieName")


def _service(canary: Canary, _: Mapping[str, Any]) -> Found:
    """What routes are made of, and what does not get into them."""
    service, name = canary.service, routers.family(canary.provider)
    if name == routers.LINKERD and service.hosts and service.hosts[0] != service.name:
        yield "FL57", (*SERVICE, "hosts")
    sticky = name == routers.ISTIO and routers.keeps_sessions(canary) and not canary.analysis.match
    if sticky and service.data.get("headers"):
        yield "FL58", (*SERVICE, "headers")
    yield from (("FL59", (*SERVICE, key)) for key in routers.lost(canary))


def _conditions(canary: Canary, _: Mapping[str, Any]) -> Found:
    """Conditions of an A/B test that get lost on the way."""
    name = routers.family(canary.provider)
    for index, match in enumerate(canary.analysis.match):
        path = (*ANALYSIS, "match", index)
        if name == routers.ISTIO and match.get("queryParams") and canary.service.data.get("match"):
            yield "FL48", (*path, "queryParams")
        if name == routers.GATEWAY_API:
            yield from (("FL49", (*path, key)) for key in _unknown_to_gateway_api(match))


def _unknown_to_gateway_api(match: Mapping[str, Any]) -> Iterator[str]:
    """Headers and query parameters are exact or a regex; there is no source."""
    for key in ("headers", "queryParams"):
        values = match.get(key)
        conditions = values.values() if isinstance(values, dict) else ()
        if any(isinstance(one, dict) and not (one.get("exact") or one.get("regex")) for one in conditions):
            yield key
    if match.get("sourceLabels") and not (match.get("headers") or match.get("queryParams")):
        yield "sourceLabels"


_RULES: tuple[Rule, ...] = (_steps, _mirror, _numbers, _gates, _calls, _metrics, _provider, _service, _conditions)
