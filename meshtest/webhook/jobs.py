"""The queue: runs are accepted durably, begin in that order, and end with a verdict in the store.

        submit() ─► store: QUEUED ─► a worker ─► keeper (a process) ─► pytest | k6 | judge
                         ▲               │                │
     start(), recovery ──┘               └── verdict ◄────┘ runs/ID/{begun,exit}

What has happened to a run is told by its folder and not by the memory of an endpoint: recovery.py reads it after a
crash. Not here: what is started (work.py), what its end means (verdicts.py), what is kept for how long (retention.py).
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from meshtest.errors import MeshtestError, UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.webhook import trouble
from meshtest.webhook.keeping import Ended, Keeper, has_begun
from meshtest.webhook.recovery import CLOSING, recovered, said
from meshtest.webhook.retention import Retention
from meshtest.webhook.runs import RunKey, RunState, StoredRun
from meshtest.webhook.store import ParametersDiffer, QueueFull, Store, StoreError
from meshtest.webhook.suites import Suite
from meshtest.webhook.verdicts import Said, line
from meshtest.webhook.work import Work, work

__all__ = ["Draining", "Jobs", "Limits", "ParametersDiffer", "QueueFull", "StoreError"]

_T = TypeVar("_T")
LOG = logging.getLogger("meshtest.webhook")

RETRY = 1.0
"""Seconds until what the machine did not allow (a full disk, no more files or processes) is tried again: to begin a
run, to read its end, to write its verdict. Until then it is in the folder."""


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
    """Seconds from the signal to SIGKILL, where a run is cancelled or over its time."""
    output: int = 4 * 1024 * 1024
    """Bytes of a run's output that are kept: its beginning and its end."""
    keep: int = 1000
    """Runs that are kept, with their reports; never fewer than those that are not over."""
    days: float = 30.0
    """And for so long."""
    attempts: int = 3
    """Of a run that the endpoint's death has interrupted, where its suite says `interrupted: rerun`."""


