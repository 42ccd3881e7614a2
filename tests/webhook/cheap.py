"""Runs that cost little: shell lines in place of pytest, whose every start takes most of a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from meshtest.webhook.jobs import Jobs, Limits
from meshtest.webhook.keeping import marked
from meshtest.webhook.runs import RunKey, StoredRun
from meshtest.webhook.store import Store
from meshtest.webhook.suites import Suite
from meshtest.webhook.work import Work, environment

PATIENCE = 60.0


def shell(line: str) -> Callable[[Suite, StoredRun, Path], Work]:
    """Work of every run."""
    return lambda suite, run, folder: Work(("/bin/sh", "-c", line), environment(run, folder))


def judged(name: str, **more: object) -> Suite:
    """A suite that is judged by its exit code and last line."""
    return Suite(name=name, path=Path("/nowhere"), kind="judge", file="x", **more)  # type: ignore[arg-type]


def key(suite: str = "smoke", revision: str = "abc", canary: str = "checkout") -> RunKey:
    return RunKey("shop", canary, revision, suite)


class Queue:
    """Jobs on a state folder, that are started, killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: list[tuple[Jobs, Store]] = []

    def __call__(
        self, line: str = "true", *suites: Suite, start: bool = True, limits: Limits | None = None, **options: object
    ) -> Jobs:
        known: Mapping[str, Suite] = {suite.name: suite for suite in suites or (judged("smoke"),)}
        store = Store(self.folder, **options)  # type: ignore[arg-type]
        jobs = Jobs(store, known, self.folder, limits or Limits(workers=2, grace=0.2), work=shell(line))
        self._open.append((jobs, store))
        if start:
            jobs.start()
        return jobs

    def store(self) -> Store:
        return self._open[-1][1]

    def run(self, jobs: Jobs, suite: str = "smoke", revision: str = "abc") -> StoredRun:
        """Accepted and over."""
        accepted = jobs.submit(judged(suite), key(suite, revision), {})
        return jobs.wait(accepted.id, PATIENCE)

    def close(self) -> None:
        while self._open:
            jobs, store = self._open.pop()
            jobs.close()
            store.close()
            assert not list(marked([run.id for run in store.runs()]))
