"""Metrics of Flagger canaries that measure something else than it seems, or nothing. Ours."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meshtest.errors import UsageError
from meshtest.manifests.quantities import seconds
from meshtest.model.document import Document, Path
from meshtest.preflight.checks.canaries import CANARY
from meshtest.preflight.dig import Object, at, number, object_at, objects, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.rules import across, each
from meshtest.preflight.scene import Scene
from meshtest.telemetry.flagger import Variables, render

METRICS = ("spec", "analysis", "metrics")
RATES = ("request-success-rate", "request-duration")
GRPC = ("grpc", "grpc-web")


@each(CANARY)
def deprecated(document: Document) -> Iterator[Hit]:
    """IST0002: `threshold` of a metric gave way to `thresholdRange`, `canaryAnalysis` to `analysis`."""
    if at(document.data, "spec", "canaryAnalysis") is not None:
        message = "`canaryAnalysis` was renamed: the CRD drops it, and nothing is analysed"
        yield Hit("IST0002", document, ("spec", "canaryAnalysis"), message, "Rename it to `analysis`.")
    for index, metric in objects(document.data, *METRICS):
        if number(metric, "threshold") is not None:
            fix = "Write `thresholdRange: {min: N}` for a success rate, `{max: N}` for anything else."
            yield Hit("IST0002", document, (*METRICS, index, "threshold"), "`threshold` of a metric is deprecated", fix)


@each(CANARY)
def windows(document: Document) -> Iterator[Hit]:
    """MT027: each check has requests of its own only if window and interval are the same."""
    interval = seconds(text(document.data, "spec", "analysis", "interval"))
    for index, metric in objects(document.data, *METRICS):
        window = seconds(text(metric, "interval") or "1m")
        if not interval or not window or window == interval:
            continue
        if window > interval:
            message = f"windows of {window:g} s overlap at {interval:g} s: consecutive checks read the same requests"
        else:
            message = f"of every {interval:g} s only the last {window:g} s are checked"
        yield Hit("MT027", document, (*METRICS, index, "interval"), message)


@each(CANARY)
def bounds(document: Document) -> Iterator[Hit]:
    """MT028, MT029: bounds that no value meets, or every."""
    for index, metric in objects(document.data, *METRICS):
        path, name = (*METRICS, index, "thresholdRange"), text(metric, "name")
        least, most = (number(metric, "thresholdRange", key) for key in ("min", "max"))
        if why := _impossible(name, least, most):
            yield Hit("MT028", document, path, f"{name}: {why}, so no version passes")
        elif (
            name == RATES[0] and (least or 0.0) <= 0 and (most is None or most >= 100) and (least, most) != (None,) * 2
        ):
            yield Hit("MT029", document, path, f"{name} is at least 0 and at most 100: every version passes")


def _impossible(name: str, least: float | None, most: float | None) -> str:
    if least is not None and most is not None and least > most:
        return f"min {least:g} is above max {most:g}"
    if name == RATES[0] and least is not None and least > 100:
        return f"min {least:g} is above 100 %"
    if name in RATES and most is not None and most < 0:
        return f"max {most:g} is below 0"
    return ""


@across(CANARY)
def queries(scene: Scene) -> Iterator[Hit]:
    """MT039: of MetricTemplates that a Canary uses, at their line; and inline queries."""
    for document in scene.of(CANARY):
        for index, metric in objects(document.data, *METRICS):
            found, path, query = _asked(scene, document, (*METRICS, index, "query"), metric)
            if why := _broken(query, metric):
                yield Hit("MT039", found, path, f"{text(metric, 'name')}: {why}")


def _asked(scene: Scene, document: Document, inline: Path, metric: Object) -> tuple[Document, Path, str]:
    """Its query and where it stands: in the template for a Prometheus that it names, or with it."""
    reference = object_at(metric, "templateRef")
    namespace = text(reference, "namespace") or document.namespace
    template = scene.find("flagger.app/MetricTemplate", namespace, text(reference, "name"))
    if template is None or text(template.data, "spec", "provider", "type") != "prometheus":
        return document, inline, text(metric, "query")
    return template, ("spec", "query"), text(template.data, "spec", "query")


def _broken(query: str, metric: Object) -> str:
    """Rendered as Flagger does; of PromQL only that each bracket has its other one: Prometheus knows the rest."""
    given = object_at(metric, "templateVariables")
    variables = Variables(variables={str(name): str(value) for name, value in given.items()})
    try:
        rendered = render(query, variables)
    except UsageError as error:
        return str(error)
    opened: list[str] = []
    for sign in re.sub(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`|#.*', "", rendered):
        if sign in "([{":
            opened.append(")]}"["([{".index(sign)])
        elif sign in ")]}":
            if not opened or opened[-1] != sign:
                return f"`{opened[-1]}` is missing before `{sign}`" if opened else f"`{sign}` closes nothing"
            opened.pop()
    return f"`{opened[-1]}` is missing" if opened else ""


@across(CANARY)
def ratios(scene: Scene) -> Iterator[Hit]:
    """MT030: of MetricTemplates and inline queries."""
    from meshtest.rollouts.canary.limits import limits
    from meshtest.rollouts.canary.reading import parse

    for document in scene.of(CANARY):
        needing = {limit.metric for limit in limits(parse(document).value, scene.documents).known if limit.needs_one}
        for index, metric in objects(document.data, *METRICS):
            if (name := text(metric, "name")) in needing:
                where: Path = (*METRICS, index, "query" if "query" in metric else "templateRef")
                message = f"{name} divides errors by requests: before the first error there is no value, a failed check"
                yield Hit("MT030", document, where, message)


@each(CANARY)
def builtin(document: Document) -> Iterator[Hit]:
    """MT031, MT036, MT037: whose metrics they are, and what those do not count."""
    from meshtest.rollouts.canary.metrics import asks_applications
    from meshtest.rollouts.canary.reading import parse

    canary = parse(document).value
    service = object_at(document.data, "spec", "service")
    named = (text(service, "appProtocol"), text(service, "portName").partition("-")[0])
    for index, metric in objects(document.data, *METRICS):
        path, name = (*METRICS, index, "name"), text(metric, "name")
        if name not in RATES:
            continue
        if asks_applications(canary):
            message = f"{name} with provider {canary.provider} asks for http_request_duration_seconds of the pods"
            yield Hit("MT031", document, path, message)
        elif name == RATES[0]:
            if any(word in GRPC for word in named):
                yield Hit("MT036", document, path, f"{name} of a gRPC service: its errors carry HTTP status 200")
            if canary.provider == "istio":
                message = f"{name} counts what the canary's sidecar saw; 503s of the callers' sidecars are not in it"
                yield Hit("MT037", document, path, message)


@each(CANARY)
def silence(document: Document) -> Iterator[Hit]:
    """MT038: blue/green is measured while no user reaches the canary."""
    from meshtest.rollouts.canary import routers
    from meshtest.rollouts.canary.reading import parse
    from meshtest.rollouts.canary.spec import HookType, Strategy

    canary = parse(document).value
    analysis = canary.analysis
    unseen = analysis.strategy is Strategy.BLUE_GREEN or not routers.moves_traffic(canary)
    mirrored = analysis.mirror and routers.mirrors(canary)
    loaded = analysis.of(HookType.ROLLOUT) or analysis.of(HookType.PRE_ROLLOUT)
    measured = any(metric.is_builtin or metric.query or metric.template for metric in analysis.metrics)
    if unseen and measured and not mirrored and not loaded:
        message = "no user reaches the canary during the iterations, and no webhook sends load: its metrics are empty"
        yield Hit("MT038", document, METRICS, message)