class Jobs:
    """Thread-safe. For an event loop: submit, cancel, rerun in a thread, as they wait for the disk; get and find at
    once, as they do not."""

    def __init__(
        self,
        store: Store,
        suites: Mapping[str, Suite],
        folder: Path,
        limits: Limits | None = None,
        now: Callable[[], float] = time.time,
        *,
        work: Callable[[Suite, StoredRun, Path], Work] = work,
    ) -> None:
        """`folder` is the store's; each run gets one of its own in it."""
        self._store, self._suites, self._folder = store, suites, Path(folder).absolute()
        self._limits = limits or Limits()
        self._retention = Retention(store, self._folder, keep=self._limits.keep, days=self._limits.days, now=now)
        self._work = work
        self._changed = threading.Condition()
        self._waiting: deque[str] = deque()
        self._keepers: dict[str, Keeper] = {}
        self._busy = 0
        self._draining = self._closing = False
        self._workers: list[threading.Thread] = []
        self._callbacks: list[Callable[[StoredRun], None]] = []

    # ---- asked for by others

    def start(self) -> None:
        """Settle what a crash has left, then begin to run."""
        unsettled = [run.id for run in self._store.runs() if not run.state.is_over]
        self._waiting.extend(recovered(self._store, self._suites, self._folder, self._limits.attempts))
        for run in map(self._store.__getitem__, unsettled):
            self._tell(run)
        self._retention.tidy()
        for number in range(self._limits.workers):
            worker = threading.Thread(target=self._works, name=f"webhook run {number}", daemon=True)
            self._workers.append(worker)
            worker.start()

    def submit(self, suite: Suite, key: RunKey, parameters: Mapping[str, str], *, phase: str = "") -> StoredRun:
        """Join the run of that key, or accept one: durable when this returns. `parameters` are suite.resolved() ones.

        QueueFull, Draining, StoreError: nothing was accepted. ParametersDiffer.
        """
        self._refuse_unprintable(*key, phase, *parameters.values())
        if (known := self._store.find(key)) is None and self._draining:
            raise Draining("the endpoint is about to end and accepts no more runs; ask again in a moment")
        if known is None and suite.name not in self._suites:
            raise UsageError(f"no suite {suite.name!r}")
        run, new = self._store.accept(key, parameters, phase=phase, queue=self._limits.queue)
        if new:
            self._enqueue(run)
        return run

    @staticmethod
    def _refuse_unprintable(*words: str) -> None:
        """They become variables of a process, which bear no NUL."""
        if not all(map(str.isprintable, words)):
            raise UsageError("namespace, name, checksum, phase and parameters must be printable")

    def get(self, id: str) -> StoredRun | None:
        return self._store.get(id)

    def find(self, key: RunKey) -> StoredRun | None:
        return self._store.find(key)

    def wait(self, id: str, seconds: float) -> StoredRun:
        """Until it is over, or so long; as it is then."""
        if (run := self._store.get(id)) is None:
            raise UsageError(f"no run {id!r}")
        with self._changed:
            self._changed.wait_for(lambda: (self._store.get(id) or run).state.is_over, timeout=seconds)
            return self._store.get(id) or run

    def subscribe(self, callback: Callable[[StoredRun], None]) -> Callable[[], None]:
        """Called with each run whose state has changed, after that is durable, in the thread that changed it; it must
        be quick (`loop.call_soon_threadsafe`). What is returned ends it."""
        self._callbacks = [*self._callbacks, callback]

        def unsubscribe() -> None:
            self._callbacks = [one for one in self._callbacks if one is not callback]

        return unsubscribe

    def cancel(self, namespace: str, canary: str, revision: str | None, reason: str) -> list[StoredRun]:
        """End the runs of a canary that are not over, of one revision or of all; as they are then."""
        live = [run for run in self._of(namespace, canary) if not run.state.is_over]
        wanted = [run for run in live if revision in (None, run.key.revision)]
        return [self._cancelled(run, line(reason)) for run in wanted]

    def cancel_run(self, id: str, reason: str) -> StoredRun:
        """End one run, if it is not over; as it is then."""
        if (run := self._store.get(id)) is None:
            raise UsageError(f"no run {id!r}")
        return run if run.state.is_over else self._cancelled(run, line(reason))

    def _cancelled(self, run: StoredRun, reason: str) -> StoredRun:
        run = self._store.cancel(run.id, reason or "cancelled")
        self._stop_if_cancelled(run.id)
        self._tell(run)
        return run

    def retire(self, namespace: str, canary: str) -> list[StoredRun]:
        """The rollout is over: should the same revision come again, its suites run again."""
        return [self._store.retire(run.id) for run in self._of(namespace, canary) if run.current and run.state.is_over]

    def _of(self, namespace: str, canary: str) -> Iterable[StoredRun]:
        return [run for run in self._store.runs() if run.key[:2] == (namespace, canary)]

    def rerun(self, id: str) -> StoredRun:
        """A person wants a run that is over to be run again. UsageError if it cannot be."""
        if self._draining:
            raise Draining("the endpoint is about to end; ask the next one")
        if (known := self._store.get(id)) and known.key.suite not in self._suites:
            raise UsageError(f"there is no suite {known.key.suite!r} any more")
        run = self._store.again(id)
        self._enqueue(run)
        return run

    def drain(self, seconds: float) -> int:
        """Accept no more and begin none; wait so long for those that run. How many still do; the queued stay queued."""
        self._draining = True
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._busy, timeout=seconds)
            return self._busy

    def close(self) -> None:
        """End what runs (a signal, the grace, SIGKILL); it will be INTERRUPTED. The store stays open."""
        with self._changed:
            self._draining = self._closing = True
            self._changed.notify_all()
            keepers = list(self._keepers.values())
        for keeper in keepers:
            keeper.stop(CLOSING)
        for worker in self._workers:
            worker.join()

    # ---- the workers

    def _works(self) -> None:
        while (id := self._next()) is not None:
            try:
                self._run(id)
            except Exception as error:  # a mistake of ours must not cost a worker, nor leave a run without an end
                LOG.exception("run %s met a mistake of ours", id)
                self._insisted(
                    id, partial(self._store.settle, id, RunState.UNKNOWN, line(f"internal error: {error!r}"))
                )
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()

    def _next(self) -> str | None:
        with self._changed:
            self._changed.wait_for(lambda: self._draining or self._waiting)
            if self._draining:
                return None
            self._busy += 1
            return self._waiting.popleft()

    def _run(self, id: str) -> None:
        if not self._insisted(id, lambda: self._store.begin(id)):
            return
        run = self._store[id]
        self._tell(run)
        said = self._insisted(id, lambda: self._outcome(run, self._folder / run.folder))
        if said is None:
            return
        settled = self._insisted(id, lambda: self._store.settle(id, *said))
        if settled:
            self._tell(settled)
        with contextlib.suppress(StoreError, OSError):
            self._retention.tidy()

    def _outcome(self, run: StoredRun, folder: Path) -> Said:
        """OSError: the machine did not allow it, and it may be asked again. A run that has begun is not begun again."""
        if reason := self._store[run.id].cancelling:
            return Said(RunState.CANCELLED, reason)
        suite = self._suites.get(run.key.suite)
        if suite is None:
            return Said(RunState.UNKNOWN, f"there is no suite {run.key.suite!r} any more")
        try:
            keeper = self._kept(suite, run, folder)
        except (OSError, MeshtestError) as error:
            if isinstance(error, OSError) and trouble.passes(error):
                raise
            return Said(RunState.UNKNOWN, line(f"it could not be started: {error}"))
        ended, complaint = self._waited_for(keeper)
        if ended is None and not has_begun(folder):
            raise OSError(f"its keeper could not begin: {complaint}")
        if ended is None:
            return Said(RunState.UNKNOWN, line(f"its end is not known: {complaint}"))
        return said(suite, folder, ended)

    def _waited_for(self, keeper: Keeper) -> tuple[Ended | None, str]:
        try:
            return keeper.wait()
        finally:
            with self._changed:
                del self._keepers[keeper.id]

    def _kept(self, suite: Suite, run: StoredRun, folder: Path) -> Keeper:
        work, limits = self._work(suite, run, folder), self._limits
        keeper = Keeper(folder, work, id=run.id, timeout=suite.timeout, grace=limits.grace, output=limits.output)
        with self._changed:
            self._keepers[run.id] = keeper
            closing = self._closing
        if closing:  # close() may have missed it
            keeper.stop(CLOSING)
        self._stop_if_cancelled(run.id)
        return keeper

    def _stop_if_cancelled(self, id: str) -> None:
        """Asked on both sides, of the one that cancels and the one that starts, so that one of them sees the other."""
        with self._changed:
            keeper = self._keepers.get(id)
        if keeper and (reason := self._store[id].cancelling):
            keeper.stop(reason)

    def _enqueue(self, run: StoredRun) -> None:
        with self._changed:
            self._waiting.append(run.id)
            self._changed.notify_all()
        self._tell(run)

    def _insisted(self, id: str, step: Callable[[], _T]) -> _T | None:
        """Of a run; tried until the machine allows it; None if the endpoint ends before, then recovery does it."""
        told = False
        while True:
            try:
                return step()
            except StoreError:  # the store has told of it
                pass
            except OSError as error:
                if not told:
                    LOG.error("run %s waits: %s; this is tried again until it can be done", id, error)
                told = True
            with self._changed:
                if self._changed.wait_for(lambda: self._closing, timeout=RETRY):
                    return None

    def _tell(self, run: StoredRun) -> None:
        with self._changed:
            self._changed.notify_all()
        for callback in self._callbacks:
            try:
                callback(run)
            except Exception:  # whoever listens has no say in what becomes of a run
                LOG.exception("a listener failed at run %s, %s", run.id, run.state)
