"""Where something stands in the user's YAML, and what there is to say about it."""

from __future__ import annotations

import enum

from meshtest.lib.dataclass import dataclass


@dataclass(frozen=True)
class Source:
    """A place in a file; prints as `file:line` (1-based), which editors and CI logs link."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


NOWHERE = Source("<generated>", 0)
"""The place of objects that no file holds: those an edit of ours has added."""


class Severity(enum.IntEnum):
    """How much a diagnostic matters: an ERROR stops `apply`, a WARNING is shown, an INFO is listed on request."""

    INFO = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True)
class Diagnostic:
    """One sentence about one place. `code` is stable: `unknown-field`, `not-supported`, `unknown-host`."""

    severity: Severity
    code: str
    message: str
    source: Source = NOWHERE

    def __str__(self) -> str:
        return f"{self.source}: {self.severity.name.lower()}: {self.message} [{self.code}]"
