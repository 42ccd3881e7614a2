"""What an endpoint finds that died, or was killed, with runs under way.

    in the store        in the run's folder     then
    QUEUED, RUNNING     no `begun`              it has never begun: it runs
                        `exit`                  it ended: its verdict
                        `begun`, no `exit`      INTERRUPTED; run again if its suite says so, else held for a person
    to be cancelled     whatever                CANCELLED
    over                whatever                as it is

Before it looks, the run's keeper must have ended, which it does by itself; processes that no keeper has any more are
found by their environment.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from meshtest.webhook.keeping import TIMEOUT, Ended, ended_of, has_begun, kill_marked, wait_for_keeper
from meshtest.webhook.runs import RunState, StoredRun
from meshtest.webhook.store import Store
from meshtest.webhook.suites import Suite
from meshtest.webhook.verdicts import Said, verdict

CLOSING = "the endpoint was closed"
"""What a keeper is told then."""
INTERRUPTED = "interrupted: the endpoint ended while it ran; a person may run it again"


def recovered(store: Store, suites: Mapping[str, Suite], folder: Path, attempts: int) -> list[str]:
    """Settle what is not; the ids of the runs that wait to begin, in their order."""
    unsettled = [run for run in store.runs() if not run.state.is_over]
    for run in unsettled:
        wait_for_keeper(folder / run.folder)
    if began := {run.id for run in unsettled if has_begun(folder / run.folder)}:
        kill_marked(began)
    for run in unsettled:
        _settle(store, run, suites.get(run.key.suite), folder / run.folder)
    _repeat(store, suites, attempts)
    return [run.id for run in store.runs() if run.state is RunState.QUEUED]


def _settle(store: Store, run: StoredRun, suite: Suite | None, folder: Path) -> None:
    if run.cancelling:
        store.settle(run.id, RunState.CANCELLED, run.cancelling)
    elif has_begun(folder) and suite is None:
        store.settle(run.id, RunState.UNKNOWN, f"there is no suite {run.key.suite!r} any more")
    elif has_begun(folder) and suite:
        store.settle(run.id, *said(suite, folder, ended_of(folder)))
    elif run.state is RunState.RUNNING:
        store.requeue(run.id)


def said(suite: Suite, folder: Path, ended: Ended | None) -> Said:
    """Of a run that has begun and no longer runs."""
    if ended is None or ended.why not in ("", TIMEOUT):
        return Said(RunState.INTERRUPTED, INTERRUPTED)
    return verdict(suite, folder, ended)


def _repeat(store: Store, suites: Mapping[str, Suite], attempts: int) -> None:
    """Also what an orderly end has interrupted, and what an endpoint has that died before it could repeat it."""
    for run in store.runs():
        suite = suites.get(run.key.suite)
        cut = run.current and run.state is RunState.INTERRUPTED
        if cut and suite and suite.rerun_interrupted and run.attempt < attempts:
            store.again(run.id)
