"""Metrics as Flagger reads them: its own queries and the user's, of a Prometheus on the Canary's clock.

    measures = Measures(mesh, canary, speed=20)
    measures.online()                              # the reply to MetricsOnline; starts the Prometheus
    reading = measures.read(question)              # the reply to Measure
    measures.measured(question, reading)           # for the report: with bounds, and the requests that it rests on
    measures.close()

Rules: fluxcd/flagger pkg/controller/scheduler_metrics.go, pkg/metrics/observers, pkg/metrics/providers/prometheus.go.
What is not as there: all is asked of one Prometheus, which holds the metrics of the mesh, whatever `metricsServer` or a
template's `address` says; its own answer is waited for 30 s and not 5, for it shares a machine with the mesh. A
template for another kind of provider cannot be asked: somebody must say what it reads (`assumed`).

Not here: what a value means (rollouts/canary/metrics.py), the clock (spi/telemetry.py: Asking.speed).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.errors import ProcessFailed, ProviderError, UsageError
from meshtest.lib.words import listed, nearest
from meshtest.mesh.canary.doubt import Asked
from meshtest.mesh.canary.machine import CALM, Strain
from meshtest.mesh.canary.window import Window, window
from meshtest.mesh.promql import TEMPLATE, Questions
from meshtest.model.document import Document
from meshtest.model.rehearsal import Measured
from meshtest.model.series import Matrix, NoData, Vector
from meshtest.rollouts.canary import metrics
from meshtest.rollouts.canary.replies import YES, Answer, Reading
from meshtest.rollouts.canary.routers import ISTIO, KUBERNETES, LINKERD
from meshtest.rollouts.canary.spec import Canary, Metric
from meshtest.rollouts.canary.steps import Measure, Source
from meshtest.telemetry import flagger

if TYPE_CHECKING:
    from meshtest.mesh.mesh import Mesh

ONLINE = "vector(1)"
FOLDER = "rehearsal"
OTHERS = ("apisix", "appmesh", "contour", "gloo", "knative", "kuma", "nginx", "osm", "skipper", "traefik")
"""Providers with built-in queries of their own, for metrics that nothing here tells."""


class Measures:
    """Those of one rehearsal. UsageError at once for metrics that cannot be read and that nobody has assumed."""

    def __init__(
        self, mesh: Mesh, canary: Canary, *, speed: float = 1.0, assumed: Mapping[str, float] | None = None
    ) -> None:
        self._mesh, self._canary, self._speed = mesh, canary, speed
        self._assumed = dict(assumed or {})
        self._asked = Questions(mesh, folder=_free(mesh.run.directory), speed=speed)
        self._why: dict[str, str] = {}
        """By name, why a metric had no value when it was read last."""
        self._read_at: float | None = None
        """Second of the run up to which the latest value counts; None: nothing was asked yet."""
        self._refuse_unreadable()

    @property
    def notes(self) -> list[str]:
        """What is not as in production."""
        said = [f"metric {name} was not asked: assumed to be {value:g}" for name, value in self._assumed.items()]
        return [*said, *self._missing(), *(f"{one} was asked of our own Prometheus" for one in self._asked_elsewhere())]

    def close(self) -> None:
        self._asked.close()

    # ---- replies

    def online(self) -> Answer:
        """Whether all that metrics are asked of is there; inline queries are not looked at, as in Flagger. But from now
        on there is something to rise from, for them too."""
        if self._to_ask():
            _ = self._asked.prometheus
        for metric in self._to_ask():
            if metric.template and not metric.is_builtin and self._template(metric) is None:
                return Answer(ok=False, reason=self._not_found(metric))
            if metric.is_builtin or metric.template:
                reading = self._run(metric.name, ONLINE)
                if reading.error:
                    return Answer(ok=False, reason=f"prometheus not avaiable: running query failed: {reading.error}")
        return YES

    def read(self, question: Measure) -> Reading:
        """By now: every request that has ended is counted."""
        metric = question.metric
        self._why.pop(metric.name, None)
        self._read_at = self._mesh.run.now
        if metric.name in self._assumed:
            return Reading(value=self._assumed[metric.name])
        try:
            query = self._query(question)
        except UsageError as error:
            return Reading(error=str(error))
        reading = self._run(metric.name, query)
        if question.source is not Source.BUILTIN or reading.value is None:
            return reading
        return Reading(value=float(flagger.reading(self._provider, metric.name, reading.value)))

    def measured(self, question: Measure, reading: Reading) -> Measured:
        """As the report tells it."""
        metric = question.metric
        least, most = metrics_bounds(metric)
        return Measured(
            name=metric.name,
            value=reading.value,
            error=reading.error or self._why.get(metric.name, ""),
            least=least,
            most=most,
            ok=not metrics.why_not(self._canary, metric, question.source, reading),
            requests=len(self.seen(metric).served),
        )

    def seen(self, metric: Metric, strain: Strain = CALM) -> Window:
        """What the record holds of the window that the latest value is of: requests as sent, not as counted."""
        canary = self._canary
        return window(
            self._mesh.history(flushed=True),
            self._mesh.run.now if self._read_at is None else self._read_at,
            seconds(metric.interval) / self._speed,
            workload=f"{canary.namespace}/{canary.target}",
            service=f"{canary.service.canary}.{canary.namespace}",
            strain=strain,
        )

    def asked(self, question: Measure) -> Asked:
        """What the metric is about."""
        built_in = question.source is Source.BUILTIN
        return Asked(
            of_proxies=built_in and not metrics.asks_applications(self._canary),
            limit=self._limit(question),
            speed=self._speed,
        )

    def _limit(self, question: Measure) -> float | None:
        """The most seconds that a request may take, of a metric of latencies whose unit can be told."""
        _, most = metrics_bounds(question.metric)
        if question.source is Source.BUILTIN:
            return most / 1e3 if most is not None and question.metric.is_duration else None
        try:
            query = self._query(question)
        except UsageError:
            return None
        unit = _LATENCY.search(query)
        return most * (1e-3 if unit[1] in ("ms", "milliseconds") else 1.0) if most is not None and unit else None

    # ---- asking

    def _run(self, name: str, query: str) -> Reading:
        """Trouble of ours is none of the metric's; with a Prometheus of the user's there is no telling."""
        asked = self._asked.prometheus  # that there is none is for a person to hear, not for the Canary
        try:
            self._asked.freshen(asked)
            answer = asked.query(query)
        except UsageError as error:
            return Reading(error=f"error response: {error}")
        except ProcessFailed:
            raise
        except ProviderError as error:
            if not self._mesh.settings.prometheus.startswith(("http://", "https://")):
                raise
            return Reading(error=f"request failed: {error}")
        return self._value(name, answer)

    def _value(self, name: str, answer: Vector | Matrix) -> Reading:
        """Flagger reads vectors: of several series the last; a range of samples is too much, a scalar is none."""
        if isinstance(answer, Matrix):
            return Reading(error="query returned multiple values")
        if answer.is_scalar:
            return Reading(error="error unmarshaling result: a scalar is no vector; write vector(...)")
        found = answer.last
        if isinstance(found, NoData):
            self._why[name] = found.why
            return Reading()
        return Reading(value=found)

    # ---- queries

    def _query(self, question: Measure) -> str:
        metric = question.metric
        variables = self._variables(metric)
        if question.source is Source.BUILTIN:
            return flagger.render(flagger.builtin(self._provider, metric.name), variables)
        if question.source is Source.INLINE:
            return flagger.render(metric.query, variables)
        template = self._template(metric)
        if template is None:
            raise UsageError(self._not_found(metric))
        query, where = flagger.query_of(template)
        return flagger.render(query, variables, where)

    def _variables(self, metric: Metric) -> flagger.Variables:
        canary = self._canary
        return flagger.Variables(
            name=canary.name,
            namespace=canary.namespace,
            target=canary.target,
            service=canary.service.name,
            ingress=canary.target,
            route=canary.target,
            interval=metric.interval,
            variables=metric.variables,
        )

    @property
    def _provider(self) -> str:
        """Whose queries are the built-in ones; Istio's are those of a provider that Flagger does not know."""
        if metrics.asks_applications(self._canary):
            return KUBERNETES
        return LINKERD if metrics.observer(self._canary) == LINKERD else ISTIO

    def _template(self, metric: Metric) -> Document | None:
        """The MetricTemplate of that name; without a namespace in the Canary's."""
        assert metric.template
        wanted = (metric.template.namespace or self._canary.namespace, metric.template.name)
        return next((d for d in self._mesh.documents.of(TEMPLATE) if (d.namespace, d.name) == wanted), None)

    def _not_found(self, metric: Metric) -> str:
        assert metric.template
        name, namespace = metric.template.name, metric.template.namespace or self._canary.namespace
        return f'metric template {name}.{namespace} error: metrictemplate.flagger.app "{name}" not found'

    # ---- what can be asked

    def _to_ask(self) -> list[Metric]:
        return [metric for metric in self._canary.analysis.metrics if metric.name not in self._assumed]

    def _refuse_unreadable(self) -> None:
        known = [metric.name for metric in self._canary.analysis.metrics]
        for name in self._assumed:
            if name not in known:
                hint = f" (did you mean {near!r}?)" if (near := nearest(name, known)) else ""
                raise UsageError(f"no metric {name!r} to assume; the Canary has: {listed(known) or 'none'}{hint}")
        if unreadable := list(self._unreadable()):
            raise UsageError("; ".join(unreadable))

    def _unreadable(self) -> Iterator[str]:
        for metric in self._to_ask():
            say = f"say what it reads: --assume-metric {metric.name}=VALUE"
            if metric.is_builtin and self._canary.provider.partition(":")[0] in OTHERS:
                yield f"metric {metric.name} is one of {self._canary.provider}, which nothing here tells; {say}"
            template = self._template(metric) if metric.template else None
            if template and (kind := provider_of(template)) != "prometheus":
                where = template.where("spec", "provider", "type")
                yield f"{where}: metric {metric.name} is asked of {kind}, which is not here; {say}"

    def _missing(self) -> Iterator[str]:
        for metric in self._to_ask():
            if metric.template and self._template(metric) is None:
                named = f"{metric.template.namespace or self._canary.namespace}/{metric.template.name}"
                said = f"the manifests have no MetricTemplate {named}, so each check of metric {metric.name} fails"
                yield f"{said}: name its file, or say what it reads: --assume-metric {metric.name}=VALUE"

    def _asked_elsewhere(self) -> Iterator[str]:
        if self._canary.metrics_server:
            yield f"what metricsServer {self._canary.metrics_server} would be"
        for metric in self._to_ask():
            if metric.template and (template := self._template(metric)):
                yield f"MetricTemplate {template.namespace}/{template.name}"


