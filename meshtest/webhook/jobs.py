"""The queue: runs are accepted durably, begin in that order, and end with a verdict in the store.

        submit() ─► store: QUEUED ─► a worker ─► keeper (a process) ─► pytest | k6 | judge
                         ▲               │                │
     start(), recovery ──┘               └── verdict ◄────┘ runs/ID/{begun,exit}

What has happened to a run is told by its folder and not by the memory of an endpoint: recovery.py reads it after a
crash. Not here: what is started (work.py), what its end means (verdicts.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from meshtest.errors import MeshtestError
from meshtest.lib.dataclass import dataclass
from meshtest.webhook.runs import RunKey, StoredRun
from meshtest.webhook.store import ParametersDiffer, QueueFull, Store, StoreError
from meshtest.webhook.suites import Suite

__all__ = ["Draining", "Jobs", "Limits", "ParametersDiffer", "QueueFull", "StoreError"]


class Draining(MeshtestError):
    """The endpoint is about to end: it accepts no more runs. Another, or the next one, will."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """So that nobody's Canary can take the machine."""

    workers: int = 4
    """Runs at the same time."""
    queue: int = 100
    """Runs that wait; another is refused with QueueFull."""
    grace: float = 10.0
    """Seconds from SIGTERM to SIGKILL, where a run is cancelled or over its time."""
    output: int = 4 * 1024 * 1024
    """Bytes of a run's output that are kept: its beginning and its end."""
    keep: int = 1000
    """Runs that are kept, with their reports; never one that is not over."""
    days: float = 30.0
    """And for so long."""
    attempts: int = 3
    """Of a run that the endpoint's death has interrupted, where its suite says `interrupted: rerun`."""


class Jobs:
    """Thread-safe. Of an event loop: submit, cancel, rerun in a thread (they wait for the disk); get and find at once."""

    def __init__(
        self,
        store: Store,
        suites: Mapping[str, Suite],
        folder: Path,
        limits: Limits,
        now: Callable[[], float] = time.time,
    ) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Settle what a crash has left, then begin to run."""
        raise NotImplementedError

    def submit(self, suite: Suite, key: RunKey, parameters: Mapping[str, str], *, phase: str = "") -> StoredRun:
        """Join the run of that key, or accept one: durable when this returns. `parameters` are suite.resolved() ones.

        QueueFull, Draining, StoreError: nothing was accepted. ParametersDiffer.
        """
        raise NotImplementedError

    def get(self, id: str) -> StoredRun | None:
        raise NotImplementedError

    def find(self, key: RunKey) -> StoredRun | None:
        raise NotImplementedError

    def wait(self, id: str, seconds: float) -> StoredRun:
        """Until it is over, or so long; as it is then."""
        raise NotImplementedError

    def subscribe(self, callback: Callable[[StoredRun], None]) -> Callable[[], None]:
        """Called with each run whose state has changed, after that is durable, in the thread that changed it; it must
        be quick (`loop.call_soon_threadsafe`). What is returned ends it."""
        raise NotImplementedError

    def cancel(self, namespace: str, canary: str, revision: str | None, reason: str) -> list[StoredRun]:
        """End the runs of a canary that are not over, of one revision or of all; as they are then."""
        raise NotImplementedError

    def retire(self, namespace: str, canary: str) -> list[StoredRun]:
        """The rollout is over: should the same revision come again, its suites run again."""
        raise NotImplementedError

    def rerun(self, id: str) -> StoredRun:
        """A person wants a run that is over to be run again. UsageError if it cannot be."""
        raise NotImplementedError

    def drain(self, seconds: float) -> int:
        """Accept no more and begin none; wait so long for those that run. How many still do; queued ones stay queued."""
        raise NotImplementedError

    def close(self) -> None:
        """End what runs (SIGTERM, grace, SIGKILL); they will be INTERRUPTED. The store stays open."""
        raise NotImplementedError
