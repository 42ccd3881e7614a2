"""A run of a suite for one revision of one canary, and the states it goes through.

QUEUED ──► RUNNING ──► PASSED | FAILED | UNKNOWN        UNKNOWN: nothing was proven (law 3); it never passes a gate
   └──────────┴──────► CANCELLED | INTERRUPTED          the rollout is over | the endpoint died while it ran
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import field
from typing import NamedTuple

from meshtest.lib.dataclass import dataclass

AFTER = "after:"


class RunState(enum.StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"

    @property
    def is_over(self) -> bool:
        return self not in (RunState.QUEUED, RunState.RUNNING)


class RunKey(NamedTuple):
    """Calls with the same key join one run."""

    namespace: str
    canary: str
    revision: str
    """The checksum; of confirm-rollout `after:CHECKSUM`, as that is sent the checksum of the revision before; of suites
    that post-rollout names `ended:CHECKSUM`."""
    suite: str

    @property
    def checksum(self) -> str:
        return self.revision.rpartition(":")[2]  # a checksum has none


@dataclass(frozen=True, kw_only=True)
class StoredRun:
    """A run as the store has it. Times are seconds since the epoch, 0 where that has not come."""

    id: str
    key: RunKey
    parameters: Mapping[str, str] = field(default_factory=dict)
    phase: str = ""
    """As the payload that started it had it."""
    state: RunState = RunState.QUEUED
    reason: str = ""
    """One line: of what failed first, or why nothing is proven."""
    accepted: float = 0.0
    began: float = 0.0
    ended: float = 0.0
    folder: str = ""
    """Where its reports lie, for links; relative to the endpoint's state folder."""
    number: int = 0
    """Runs are numbered in the order of their acceptance, whatever the clock does."""
    attempt: int = 1
    """2 for the first that repeats another of its key, and so on."""
    cancelling: str = ""
    """Why it is to end; it may still run for its grace, but whatever it comes to, it will be CANCELLED."""
    current: bool = True
    """Calls with its key join it; no longer, once another attempt has taken its place or it is retired."""

    @property
    def seconds(self) -> float:
        """It took; 0 if the clock was set back meanwhile."""
        return max(0.0, self.ended - self.began)
