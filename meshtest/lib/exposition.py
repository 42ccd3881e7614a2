"""Metrics as text: written and read, in Prometheus' format 0.0.4 and in OpenMetrics 1.0.

Sources: prometheus.io/docs/instrumenting/exposition_formats (text format), the OpenMetrics specification 1.0.0
(prometheus.io/docs/specs/om/open_metrics_spec). Not here: who asks (telemetry/endpoint.py), PromQL.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Labels = Mapping[str, str]


class Sample(NamedTuple):
    name: str
    labels: Labels
    value: float
    timestamp: float | None = None
    """Seconds; None: now."""


class ExpositionError(ValueError):
    """The text is not in the format: which line, and what is wrong with it."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line, self.what = line, what


# -- writing


def number(value: float) -> str:
    """A value, or a bound: `5`, `0.5`, `+Inf`."""
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def escaped(value: str) -> str:
    if "\\" in value or '"' in value or "\n" in value:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return value


def label_text(labels: Iterable[tuple[str, str]]) -> str:
    """What stands between the braces."""
    return ",".join(f'{name}="{escaped(value)}"' for name, value in labels)


def line(sample: Sample) -> str:
    """In format 0.0.4, whose timestamps are milliseconds."""
    labels = f"{{{label_text(sample.labels.items())}}}" if sample.labels else ""
    when = "" if sample.timestamp is None else f" {round(sample.timestamp * 1000)}"
    return f"{sample.name}{labels} {number(sample.value)}{when}\n"


def openmetrics(text: str) -> str:
    """The same in OpenMetrics. Only comments differ: a counter's family is named without `_total`, and there is an end.

    A counter whose samples do not end in `_total` is none in OpenMetrics: it becomes `unknown`. Timestamps are seconds.
    """
    lines = [_openmetrics_line(one) for one in text.splitlines() if one.strip()] if _needs_care(text) else None
    if lines is None:
        return _COUNTER_TYPE.sub(r"# TYPE \1 counter", text) + "# EOF\n"
    return "".join(f"{one}\n" for one in lines if one) + "# EOF\n"


_COUNTER_TYPE = re.compile(r"^# TYPE (\S+)_total counter$", re.MULTILINE)
_ODD = re.compile(r"^# (?!TYPE )|^# TYPE \S+(?<!_total) (?:counter|untyped)$|[}\w]\s+\S+\s+-?\d+$|^\s*$", re.MULTILINE)


def _needs_care(text: str) -> bool:
    """It holds more than the proxies' own metrics do."""
    return _ODD.search(text) is not None


def _openmetrics_line(text: str) -> str:
    if not text.startswith("#"):
        _, _, at = _head(text, 1)
        value, *when = text[at:].split()
        return f"{text[:at]} {value} {int(when[0]) / 1000:.3f}" if when else text
    words = text.split(None, 3)
    if len(words) < 4 or words[1] not in ("TYPE", "HELP"):
        return ""  # other comments are none of OpenMetrics
    _, what, name, rest = words
    if what == "TYPE":
        if rest == "untyped" or (rest == "counter" and not name.endswith("_total")):
            rest = "unknown"
        elif rest == "counter":
            name = name.removesuffix("_total")
    else:
        name = name.removesuffix("_total")
        rest = rest.replace('"', '\\"')
    return f"# {what} {name} {rest}"


def wanted(accept: str) -> str:
    """The content type for an Accept header: OpenMetrics only for who prefers it (RFC 9110, 12.5.1)."""
    best: dict[str, float] = {}
    for choice in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in choice.split(";"))
        options = dict(p.split("=", 1) for p in parameters if "=" in p)
        if kind == "application/openmetrics-text" and options.get("version", "1.0.0") not in ("1.0.0", "0.0.1"):
            continue
        if kind in ("text/plain", "text/*") and options.get("version", "0.0.4") != "0.0.4":
            continue
        try:
            weight = float(options.get("q", "1"))
        except ValueError:
            weight = 0.0
        best[kind] = max(weight, best.get(kind, 0.0))
    text = max(best.get("text/plain", 0.0), best.get("text/*", 0.0), best.get("*/*", 0.0))
    open_ = max(best.get("application/openmetrics-text", 0.0), 0.0)
    return OPENMETRICS if open_ > text or (open_ and open_ == text) else TEXT


# -- reading

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(,|(?=\}))')
_ESCAPE = re.compile(r"\\(.)")
_MEANING = {"n": "\n", "\\": "\\", '"': '"'}


def parse(text: str) -> Iterator[Sample]:
    """The samples of a text in either format; comments, units and exemplars are passed over."""
    for position, one in enumerate(text.splitlines(), 1):
        stripped = one.strip()
        if stripped == "# EOF":
            return
        if stripped and not stripped.startswith("#"):
            yield parse_line(stripped, position)


def parse_line(text: str, position: int = 1) -> Sample:
    name, labels, at = _head(text, position)
    rest = text[at:].partition(" # ")[0].split()  # what follows is an exemplar
    if not 1 <= len(rest) <= 2:
        raise ExpositionError(position, f"a value was expected after {text[:at]!r}")
    try:
        when = None if len(rest) == 1 else _seconds(rest[1])
        return Sample(name, labels, float(rest[0]), when)
    except ValueError:
        raise ExpositionError(position, f"{' '.join(rest)!r} is no value") from None


def _head(text: str, position: int) -> tuple[str, dict[str, str], int]:
    """Name and labels, and where they end."""
    named = _NAME.match(text)
    if named is None:
        raise ExpositionError(position, f"a metric's name was expected: {text[:60]!r}")
    labels, at = _labels(text, named.end() + 1, position) if text[named.end() :][:1] == "{" else ({}, named.end())
    return named[0], labels, at


def _seconds(text: str) -> float:
    """Milliseconds in 0.0.4, a whole number of 13 digits; seconds in OpenMetrics, with or without a fraction."""
    value = float(text)
    return value / 1000 if "." not in text and "e" not in text and abs(value) > 1e11 else value


def _labels(text: str, at: int, position: int) -> tuple[dict[str, str], int]:
    found: dict[str, str] = {}
    while not text.startswith("}", at):
        one = _LABEL.match(text, at)
        if one is None:
            raise ExpositionError(position, f'a label like name="value" was expected: {text[at : at + 60]!r}')
        value = one[2]
        found[one[1]] = _ESCAPE.sub(_unescaped, value) if "\\" in value else value
        at = one.end()
    return found, at + 1


def _unescaped(escape: re.Match[str]) -> str:
    return _MEANING.get(escape[1], escape[0])


def matching(samples: Iterable[Sample], labels: Labels) -> list[Sample]:
    """Those with all of these labels; `""` is also a label that is not there (Prometheus)."""
    return [s for s in samples if all(s.labels.get(name, "") == value for name, value in labels.items())]


__all__: Sequence[str] = [
    "OPENMETRICS", "TEXT", "ExpositionError", "Sample", "label_text", "line", "matching", "number", "openmetrics",
    "parse", "parse_line", "wanted",
]  # fmt: skip
