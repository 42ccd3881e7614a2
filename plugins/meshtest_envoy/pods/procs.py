"""Processes as /proc shows them. A process is known by pid *and* start time: a pid alone is soon someone else's.

Not here: starting and ending them (children.py), what a crash left behind (heal.py).
"""

from __future__ import annotations

import os
from typing import NamedTuple


class Stat(NamedTuple):
    """The part of /proc/PID/stat that says who a process is."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    start: int
    """Clock ticks after boot."""


def stat(pid: int) -> Stat | None:
    """None if there is no such process; a zombie is none either: it runs nothing and holds nothing."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # The name in parentheses may itself hold spaces and parentheses.
    fields = text.rpartition(b")")[2].split()
    if fields[0] in b"ZX":
        return None
    return Stat(pid, fields[0].decode(), int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def start_time(pid: int) -> int:
    """When the process started, in ticks after boot; 0 if it is gone."""
    found = stat(pid)
    return found.start if found else 0


def is_same(pid: int, start: int) -> bool:
    """The process that was noted down as (pid, start) still runs."""
    return start > 0 and start_time(pid) == start


def everyone() -> list[Stat]:
    """All processes that can be seen."""
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except FileNotFoundError:  # not Linux
        return []
    return [found for pid in pids if (found := stat(pid))]


def descendants(root: int, among: list[Stat]) -> list[Stat]:
    """The processes below `root`, parents before children."""
    children: dict[int, list[Stat]] = {}
    for one in among:
        children.setdefault(one.parent, []).append(one)
    found = list(children.get(root, ()))
    for one in found:
        found.extend(children.get(one.pid, ()))
    return found


def has_variable(pid: int, assignment: str) -> bool:
    """`NAME=value` is in the environment the process was started with (False if that cannot be read)."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return assignment.encode() in file.read().split(b"\0")
    except OSError:
        return False


def boot() -> str:
    """Identifies the boot of the machine: pids and start times mean nothing after another one."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read().strip()
    except OSError:
        return ""


def end(pid: int, signum: int, *, group: bool = False) -> bool:
    """Send a signal; False if there is nobody to get it."""
    try:
        (os.killpg if group else os.kill)(pid, signum)
    except (ProcessLookupError, PermissionError):
        return False
    return True
