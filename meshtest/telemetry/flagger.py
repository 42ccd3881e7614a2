"""What Flagger asks of a Prometheus: its builtin queries, and MetricTemplates filled in as it does. Pure.

The queries have Flagger's own words (pkg/metrics/observers), since the point is that they run unchanged: the same
series, the same blind spots. A template is a Go template whose functions are the fields of Variables; what of Go's
language is understood is said at `render`.

Not here: asking (mesh/promql.py), thresholds and what a canary does about them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, nearest
from meshtest.model.document import Document
from meshtest.model.series import NoData, Number, Vector

_SUCCESS = (
    "sum(rate({counts}{{{good}}}[{{{{ interval }}}}])) / sum(rate({counts}{{{every}}}[{{{{ interval }}}}])) * 100"
)
_DURATION = "histogram_quantile(0.99, sum(rate({buckets}{{{every}}}[{{{{ interval }}}}])) by (le))"


def _queries(counts: str, buckets: str, every: str, good: str) -> Mapping[str, str]:
    """`every` and `good`: the labels of all requests, and of those that count as successful."""
    return {
        "request-success-rate": _SUCCESS.format(counts=counts, every=every, good=good),
        "request-duration": _DURATION.format(buckets=buckets, every=every),
    }


_WORKLOAD = (
    'reporter="destination",destination_workload_namespace="{{ namespace }}",destination_workload=~"{{ target }}"'
)
_DEPLOYMENT = 'namespace="{{ namespace }}",deployment=~"{{ target }}"'
_POD = 'kubernetes_namespace="{{ namespace }}",kubernetes_pod_name=~"{{ target }}-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"'

_ISTIO = _queries(
    "istio_requests_total",
    "istio_request_duration_milliseconds_bucket",
    _WORKLOAD,
    _WORKLOAD + ',response_code!~"5.*"',
)
_LINKERD = _queries(
    "response_total",
    "response_latency_ms_bucket",
    _DEPLOYMENT + ',direction="inbound"',
    _DEPLOYMENT + ',classification!="failure",direction="inbound"',
)
_APP = _queries(
    "http_request_duration_seconds_count",
    "http_request_duration_seconds_bucket",
    _POD,
    _POD + ',status!~"5.*"',
)

QUERIES: Mapping[str, Mapping[str, str]] = {
    "istio": _ISTIO,
    "linkerd": _LINKERD,
    **dict.fromkeys(("kubernetes", "gatewayapi", "gatewayapi:v1", "gatewayapi:v1beta1"), _APP),
}
"""Templates by Flagger's provider and the name of the metric."""

_MILLISECONDS = ("istio", "linkerd")
"""Providers whose histograms are in milliseconds; the others' are in seconds."""


@dataclass(frozen=True, kw_only=True)
class Variables:
    """What a template can ask for, by Flagger's names."""

    name: str = ""
    """Of the Canary."""
    namespace: str = "default"
    target: str = ""
    """`targetRef.name`: the workload."""
    service: str = ""
    ingress: str = ""
    route: str = ""
    interval: str = "1m"
    variables: Mapping[str, str] = field(default_factory=dict)
    """`templateVariables` of the Canary's metric."""


FUNCTIONS = ("name", "namespace", "target", "service", "ingress", "route", "interval")


def variables_of(given: Mapping[str, Any]) -> Variables:
    """Keyword arguments to Variables; UsageError names those that are none."""
    known = [*FUNCTIONS, "variables"]
    for name in given:
        if name not in known:
            raise UsageError(_unknown("template variable", name, known))
    return Variables(**given)


def builtin(provider: str, metric: str) -> str:
    """The template of a builtin metric; UsageError lists those that there are."""
    queries = QUERIES.get(provider)
    if queries is None:
        raise UsageError(_unknown("Flagger provider", provider, QUERIES))
    if metric not in queries:
        raise UsageError(_unknown("builtin metric", metric, queries))
    return queries[metric]


