"""Flagger canaries that do not do what they seem to: surprises, webhooks that take too long, too small samples.

Not here: their metrics (canary_metrics.py), what they refer to (canary_links.py), fields that cannot be read
(`complaints`, which examine.py turns into findings).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from meshtest.lib.figures import chance, percent
from meshtest.manifests.quantities import seconds
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.document import Document
from meshtest.preflight.dig import Object, at, number, object_at, objects, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.rules import each

CANARY = "flagger.app/Canary"
ENOUGH = 100.0
"""Requests in an interval below which a success rate of 99 % cannot be told from 100 %: one failure is more."""


def complaints(documents: Iterable[Document]) -> Iterator[Diagnostic]:
    """What the reading of Canaries has to say about their fields."""
    canaries = [document for document in documents if document.kind == CANARY]
    if canaries:
        from meshtest.rollouts.canary.reading import parse

        for document in canaries:
            yield from parse(document).notes


@each(CANARY)
def surprises(document: Document) -> Iterator[Hit]:
    """FL01 to FL59: those that are the text's, not a run's."""
    from meshtest.rollouts.canary.bites import bites

    for bite in bites(document):
        yield Hit(bite.surprise.code, document, bite.path, bite.surprise.says)


@each(CANARY)
def promotion_gates(document: Document) -> Iterator[Hit]:
    """FL04: what the status says while one waits."""
    from meshtest.rollouts.canary.surprises import SURPRISES

    for index, hook in objects(document.data, "spec", "analysis", "webhooks"):
        if text(hook, "type") == "confirm-promotion":
            yield Hit("FL04", document, ("spec", "analysis", "webhooks", index, "type"), SURPRISES["FL04"].says)


@each(CANARY)
def course(document: Document) -> Iterator[Hit]:
    """FL06, MT026: how long it takes, calculated by the state machine."""
    from meshtest.rollouts.canary.plan import plan

    if not _readable(document):
        return
    told = plan(document)
    if told.bad and told.bad.ending == "rolled back" and (exposure := told.bad.exposure).intervals:
        message = (
            f"a version that fails its checks is rolled back after {told.bad.intervals} intervals; users meet it for "
            f"{exposure.intervals} of them, {exposure.seconds:g} s: the last failed check is acted upon one later"
        )
        yield Hit("FL06", document, ("spec", "analysis", "threshold"), message)
    tick, longest = told.slowest
    if told.blocks:
        message = f"the webhooks of tick {tick} may take {longest:g} s, longer than the interval of {told.interval:g} s"
        yield Hit("MT026", document, ("spec", "analysis", "webhooks"), message)


def _readable(document: Document) -> bool:
    from meshtest.rollouts.canary.reading import parse

    return all(note.severity < Severity.ERROR for note in parse(document).notes)


@each(CANARY)
def samples(document: Document) -> Iterator[Hit]:
    """MT016, where the rate is known: from the annotation, or from a load-test webhook with `hey -q Q -c C`."""
    message = _first_sample(document) or _chances(document)
    if message:
        yield Hit("MT016", document, ("spec", "analysis"), message)


def _first_sample(document: Document) -> str:
    """At the first step, where all begins."""
    from meshtest.rollouts.canary.traffic import declared

    analysis = object_at(document.data, "spec", "analysis") or object_at(document.data, "spec", "canaryAnalysis")
    weight, interval, traffic = _first_step(analysis), seconds(text(analysis, "interval")), declared(document)
    if not (weight and interval and traffic and traffic.rps):
        return ""
    expected, needed = (traffic.rps * weight / 100 + traffic.direct) * interval, _needed(analysis)
    if expected >= needed:
        return ""
    return (
        f"{weight:g} % of {traffic.rps:g} requests/s for {interval:g} s is {expected:g} requests; "
        f"the checks need about {needed:g}"
    )


def _first_step(analysis: Object) -> float | None:
    steps = at(analysis, "stepWeights")
    first = steps[0] if isinstance(steps, list) and steps else at(analysis, "stepWeight")
    return float(first) if isinstance(first, int | float) and not isinstance(first, bool) else None


def _needed(analysis: Object) -> float:
    """So many that one failure is within the threshold."""
    rates = [
        number(m, "thresholdRange", "min") for _, m in objects(analysis, "metrics") if "success" in text(m, "name")
    ]
    strict = max((rate for rate in rates if rate is not None and rate < 100), default=None)
    return ENOUGH if strict is None else round(100 / (100 - strict), 6)


def _chances(document: Document) -> str:
    """Over the whole course: a version three times as bad as tolerated gets through, or one a tenth as bad does not."""
    from meshtest.rollouts.canary.power import power
    from meshtest.rollouts.canary.reading import parse
    from meshtest.rollouts.canary.traffic import declared

    traffic = declared(document)
    found = power(parse(document).value, traffic) if traffic and _readable(document) else None
    if found is None or found.enough:
        return ""
    bad, good = found.of(found.bad), found.of(found.good)
    does = "fails" if found.kind == "errors" else "is too slow in"
    return (
        f"a version that {does} {percent(found.bad.rate(found.kind))} of its requests is promoted with a chance of "
        f"{chance(bad.promoted, bad.runs)}, one with {percent(found.good.rate(found.kind))} is rolled back with "
        f"{chance(good.rolled_back, good.runs)} "
        f"({percent(found.false_promotion)} and {percent(found.false_rollback)} would do)"
    )
