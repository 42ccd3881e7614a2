"""The first thing a person reads: what failed, how many, whom, when, what happened just before, and probably why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import inf

from meshtest.lib.figures import percent, seconds
from meshtest.lib.words import listed, plural
from meshtest.model.history import Event
from meshtest.model.verdict import Finding, Outcome
from meshtest.reporters.html.causes import described, just_before, likely
from meshtest.reporters.html.markup import NOTHING, Markup, join, tag
from meshtest.reporters.html.material import UNKNOWN, Material

WORDS = {Outcome.PASS: "Passed", Outcome.UNKNOWN: "Unknown", Outcome.FAIL: "Failed", None: "Running"}
SIGNS = {Outcome.PASS: "✓", Outcome.UNKNOWN: "?", Outcome.FAIL: "✗", None: "…"}
CLASSES = {Outcome.PASS: "pass", Outcome.UNKNOWN: "unknown", Outcome.FAIL: "fail", None: "running"}
LONGEST = 2000
"""Characters of a sentence that are shown."""


def badge(outcome: Outcome | None) -> Markup:
    """A sign, a word and a colour: any of them is enough."""
    sign = tag("span", SIGNS[outcome], aria_hidden="true")
    return tag("span", sign, " ", WORDS[outcome], class_=f"badge {CLASSES[outcome]}")


def section(material: Material) -> Markup:
    lead, rest = sentence(material)
    lines = [tag("p", tag("strong", ended), class_="lead") for ended in _rehearsed(material)]
    lines.append(tag("p", tag("strong", lead), " ", rest, class_="lead"))
    lines += _reasons(material)
    lines += [tag("p", text, class_="warn") for text in warnings(material)]
    return tag(
        "section", tag("h2", "Verdict", id="verdict", class_="quiet"), *lines, _findings(material),
        class_=f"verdict {CLASSES[material.outcome]}", aria_labelledby="verdict",
    )  # fmt: skip


def _rehearsed(material: Material) -> Iterator[str]:
    """A verdict is about users; that a Canary was rolled back without losing one is no less what was asked."""
    for one in material.report.rehearsals:
        verb = "is" if one.ending == "not finished" else "was"
        yield f"{one.canary}: {one.revision} {verb} {one.ending}."


def sentence(material: Material) -> tuple[str, str]:
    """What matters most, and the rest of it."""
    decisive = material.decisive
    if material.failures and (decisive is None or _lost(decisive)):
        lead, rest = _failed(material)
        return lead, rest if decisive else f"{rest} No check was asked."
    if decisive is not None and decisive.outcome is not Outcome.PASS:
        return _sentence(decisive), f"{_failed(material)[0][:-1]}." if material.failures else _answered(material)
    error = material.report.about.get("error")
    if error:
        return "The run ended with an error:", str(error)[:LONGEST]
    if decisive is None:
        lead = "Nothing has been judged yet." if material.outcome is None else "Nothing was checked."
        return lead, _answered(material)
    budget = f"{plural(len(material.lost), 'request')} failed, within what is allowed." if material.lost else ""
    return (budget or _answered(material) or _sentence(decisive)), ""


def _lost(finding: Finding) -> bool:
    """It is about requests that failed."""
    return finding.outcome is Outcome.FAIL and bool(finding.figures.get("failed"))


def _sentence(finding: Finding) -> str:
    end = "" if finding.sentence.endswith((".", "!", "?")) else "."
    return f"{finding.check}: {finding.sentence[:LONGEST]}{end}"


def _answered(material: Material) -> str:
    if not material.sent:
        return ""
    answered = material.sent - len(material.lost)
    if answered == material.sent:
        return f"All {plural(answered, 'request')} were answered." if answered > 1 else "The request was answered."
    return f"{answered} of {plural(material.sent, 'request')} were answered."


def _failed(material: Material) -> tuple[str, str]:
    lost, failures = len(material.lost), material.failures
    lead = f"{lost} of {plural(material.sent, 'request')} failed ({percent(lost / max(material.sent, 1))}):"
    first, last = failures[0].request.at, material.requests[material.lost[-1]].at
    when = f"sent at {first:.3f} s" if lost == 1 else f"sent between {first:.3f} s and {last:.3f} s"
    kinds = _shared(Counter(f.kind for f in failures))
    whom = _shared(Counter(f.who or UNKNOWN for f in failures), "from ")
    return lead, f"{kinds}; {whom}; {when}.{_longest(material)}"


def _shared(counts: Counter[str], verb: str = "") -> str:
    """`all 503 UC`, `all from web/v1`, `503 UC (61), reset (26)`."""
    if len(counts) == 1:
        return f"{'all ' if counts.total() > 1 else ''}{verb}{next(iter(counts))}"
    common = [f"{name} ({count})" for name, count in counts.most_common(3)]
    more = len(counts) - len(common)
    return verb + listed(common) + (f" and {plural(more, 'other kind')}" if more else "")


def _longest(material: Material) -> str:
    if not material.outages:
        return ""
    longest = max(material.outages, key=lambda outage: float(outage["seconds"]))
    which = "longest outage told here" if material.more_outages else "longest outage"
    name = f" The {which if len(material.outages) > 1 else 'outage'}"
    if longest["seconds"] == inf:
        return f"{name} did not end (at least {seconds(longest['at_least'])})."
    return (
        f"{name} was {seconds(longest['seconds'])} ({seconds(longest['at_least'])} to {seconds(longest['at_most'])})."
    )


def _reasons(material: Material) -> Iterator[Markup]:
    before = just_before(material)
    pairs: list[Markup] = []
    if before:
        items = [tag("li", tag("span", ago(gap), class_="ago"), " ", told(material, event)) for gap, event in before]
        pairs.append(tag("div", tag("dt", "Just before"), tag("dd", tag("ul", *items))))
    if cause := likely(material):
        name = "/" in cause.split(" ", 1)[0]
        pairs.append(
            tag("div", tag("dt", "Likely cause"), tag("dd", cause if name else cause[0].upper() + cause[1:], "."))
        )
    if pairs:
        yield tag("dl", *pairs, class_="reasons")


def ago(gap: float) -> str:
    return f"−{seconds(gap)}" if gap >= 0.00005 else "0 ms"


def told(material: Material, event: Event) -> str:
    """An event for people: `change 3 in force: shift web v2=100`."""
    data, number = event.data, int(event.data.get("number") or 0)
    reason = material.reasons.get(number, "")
    words = {
        "config.apply": f"change {number} asked for: {reason}",
        "config.ack": f"change {number} in force: {reason}",
        "config.rejected": f"change {number} rejected: {data.get('text', '')}",
        "pod.start": f"{event.subject} started",
        "pod.ready": f"{event.subject} became ready",
        "pod.unready": f"{event.subject} became unready",
        "pod.terminate": f"{event.subject} got SIGTERM (grace {data.get('grace')} s)",
        "pod.exit": f"{event.subject} ended ({_exit(event)})",
        "fault.start": f"fault in {event.subject} began: {described(event)}",
        "fault.end": f"fault in {event.subject} ended",
        "step.start": f"step “{event.subject}” began",
        "step.end": f"step “{event.subject}” ended",
    }.get(event.kind)
    return (words or f"{event.kind} {event.subject} {data.get('text', '')}").strip().rstrip(":")[:300]


def _exit(event: Event) -> str:
    if event.data.get("signal"):
        return f"signal {event.data['signal']}"
    return f"exit code {event.data.get('code')}"


def warnings(material: Material) -> Iterator[str]:
    """What limits all that is said here."""
    if material.history.truncated:
        yield "The record was cut short (crash or full disk): what is shown ends with its last whole entry."
    error = material.report.about.get("error")
    if error and material.decisive is not None:
        yield f"The run itself ended with an error: {error}"[:LONGEST]
    starved = material.history.of("proxy.starved")
    if starved:
        longest = max(float(event.data.get("seconds") or 0.0) for event in starved)
        yield f"The proxies were short of CPU, for {seconds(longest)} at worst: latencies tell less."
    dropped = sum(int(event.data.get("count") or 0) for event in material.history.of("spans.dropped"))
    if dropped:
        yield f"{plural(dropped, 'span')} were dropped: traces are incomplete."
    for event in material.history.of("undo.failed"):
        yield f"Not put back: {event.data.get('text', '')}"[:300]


def _findings(material: Material) -> Markup:
    findings = sorted(material.report.verdict.findings, key=lambda finding: -finding.outcome)
    if not findings:
        return NOTHING
    rows = [
        tag("li", badge(f.outcome), tag("span", tag("b", f.check), " ", f.sentence[:LONGEST], class_="said"))
        for f in findings
    ]
    return join((tag("h3", "Findings"), tag("ul", *rows, class_="findings")))
