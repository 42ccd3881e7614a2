"""Who accepts a finding, and why: a comment on its line or above it, or an annotation of its object.

    # meshtest: ignore MT003 because the fault is injected on purpose
    annotations: {meshtest.dev/ignore: "MT003: the fault is injected on purpose"}
    annotations: {galley.istio.io/analyze-suppress: "IST0101"}

The last is istioctl's own and has no place for a reason. A silence of ours without one is a finding (MT901), and so is
one that silences nothing (MT902) or a code that does not exist (MT903).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import nearest
from meshtest.model.diagnostic import Source
from meshtest.model.document import Document
from meshtest.preflight.catalogue import CODES
from meshtest.preflight.dig import labels
from meshtest.preflight.finding import Finding, Key

OURS = "meshtest.dev/ignore"
ISTIOCTL = "galley.istio.io/analyze-suppress"
_CODE = r"[A-Z]{2,4}\d{3,4}"
_IGNORE = re.compile(rf"ignore\s+(?P<codes>{_CODE}(?:\s*,\s*{_CODE})*)\s*(?:because\b|[:\u2014-])?\s*(?P<reason>.*)")


@dataclass(frozen=True)
class Silence:
    """One code that is accepted: on one line, or for a whole object."""

    code: str
    reason: str
    source: Source
    object: Key
    line: int = 0
    """The line it is about; 0 is the whole object."""
    foreign: bool = False
    """It is istioctl's: no reason is asked for, and nobody minds when it is not needed."""

    def covers(self, finding: Finding) -> bool:
        if self.code not in ("*", finding.code):
            return False
        if self.line:
            return finding.source == Source(self.source.file, self.line)
        return finding.object == self.object


def silences(documents: Iterable[Document]) -> Sequence[Silence]:
    """All of the documents, each comment once though every document of its file carries it."""
    found: dict[tuple[Source, str], Silence] = {}
    for document in documents:
        for silence in (*_comments(document), *_annotations(document)):
            found.setdefault((silence.source, silence.code), silence)
    return list(found.values())


def _comments(document: Document) -> Iterator[Silence]:
    for remark in document.remarks:
        if found := _IGNORE.match(remark.text):
            for code in re.findall(_CODE, found["codes"]):
                source = Source(document.file, remark.line)
                yield Silence(code, found["reason"].strip(), source, document.key, remark.about)


def _annotations(document: Document) -> Iterator[Silence]:
    annotations = labels(document.metadata, "annotations")
    for part in re.split(r"[;\n]", annotations.get(OURS, "")):
        codes, _, reason = part.strip().partition(":")
        for code in re.findall(_CODE, codes):
            yield Silence(code, reason.strip(), document.where("metadata", "annotations", OURS), document.key)
    where = document.where("metadata", "annotations", ISTIOCTL)
    for code in annotations.get(ISTIOCTL, "").split(","):
        if code.strip():
            yield Silence(code.strip(), f"annotation {ISTIOCTL}", where, document.key, foreign=True)


def applied(findings: Sequence[Finding], documents: Iterable[Document]) -> Sequence[Finding]:
    """The findings with the silenced ones marked, and what there is to say about the silences themselves."""
    rules = silences(documents)
    if not rules:
        return findings
    used: set[int] = set()
    told = []
    for finding in findings:
        covering = [rule for rule in rules if rule.covers(finding)]
        used.update(map(id, covering))
        told.append(finding.accepted(covering[0].reason) if covering else finding)
    own = (rule for rule in rules if not rule.foreign)
    return [*told, *(said for rule in own for said in _about(rule, used=id(rule) in used))]


def _about(rule: Silence, *, used: bool) -> Iterator[Finding]:
    if rule.code not in CODES:
        hint = f"; did you mean {close}?" if (close := nearest(rule.code, CODES)) else ""
        yield _finding("MT903", f"there is no code {rule.code}{hint}", rule)
        return
    if not rule.reason:
        yield _finding("MT901", f"{rule.code} is silenced without a reason", rule)
    if not used:
        yield _finding("MT902", f"{rule.code} does not occur here, so there is nothing to silence", rule)


def _finding(code: str, message: str, rule: Silence) -> Finding:
    known = CODES[code]
    return Finding(
        code=code,
        name=known.name,
        severity=known.severity,
        message=message,
        source=rule.source,
        fix=known.fix,
        object=rule.object,
        analyzer="meshtest",
    )
