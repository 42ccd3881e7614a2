"""The examination: every check over the documents, then the silences. Pure; reads no file, asks no cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from meshtest.manifests.memo import per_object
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.document import Document, Documents
from meshtest.preflight import checks, silence
from meshtest.preflight.catalogue import CODES
from meshtest.preflight.finding import Finding, Hit
from meshtest.preflight.rules import CHECKS, ONE_CHECKS, OneCheck
from meshtest.preflight.scene import Scene

__all__ = ["checks", "examine", "from_diagnostics", "hits"]

Told = tuple[str, Hit]
"""The analyzer, and what it says."""


def examine(
    documents: Documents, before: Documents | None = None, diagnostics: Iterable[Diagnostic] = ()
) -> Sequence[Finding]:
    """All findings in order of file and line, the silenced ones marked.

    `before` is what is applied already; `diagnostics` is what the translation had to say, where it was done.
    """
    findings = list(_once(_finding(analyzer, hit) for analyzer, hit in hits(documents, before)))
    known = {(finding.code, finding.source) for finding in findings}
    translated = from_diagnostics((*diagnostics, *checks.canaries.complaints(documents)), documents)
    findings += [finding for finding in translated if (finding.code, finding.source) not in known]
    told = silence.applied(findings, documents)
    return sorted(told, key=lambda finding: finding.order)


SYSTEM = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage"})
"""Namespaces of the cluster itself, which istioctl leaves alone (istio pkg/config/analysis/analyzers/util)."""


def hits(documents: Documents, before: Documents | None = None) -> Iterator[Told]:
    """What each check says, as often as it says it."""
    return (told for told in _all(documents, before) if told[1].document.namespace not in SYSTEM)


def _all(documents: Documents, before: Documents | None) -> Iterator[Told]:
    scene = Scene(documents, before)
    for document in documents:
        yield from _alone(document)
    kinds = scene.by_kind.keys()
    for check in CHECKS:
        if check.kinds & kinds:
            yield from ((check.analyzer, hit) for hit in check.run(scene))


_BY_KIND: dict[str, list[OneCheck]] = defaultdict(list)
for _check in ONE_CHECKS:
    for _kind in _check.kinds:
        _BY_KIND[_kind].append(_check)


@per_object
def _alone(document: Document) -> tuple[Told, ...]:
    """Remembered with the document: of many, an edit changes one."""
    return tuple((check.analyzer, hit) for check in _BY_KIND.get(document.kind, ()) for hit in check.run(document))


def _finding(analyzer: str, hit: Hit) -> Finding:
    code = CODES[hit.code]
    return Finding(
        code=hit.code,
        name=code.name,
        severity=code.severity,
        message=hit.message,
        source=hit.document.where(*hit.path),
        fix=hit.fix or code.fix,
        object=hit.document.key,
        analyzer=analyzer,
    )


def _once(findings: Iterable[Finding]) -> Sequence[Finding]:
    """What several analyzers say of one place under one code is told once, in the words of the first."""
    first: dict[tuple[object, ...], Finding] = {}
    for finding in findings:
        kept = first.setdefault((finding.code, finding.object, finding.source), finding)
        if kept.analyzer == finding.analyzer:
            first.setdefault((finding.code, finding.object, finding.source, finding.message), finding)
    return list({id(finding): finding for finding in first.values()}.values())


KNOWN_ELSEWHERE = frozenset({"unknown-host", "unknown-subset", "unknown-port", "unknown-gateway", "duplicate-host"})
"""What the checks here say too, under Istio's codes."""


def from_diagnostics(diagnostics: Iterable[Diagnostic], documents: Documents) -> Iterator[Finding]:
    """What the translation found wrong with fields, as findings: errors as IST0106, unknown fields as IST0133."""
    for diagnostic in diagnostics:
        error = diagnostic.severity is Severity.ERROR
        if diagnostic.code in KNOWN_ELSEWHERE or not (error or diagnostic.code == "unknown-field"):
            continue
        code = CODES["IST0106" if error else "IST0133"]
        yield Finding(
            code=code.code,
            name=code.name,
            severity=code.severity,
            message=diagnostic.message,
            source=diagnostic.source,
            fix=code.fix,
            object=_object(diagnostic, documents),
            analyzer="meshtest",
        )


def _object(diagnostic: Diagnostic, documents: Documents) -> tuple[str, str, str]:
    """The object that a line belongs to: the last one of the file that begins at or before it."""
    source = diagnostic.source
    starts = [(d.where().line, d.key) for d in documents if d.file == source.file and d.where().line <= source.line]
    return max(starts)[1] if starts else ("", "", "")
