"""Flagger canaries whose analysis cannot tell good from bad. Ours."""

from __future__ import annotations

import re
from collections.abc import Iterator

from meshtest.manifests.quantities import seconds
from meshtest.model.document import Document
from meshtest.preflight.dig import Object, at, labels, number, object_at, objects, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.rules import each

CANARY = "flagger.app/Canary"
RPS = "meshtest.dev/rps"
"""Annotation: the requests per second that the service gets."""
ENOUGH = 100.0
"""Requests in an interval below which a success rate of 99 % cannot be told from 100 %: one failure is more."""
_HEY = re.compile(r"\bhey\b.*")


@each(CANARY)
def samples(document: Document) -> Iterator[Hit]:
    """MT016, where the rate is known: from the annotation, or from a load-test webhook with `hey -q Q -c C`."""
    analysis = object_at(document.data, "spec", "analysis") or object_at(document.data, "spec", "canaryAnalysis")
    weight, interval = _first_step(analysis), seconds(text(analysis, "interval"))
    rps = _rps(document, analysis)
    if not (weight and interval and rps):
        return
    expected, needed = rps * interval * weight / 100, _needed(analysis)
    if expected < needed:
        message = (
            f"{weight:g} % of {rps:g} requests/s for {interval:g} s is {expected:g} requests; "
            f"the checks need about {needed:g}"
        )
        yield Hit("MT016", document, ("spec", "analysis"), message)


def _first_step(analysis: Object) -> float | None:
    steps = at(analysis, "stepWeights")
    first = steps[0] if isinstance(steps, list) and steps else at(analysis, "stepWeight")
    return float(first) if isinstance(first, int | float) and not isinstance(first, bool) else None


def _rps(document: Document, analysis: Object) -> float | None:
    declared = labels(document.metadata, "annotations").get(RPS, "")
    if re.fullmatch(r"\d+(\.\d+)?", declared):
        return float(declared)
    for _, hook in objects(analysis, "webhooks"):
        if found := _HEY.search(text(hook, "metadata", "cmd")):
            rate, workers = (re.search(rf"\s-{flag}\s*(\d+)", found[0]) for flag in "qc")
            if rate:
                return float(rate[1]) * (float(workers[1]) if workers else 50.0)  # hey's own default
    return None


def _needed(analysis: Object) -> float:
    """So many that one failure is within the threshold."""
    rates = [
        number(m, "thresholdRange", "min") for _, m in objects(analysis, "metrics") if "success" in text(m, "name")
    ]
    strict = max((rate for rate in rates if rate is not None and rate < 100), default=None)
    return ENOUGH if strict is None else round(100 / (100 - strict), 6)
