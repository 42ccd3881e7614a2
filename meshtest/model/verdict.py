"""The judgement: three outcomes, and what each check found."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from meshtest.lib.dataclass import dataclass


class Outcome(enum.IntEnum):
    """PASS < UNKNOWN < FAIL: the worst finding decides. Nothing seen proves nothing, so it is UNKNOWN, never PASS."""

    PASS = 0
    UNKNOWN = 1
    FAIL = 2


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found: an outcome, one sentence for a person, figures for a machine."""

    check: str
    outcome: Outcome
    sentence: str
    figures: Mapping[str, Any] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """JSON-able, for verdict.json and the event `verdict`."""
        return {"check": self.check, "outcome": self.outcome.name, "sentence": self.sentence, "figures": self.figures}

    def __str__(self) -> str:
        return f"{self.outcome.name:<7} {self.check}: {self.sentence}"


@dataclass(frozen=True)
class Verdict:
    """The findings together. It has no truth value on purpose: compare `.outcome`."""

    findings: tuple[Finding, ...]

    @property
    def outcome(self) -> Outcome:
        return max((f.outcome for f in self.findings), default=Outcome.UNKNOWN)

    @property
    def sentence(self) -> str:
        """The decisive finding in words."""
        if not self.findings:
            return "UNKNOWN: nothing was checked"
        return f"{self.outcome.name}: {self.decisive.check}: {self.decisive.sentence}"

    @property
    def decisive(self) -> Finding:
        """The first of the worst findings; of all that pass, the first."""
        return next(f for f in self.findings if f.outcome is self.outcome)

    def as_data(self) -> dict[str, Any]:
        """JSON-able, for verdict.json and the event `verdict`."""
        findings = [f.as_data() for f in self.findings]
        return {"outcome": self.outcome.name, "sentence": self.sentence, "findings": findings}

    def __bool__(self) -> bool:
        raise TypeError("a verdict has three values; compare verdict.outcome")

    def __str__(self) -> str:
        return "\n".join((self.sentence, *(f"  {f}" for f in self.findings)))
