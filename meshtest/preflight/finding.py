"""What an examination finds: one sentence about one place, under a stable code, with the way out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import Severity, Source
from meshtest.model.document import Document, Path

Key = tuple[str, str, str]


@dataclass(frozen=True)
class Hit:
    """A rule has bitten. `message` is the whole sentence; the code's own fix applies unless `fix` says better."""

    code: str
    document: Document
    path: Path
    message: str
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One place where a code applies."""

    code: str
    name: str
    severity: Severity
    message: str
    source: Source
    fix: str
    object: Key
    """Kind with group, namespace, name of the object it is about."""
    analyzer: str = ""
    """The analyzer of istioctl that says the same; "meshtest" for rules of our own."""
    silenced: str | None = None
    """The reason why somebody accepts it; None while nobody does."""

    def __str__(self) -> str:
        return f"{self.source}: {self.severity.name.lower()}: {self.message} [{self.code}]"

    @property
    def title(self) -> str:
        """`VirtualService default/reviews`"""
        kind, namespace, name = self.object
        return f"{kind.partition('/')[2]} {namespace}/{name}"

    @cached_property
    def order(self) -> tuple[Any, ...]:
        return (self.source.file, self.source.line, -self.severity, self.code, self.message)

    def accepted(self, reason: str) -> Finding:
        return replace(self, silenced=reason)


def loud(findings: Iterable[Finding]) -> Sequence[Finding]:
    """Those that nobody has silenced."""
    return [finding for finding in findings if finding.silenced is None]


def at_least(findings: Iterable[Finding], severity: Severity) -> Sequence[Finding]:
    """The loud ones that matter at least as much."""
    return [finding for finding in loud(findings) if finding.severity >= severity]
