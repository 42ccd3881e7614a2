"""One scenario's life: it starts a clock and a folder, records, is judged, and undoes what it did.

Not here: meshes and loads (they record into a run), reading a run back (stored.py).
"""

from __future__ import annotations

import errno
import os
import platform
import random
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Self

from meshtest.checks import judge
from meshtest.errors import HistoryError
from meshtest.lib.journal import Journal, write_atomically
from meshtest.model.history import History
from meshtest.model.verdict import Finding, Outcome, Verdict
from meshtest.run import folder
from meshtest.run.stored import StoredRun
from meshtest.run.undo import Undo, UndoFailed
from meshtest.settings import Settings
from meshtest.spi.check import Check


class Run:
    """A run that is under way. Use as a context manager, or call close()."""

    def __init__(self, name: str, settings: Settings, *, command: str = "", seed: int | None = None) -> None:
        """`command` is what a person types to repeat it; `seed` the source of every random choice, drawn if None."""
        self.name = name
        self.settings = settings
        self.command = command
        self.seed = random.SystemRandom().getrandbits(32) if seed is None else seed
        self.start_ns, self.wall_start = _clocks()
        self.undo = Undo()
        self._asked: list[dict[str, Any]] = []
        self._findings: list[Finding] = []
        self._lock = threading.Lock()
        self._cut_short = False
        self._of_test: dict[str, str] = {}
        self._about = self._introduction(command)
        folder.clear(settings.reports, settings.keep)
        self.directory = folder.create(settings.reports, name, self._about, now=self.wall_start)
        self._journal = Journal(self.directory / folder.EVENTS)
        self.record("run.start", name, version=_version(), command=command, seed=self.seed, provider=settings.provider)

    def _introduction(self, command: str) -> dict[str, Any]:
        pid = os.getpid()
        return {
            "schema_version": folder.SCHEMA_VERSION,
            "name": self.name,
            "meshtest": _version(),
            "python": platform.python_version(),
            "platform": sys.platform,
            "provider": self.settings.provider,
            "seed": self.seed,
            "command": command,
            "started": self.wall_start,
            "ended": None,
            "outcome": None,
            "start_ns": self.start_ns,
            "wall_start": self.wall_start,
            "pid": pid,
            "pid_started": folder.started(pid),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(error=None if error is None else f"{type(error).__name__}: {error}")

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return (time.monotonic_ns() - self.start_ns) / 1e9

    @property
    def closed(self) -> bool:
        return self._about["ended"] is not None

    def record(self, kind: str, subject: str = "", /, **data: Any) -> None:
        """Append an event now. Safe from any thread; HistoryError when it cannot be written."""
        with self._lock:  # the order of lines is the order of times
            entry = {"at": round(self.now, 7), "kind": kind, "subject": subject, "data": data}
            try:
                self._journal.append(entry)
            except OSError as error:
                raise self._unwritten(error) from None

    def _unwritten(self, error: OSError) -> HistoryError:
        self._cut_short = True
        what = "disk full" if error.errno == errno.ENOSPC else f"cannot write ({error.strerror})"
        return HistoryError(f"{what} in {self.directory}; recorded up to second {self.now:.3f}")

    def history(self) -> History:
        """All that has happened so far."""
        history = StoredRun(self.directory, self._about).history()
        return replace(history, truncated=history.truncated or self._cut_short)

    def judge(self, checks: Sequence[Check], *, start: float = 0.0, end: float | None = None) -> Verdict:
        """Judge what was recorded so far, in the window [start, end), and keep question and answer in the folder."""
        history = self.history()
        window = history.between(start, float("inf") if end is None else end)
        verdict = judge(window, checks)
        window_data = {"start": start, "end": end, "truncated": history.truncated, "cut": dict(history.cut)}
        self._asked += [{"name": c.name, "parameters": dict(c.parameters()), **window_data} for c in checks]
        self._findings += verdict.findings
        self._keep(verdict)
        return verdict

    def _keep(self, verdict: Verdict) -> None:
        try:
            write_atomically(self.directory / folder.CHECKS, {"checks": self._asked})
            write_atomically(self.directory / folder.VERDICT, self.verdict.as_data())
        except OSError as error:
            raise self._unwritten(error) from None
        data = verdict.as_data()
        self.record("verdict", data["outcome"], **data)

    @property
    def verdict(self) -> Verdict:
        """All findings so far together."""
        return Verdict(tuple(self._findings))

    def test_ended(self, outcome: str, error: str = "") -> None:
        """What pytest says of the test that made the run: `passed`, `failed`, `skipped`. `error` is what it found wrong
        beyond the checks: a plain assert that failed. The first that failed counts."""
        if self._of_test.get("outcome") != "failed":
            self._of_test = {"outcome": outcome, "error": error}

    def close(self, *, error: str | None = None) -> list[UndoFailed]:
        """Undo, last thing first; write how it ended. Safe to call twice. Returns what could not be undone."""
        if self.closed:
            return []
        failed = self.undo.unwind()
        error = error or self._of_test.get("error") or None
        try:
            for failure in failed:
                self.record("undo.failed", failure.name, text=str(failure))
            self.record("run.end", self.name, error=error)
            self._end(error)
        finally:
            self._journal.close()
        return failed

    def _end(self, error: str | None) -> None:
        of_test = bool(self._of_test.get("error"))
        outcome = Outcome.FAIL if error and (of_test or not self._findings) else self.verdict.outcome
        self._about |= {"ended": time.time(), "outcome": outcome.name, "error": error}
        if self._of_test:
            self._about["test"] = self._of_test["outcome"]
        try:
            write_atomically(self.directory / folder.RUN, self._about)
        except OSError as trouble:
            raise self._unwritten(trouble) from None


def _clocks() -> tuple[int, float]:
    """The same instant on both clocks: of a few readings the one with the least time between them."""
    readings = []
    for _ in range(5):
        before, wall, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        readings.append((after - before, (before + after) // 2, wall / 1e9))
    _, monotonic, wall_start = min(readings)
    return monotonic, wall_start


def _version() -> str:
    try:
        return version("meshtest")
    except PackageNotFoundError:
        return "unknown"
