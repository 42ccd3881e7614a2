"""Finish what a crash left: processes and runtime folders of runs whose runner is gone.

Needed only when runner and supervisor were both killed: direct children end with the supervisor (parent-death signal),
but their own children (workers of nginx) do not, and nobody removed the folder.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from meshtest.lib.wait import until
from meshtest.lib.words import plural
from meshtest_envoy.pods import folders, ledger, procs
from meshtest_envoy.pods.environment import MARK

YOUNG = 60.0
"""Seconds for which a folder without a ledger is left alone: its runner may be about to write one."""
CLEANING = 2.0
"""Seconds for a supervisor that noticed the death of its runner to finish by itself; it needs some milliseconds."""


def heal(runtime_root: Path) -> list[str]:
    """Clean up below this root (see runtime.roots); one sentence for each thing that was done."""
    try:
        found = sorted(folder for folder in runtime_root.iterdir() if folder.is_dir())
    except OSError:
        return []
    return [sentence for folder in found for sentence in _heal(folder)]


def finish(directory: Path) -> list[str]:
    """End everything the ledger of one run names and remove its folder, whoever else may still be alive."""
    entries = ledger.read(str(directory))
    ended = _end_leftovers(directory, entries) if entries and entries.boot == procs.boot() else []
    if entries is not None and procs.is_same(*entries.supervisor):
        procs.end(entries.supervisor[0], signal.SIGKILL)
        ended.append(entries.supervisor[0])
    folders.remove_runtime(str(directory))
    said = f"killed what was left of the run in {directory}: {plural(len(ended), 'pid')} {', '.join(map(str, ended))}"
    return [*([said] if ended else []), f"removed {directory}"]


def _heal(folder: Path) -> list[str]:
    entries = ledger.read(str(folder))
    if entries is None:
        return _remove_if_old(folder)
    if entries.boot == procs.boot():
        if procs.is_same(*entries.runner):
            return []
        _let_finish(entries)
    return finish(folder) if folder.exists() else []


def _remove_if_old(folder: Path) -> list[str]:
    try:
        young = time.time() - folder.stat().st_mtime < YOUNG
    except FileNotFoundError:
        return []
    return [] if young else finish(folder)


def _let_finish(entries: ledger.Entries) -> None:
    """A living supervisor is already cleaning up; wait for it, and go on without it if it hangs."""
    try:
        until(lambda: not procs.is_same(*entries.supervisor), within=CLEANING, what=lambda: "supervisor hangs")
    except TimeoutError:
        procs.end(entries.supervisor[0], signal.SIGKILL)


def _end_leftovers(directory: Path, entries: ledger.Entries) -> list[int]:
    """Kill the processes that the ledger accounts for, and wait until they are gone."""
    left = [one for one in procs.everyone() if one.pid != os.getpid() and _is_ours(one, directory, entries)]
    for one in left:
        procs.end(one.pid, signal.SIGKILL)
    with contextlib.suppress(TimeoutError):  # one stuck in the kernel is named, and nothing more can be done about it
        until(lambda: not any(procs.is_same(one.pid, one.start) for one in left), within=2, what=lambda: "unkillable")
    return [one.pid for one in left]


def _is_ours(one: procs.Stat, directory: Path, entries: ledger.Entries) -> bool:
    """A noted child, a member of the session a noted child led, or one that carries the mark of this runtime folder.

    Members are judged only when their leader is the noted one or gone: a pid is not given out again while a session
    has it as its id. A leader with another start time is a stranger, and so are its members.
    """
    start = entries.children.get(one.session)
    if start is not None:
        leader = procs.start_time(one.session)
        return leader in (0, start) and one.start >= start
    return procs.has_variable(one.pid, f"{MARK}={directory}")