def assumptions(texts: Iterable[str]) -> dict[str, float]:
    """`NAME=VALUE`, as on a command line."""
    found = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            name = ""
        if not name:
            raise UsageError(f"--assume-metric {text!r}: write NAME=VALUE, such as error-rate=0.5")
    return found


def provider_of(template: Document) -> str:
    """Whom a MetricTemplate asks."""
    return str(((template.data.get("spec") or {}).get("provider") or {}).get("type", "prometheus"))


def metrics_bounds(metric: Metric) -> tuple[float | None, float | None]:
    """Least and most; without a range the deprecated threshold is one of the two."""
    if metric.bounds:
        return metric.bounds.least, metric.bounds.most
    return (metric.threshold, None) if metric.is_success_rate else (None, metric.threshold)


_LATENCY = re.compile(r"(?:duration|latency)_(ms|milliseconds|seconds)_")
"""Histograms of how long requests take: istio_request_duration_milliseconds_bucket, response_latency_ms_bucket."""
_PARTS = re.compile(r"(\d+)(ms|[smhdwy])")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}


def seconds(duration: str) -> float:
    """As Prometheus reads it: `1m`, `1h30m`."""
    if not duration or _PARTS.sub("", duration):
        raise UsageError(f"interval {duration!r} is no duration of Prometheus: write 30s, 1m, 1h30m")
    return sum(int(amount) * _SECONDS[unit] for amount, unit in _PARTS.findall(duration))


def _free(directory: Path) -> Path:
    """A folder that no rehearsal before has used."""
    number = sum(1 for one in directory.glob(f"{FOLDER}*") if one.is_dir()) + 1
    return directory / (FOLDER if number == 1 else f"{FOLDER}-{number}")
