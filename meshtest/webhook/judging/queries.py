"""Which series tell of a canary's requests: those of a mesh, the user's own, Kayenta's. Pure.

The metrics and labels are those of Flagger's built-in checks (telemetry/flagger.py), as counters. A template is filled
in as a MetricTemplate is; names come from a webhook's payload, so one that could end a string of PromQL is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed
from meshtest.rollouts.judge.config import JudgeConfig, MetricConfig
from meshtest.telemetry import flagger

SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
"""What may stand in a query; names of Kubernetes are, and the values of parameters by default."""


@dataclass(frozen=True, kw_only=True)
class Templates:
    """Counters of one version, as templates of `target`, `namespace`, `name` and `variables`."""

    requests: str
    errors: str
    within: str = ""
    """Answers within the bound; "" if latency is not looked at."""


@dataclass(frozen=True, kw_only=True)
class _Family:
    """The metrics of a mesh."""

    counts: str
    buckets: str
    every: str
    failed: str
    per_second: float
    """Of the unit of its buckets."""

    def templates(self, bound: float | None) -> Templates:
        le = "" if bound is None else f'{self.buckets}{{{self.every},le="{bound * self.per_second:g}"}}'
        return Templates(
            requests=f"{self.counts}{{{self.every}}}",
            errors=f"{self.counts}{{{self.every},{self.failed}}}",
            within=le,
        )


_ISTIO = _Family(
    counts="istio_requests_total",
    buckets="istio_request_duration_milliseconds_bucket",
    every='reporter="destination",destination_workload_namespace="{{ namespace }}",destination_workload="{{ target }}"',
    failed='response_code=~"5.*"',
    per_second=1000.0,
)
_LINKERD = _Family(
    counts="response_total",
    buckets="response_latency_ms_bucket",
    every='namespace="{{ namespace }}",deployment="{{ target }}",direction="inbound"',
    failed='classification="failure"',
    per_second=1000.0,
)
_APP = _Family(
    counts="http_request_duration_seconds_count",
    buckets="http_request_duration_seconds_bucket",
    every='kubernetes_namespace="{{ namespace }}",kubernetes_pod_name=~"{{ target }}-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"',
    failed='status=~"5.*"',
    per_second=1.0,
)
FAMILIES: Mapping[str, _Family] = {"istio": _ISTIO, "linkerd": _LINKERD, "gatewayapi": _APP, "kubernetes": _APP}
"""By Flagger's provider."""


def of_provider(provider: str, bound: float | None) -> Templates:
    """`bound`: seconds; there must be a bucket of the histogram that ends there."""
    if provider not in FAMILIES:
        raise UsageError(f"no provider {provider!r}; there are: {listed(FAMILIES)}")
    return FAMILIES[provider].templates(bound)


@dataclass(frozen=True, kw_only=True)
class Names:
    """Who is judged, and what the hook's metadata say."""

    name: str = ""
    """Of the Canary."""
    namespace: str = "default"
    parameters: Mapping[str, str] = field(default_factory=dict)

    def target(self, template: str) -> str:
        """The workload that is meant."""
        found = self.rendered(template)
        if not found:
            raise UsageError("which canary? write `canary: NAME` into the file, or give --canary NAME")
        return found

    def rendered(self, template: str, target: str = "") -> str:
        given = {"name": self.name, "namespace": self.namespace, "target": target, **self.parameters}
        for key, value in given.items():
            if value and key in template and not SAFE.fullmatch(value):
                raise UsageError(f"{key} {value!r} cannot stand in a query: letters, digits and ._:/- only")
        variables = flagger.Variables(
            name=self.name, namespace=self.namespace, target=target, service=target, ingress=target, route=target,
            variables=self.parameters,
        )  # fmt: skip
        return flagger.render(template, variables)


def queries(templates: Templates, names: Names, target: str) -> Templates:
    """Those of one version."""
    return Templates(
        requests=names.rendered(templates.requests, target),
        errors=names.rendered(templates.errors, target),
        within=names.rendered(templates.within, target),
    )


# ---- Kayenta's

_PLACE = re.compile(r"\$\{(\w+)\}")


def kayenta(config: JudgeConfig, metric: MetricConfig, scope: str, location: str = "") -> str:
    """The query of a metric for one scope: a template of PromQL, or a metric's name with labels, averaged.

    As PrometheusMetricsService does it, but for the filters of cloud instances: those need a template here.
    """
    told = metric.query
    if told.get("type", "prometheus") != "prometheus":
        raise UsageError(f"metric {metric.name} is asked of {told['type']}; only those of prometheus are asked here")
    custom = _filter(config, metric, scope, location)
    if custom.startswith("PromQL:"):
        return custom.removeprefix("PromQL:")
    name = told.get("metricName")
    if not name:
        raise UsageError(f"metric {metric.name}: a metricName is wanted, or a template that begins with PromQL:")
    if not custom:
        raise UsageError(f"metric {metric.name}: without a customInlineTemplate nothing tells canary from baseline")
    labels = [*custom.split(","), *(told.get("labelBindings") or ())]
    by = f" by ({','.join(told['groupByFields'])})" if told.get("groupByFields") else ""
    return f"avg({name}{{{','.join(labels)}}}){by}"


def _filter(config: JudgeConfig, metric: MetricConfig, scope: str, location: str) -> str:
    inline, named = metric.query.get("customInlineTemplate"), metric.query.get("customFilterTemplate")
    if named and not inline and named not in config.templates:
        raise UsageError(
            f"metric {metric.name}: no template {named!r}; there are: {listed(config.templates) or 'none'}"
        )
    template = str(inline or (config.templates[named] if named else ""))
    known = {"scope": scope, "location": location}

    def value(place: re.Match[str]) -> str:
        if place[1] not in known:
            raise UsageError(f"metric {metric.name}: nobody gives ${{{place[1]}}}; there are: {listed(known)}")
        return known[place[1]]

    return _PLACE.sub(value, template.replace("$\\{", "${"))


def all_kayenta(config: JudgeConfig, scope: str, location: str = "") -> Iterator[tuple[str, str]]:
    """(metric, query) of each."""
    for metric in config.metrics:
        yield metric.name, kayenta(config, metric, scope, location)