def query_of(document: Document) -> tuple[str, str]:
    """The template of a MetricTemplate for Prometheus, and `file:line` of its first line; UsageError otherwise."""
    if document.kind != "flagger.app/MetricTemplate":
        raise UsageError(f"{document.where('kind')}: a MetricTemplate of flagger.app is wanted, not {document.kind}")
    spec = document.data.get("spec") or {}
    provider = (spec.get("provider") or {}).get("type", "prometheus")
    if provider != "prometheus":
        where = document.where("spec", "provider", "type")
        raise UsageError(f"{where}: provider {provider!r} is not asked here; MetricTemplates of `prometheus` are")
    query = spec.get("query")
    if not isinstance(query, str) or not query.strip():
        raise UsageError(f"{document.where('spec', 'query')}: spec.query is missing or empty")
    place = document.where("spec", "query")
    below = 1 if "\n" in query else 0  # the text of a block begins below its `|`
    return query, f"{place.file}:{place.line + below}"


_ACTION = re.compile(r"""\{\{(-\s)?((?:"[^"]*"|`[^`]*`|[^"`])*?)(\s-)?\}\}""")
_FIELD = re.compile(r"variables\.(\w+)")
_INDEX = re.compile(r'index\s+variables\s+(?:"([^"\\]*)"|`([^`]*)`)')
_LITERAL = re.compile(r'"([^"\\]*)"|`([^`]*)`')
_COMMENT = re.compile(r"/\*.*\*/", re.DOTALL)


def render(template: str, variables: Variables, where: str = "") -> str:
    """The query. Of Go's templates: `{{ target }}` and the other functions, `{{ variables.x }}`,
    `{{ index variables "x" }}`, string literals, comments, and `{{- -}}` that trims space. Anything else is an error
    with its line, as a variable is that nobody has given (Flagger renders with missingkey=error).

    `where` is `file:line` of the template's first line.
    """
    made: list[str] = []
    end, trims = 0, False
    for action in _ACTION.finditer(template):
        _check_between(template, end, action.start(), where)
        made.append(_between(template[end : action.start()], trims, bool(action[1])))
        made.append(_value(action[2].strip(), variables, _line(where, template, action.start())))
        end, trims = action.end(), bool(action[3])
    _check_between(template, end, len(template), where)
    return "".join([*made, _between(template[end:], trims, False)])


def _check_between(template: str, begin: int, end: int, where: str) -> None:
    """Text is what lies between actions; one that does not end would be taken for it."""
    at = template.find("{{", begin, end)
    if at >= 0:
        raise UsageError(f"{_line(where, template, at)}an action {{{{ that no }}}} ends")


def _between(text: str, trims_left: bool, trims_right: bool) -> str:
    text = text.lstrip() if trims_left else text
    return text.rstrip() if trims_right else text


def _value(action: str, variables: Variables, at: str) -> str:
    if action in FUNCTIONS:
        return str(getattr(variables, action))
    if _COMMENT.fullmatch(action):
        return ""
    if literal := _LITERAL.fullmatch(action):
        return literal[1] or literal[2] or ""
    if key := _FIELD.fullmatch(action) or _INDEX.fullmatch(action):
        name = next(group for group in key.groups() if group is not None)
        if name not in variables.variables:
            raise UsageError(at + _unknown("variable", name, variables.variables))
        return variables.variables[name]
    if re.fullmatch(r"\w+", action):
        raise UsageError(at + _unknown("function", action, (*FUNCTIONS, "variables")))
    raise UsageError(
        f"{at}{{{{ {action} }}}} is more of Go's template language than is understood here: "
        f"{', '.join(FUNCTIONS)}, variables.NAME, index variables NAME, strings and comments"
    )


def _unknown(what: str, name: str, known: Iterable[str]) -> str:
    known = list(known)
    hint = nearest(name, known)
    return f"no {what} {name!r}; there are: {listed(known) or 'none'}" + (f" (did you mean {hint!r}?)" if hint else "")


def _line(where: str, template: str, offset: int) -> str:
    """`file:line: ` of a place in the template, to be followed by a sentence."""
    file, _, line = where.rpartition(":")
    return f"{file}:{int(line) + template.count(chr(10), 0, offset)}: " if line.isdigit() else ""


def value_of(vector: Vector) -> Number:
    """The one that Flagger takes: the last series of the answer. Empty or NaN is what it calls "no values found"."""
    found = vector.last
    if isinstance(found, NoData):
        return NoData(f"Flagger says `no values found` and counts a failed check: {found.why}")
    return found


def reading(provider: str, metric: str, value: Number) -> Number:
    """What Flagger compares with a threshold: percent, or whole milliseconds (it cuts off the rest)."""
    if isinstance(value, NoData) or metric != "request-duration":
        return value
    return float(int(value if provider in _MILLISECONDS else value * 1000))
