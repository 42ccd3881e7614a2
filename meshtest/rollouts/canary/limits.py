"""What the metrics of a Canary demand of its requests: how many of them may be bad. For the chances (power.py).

A success rate, and a query that divides a count of 5xx by a count of all, are shares of failed requests. A p99 is one
too: it is above its bound when more than 1 % of the requests are (histograms interpolate, so this is exact only at the
edge of a bucket). What is neither is named, and taken to pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from math import ceil, floor, inf
from typing import Literal

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.quantities import seconds
from meshtest.model.document import Document
from meshtest.rollouts.canary.spec import Bounds, Canary, Metric

TEMPLATE = "flagger.app/MetricTemplate"
QUANTILE = 0.99
"""Of the built-in request-duration."""
_SLACK = 1e-9
"""99 % of 300 requests are 297, whatever the floats say."""

Kind = Literal["errors", "slow"]


@dataclass(frozen=True, kw_only=True)
class Limit:
    """The shares of bad requests that one metric accepts, in the window of its query."""

    metric: str
    kind: Kind
    most: float
    least: float = 0.0
    window: float
    """Seconds."""
    needs_one: bool = False
    """Until the first bad request there is no series to divide, so that nothing bad is a failed check (#1365)."""

    def accepts(self, bad: int, requests: float) -> bool:
        """No request is no value. Only bad ones is none either: the series of the good ones is not there."""
        if requests <= _SLACK or (self.kind == "errors" and not self.needs_one and bad >= requests):
            return False
        return ceil(self.least * requests - _SLACK) <= bad <= floor(self.most * requests + _SLACK)

    def fewest(self, bad: int) -> float:
        """Good requests beside so many bad ones that it still accepts."""
        if bad and self.most <= 0:
            return inf
        must = not bad or (self.kind == "errors" and not self.needs_one)
        return max(1.0 if must else 0.0, ceil(bad / self.most - bad - _SLACK) if bad else 0.0)

    def greatest(self, bad: int) -> float:
        """Good requests beside so many bad ones, above which it accepts no more."""
        return inf if self.least <= 0 else floor(bad / self.least - bad + _SLACK)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of a Canary."""

    known: tuple[Limit, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Metrics that are taken to pass, and why."""

    def of(self, kind: Kind) -> tuple[Limit, ...]:
        return tuple(limit for limit in self.known if limit.kind == kind)

    def tolerated(self, kind: Kind) -> float | None:
        """The largest share of bad requests that all accept."""
        return min((limit.most for limit in self.of(kind)), default=None)


def limits(canary: Canary, documents: Iterable[Document] = ()) -> Limits:
    """Of all metrics; `documents` has the MetricTemplates."""
    templates = {(d.namespace, d.name): d for d in documents if d.kind == TEMPLATE}
    known, unknown = list[Limit](), dict[str, str]()
    for metric in canary.analysis.metrics:
        found = _limit(canary, metric, templates)
        if isinstance(found, Limit):
            known.append(found)
        else:
            unknown[metric.name] = found
    return Limits(known=tuple(known), unknown=unknown)


def _limit(canary: Canary, metric: Metric, templates: Mapping[tuple[str, str], Document]) -> Limit | str:
    """Or why there is none."""
    window = seconds(metric.interval) or 60.0
    if metric.is_success_rate:
        return _success(metric, metric.bounds or Bounds(least=metric.threshold), 100.0, window)
    if metric.is_duration:
        return _slow(metric, metric.bounds or Bounds(most=metric.threshold), window)
    query = metric.query or _query(canary, metric, templates)
    if not query:
        return "its MetricTemplate is not among the files"
    return _ratio(metric, query, metric.bounds or Bounds(most=metric.threshold), window)


def _success(metric: Metric, bounds: Bounds, whole: float, window: float) -> Limit:
    return Limit(
        metric=metric.name,
        kind="errors",
        most=1.0 if bounds.least is None else _share(whole - bounds.least, whole),
        least=0.0 if bounds.most is None else _share(whole - bounds.most, whole),
        window=window,
    )


def _slow(metric: Metric, bounds: Bounds, window: float) -> Limit | str:
    if bounds.most is None:
        return "a duration without an upper bound"
    return Limit(metric=metric.name, kind="slow", most=round(1 - QUANTILE, 9), window=window)


def _query(canary: Canary, metric: Metric, templates: Mapping[tuple[str, str], Document]) -> str:
    """Of its MetricTemplate, whoever answers it."""
    if metric.template is None:
        return ""
    document = templates.get((metric.template.namespace or canary.namespace, metric.template.name))
    spec = document.data.get("spec") if document else None
    found = spec.get("query") if isinstance(spec, dict) else None
    return found if isinstance(found, str) else ""


_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_FIVES, _NO_FIVES = re.compile(r'(?<!!)=~\s*["\']\^?5'), re.compile(r'!~\s*["\']\^?5')
_PERCENT = re.compile(r"\*\s*100\b")
_FROM_ONE = re.compile(r"^\s*\(*\s*(1|100)\s*-")
_FALLBACK = re.compile(r"\bor\b")


def _ratio(metric: Metric, query: str, bounds: Bounds, window: float) -> Limit | str:
    """A count of 5xx, or of all others, through a count of all."""
    above, slash, _ = _divided(query)
    turned = _FROM_ONE.match(query)
    whole = 100.0 if _PERCENT.search(query) or (turned and turned[1] == "100") else 1.0
    if not slash or not (_FIVES.search(above) or _NO_FIVES.search(above)):
        return "its query is no share of 5xx"
    if bool(_NO_FIVES.search(above)) != bool(turned):
        return _success(metric, bounds, whole, window)
    return Limit(
        metric=metric.name,
        kind="errors",
        most=1.0 if bounds.most is None else _share(bounds.most, whole),
        least=0.0 if bounds.least is None else _share(bounds.least, whole),
        window=window,
        needs_one=bool(_FIVES.search(above)) and not _FALLBACK.search(query),
    )


def _divided(query: str) -> tuple[str, str, str]:
    """At the first slash that stands in no string."""
    masked = _QUOTED.sub(lambda quoted: "_" * len(quoted[0]), query)
    at = masked.find("/")
    return (query, "", "") if at < 0 else (query[:at], "/", query[at + 1 :])


def _share(part: float, whole: float) -> float:
    return min(1.0, max(0.0, round(part / whole, 12)))
