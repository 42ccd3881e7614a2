"""The static rules before an apply: what they find goes into the history, and may refuse it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from meshtest.errors import ManifestError
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.preflight import CODES, Finding, examine, loud

__all__ = ["examine", "note", "refuse"]


def note(findings: Sequence[Finding], record: Callable[..., None]) -> None:
    """One event a finding that nobody has silenced; notes stay out, they would bury the rest."""
    for finding in loud(findings):
        if finding.severity > Severity.INFO:
            record(
                "preflight.finding",
                finding.title,
                code=finding.code,
                severity=finding.severity.name.lower(),
                text=finding.message,
                where=str(finding.source),
            )


def refuse(findings: Sequence[Finding]) -> None:
    """Raise ManifestError with what loses requests for certain."""
    certain = [f for f in loud(findings) if CODES[f.code].certain]
    if certain:
        raise ManifestError(
            [Diagnostic(f.severity, f.code, f"{f.message}. {f.fix}", f.source) for f in certain],
        )
