"""The machine the bench runs on: who runs on which core, what a process has used, what others take meanwhile."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

SERVER_CORE, TOOL_CORE = 0, 1
_TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started meanwhile stays on that core. A machine with one core has no choice."""
    if not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) <= core:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used, its living children included."""
    total = 0.0
    for one in _family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for path in Path(f"/proc/{one}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, path.read_text().split())
    return found


class Others:
    """How much of the machine somebody else used, in cores: the figures beside it are to be read with it."""

    def __init__(self) -> None:
        self._began, self._busy, self._ours = time.monotonic(), _busy(), _own()

    def cores(self) -> float:
        """Since it was made."""
        seconds = time.monotonic() - self._began
        return max((_busy() - self._busy) - (_own() - self._ours), 0.0) / seconds


def _busy() -> float:
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / _TICKS  # but idle and iowait


def _own() -> float:
    """Ours, and of children that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
