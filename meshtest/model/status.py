"""What a controller would write into the status of an object: conditions with their reasons."""

from __future__ import annotations

from dataclasses import field

from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import NOWHERE, Source


@dataclass(frozen=True)
class Condition:
    """`Accepted=False (NotAllowedByListeners)`, as `kubectl get -o yaml` shows it."""

    type: str
    holds: bool
    reason: str
    message: str = ""

    def __str__(self) -> str:
        told = f"{self.type}={self.holds} ({self.reason})"
        return f"{told}: {self.message}" if self.message else told


@dataclass(frozen=True, kw_only=True)
class Status:
    """The conditions of one object, or of one part of it."""

    kind: str
    """`group/Kind`"""
    namespace: str
    name: str
    part: str = ""
    """`listener http`, "parent Gateway `ns/name`"; "" for the object itself."""
    conditions: tuple[Condition, ...] = ()
    attached: int | None = None
    """Routes attached to a listener, or listener sets to a Gateway."""
    source: Source = field(default=NOWHERE, compare=False)

    def condition(self, type: str) -> Condition | None:
        return next((c for c in self.conditions if c.type == type), None)

    def __str__(self) -> str:
        what = f"{self.kind.rpartition('/')[2]} {self.namespace}/{self.name}" + (f", {self.part}" if self.part else "")
        attached = "" if self.attached is None else f", {self.attached} attached"
        return f"{what}{attached}: {', '.join(map(str, self.conditions))}"
