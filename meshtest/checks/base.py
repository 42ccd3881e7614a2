"""What all checks share: their parameters, and how a finding is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

from meshtest.lib.dataclass import dataclass
from meshtest.model.verdict import Finding, Outcome


@dataclass(frozen=True, kw_only=True)
class BaseCheck:
    """A check's fields are its parameters; JSON gives lists back where tuples went in."""

    name: ClassVar[str]

    def parameters(self) -> Mapping[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def finding(self, outcome: Outcome, sentence: str, **figures: Any) -> Finding:
        return Finding(check=self.name, outcome=outcome, sentence=sentence, figures=figures)
