"""How busy the machine was, as the kernel tells: CPU time that the host gave to others, and how long somebody waited.

Sources: /proc/stat (proc(5): steal), /proc/pressure/cpu (Documentation/accounting/psi.rst). What a kernel does not tell
is 0. Not here: what follows from it (doubt.py).
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")
COUNTED = 8
"""user, nice, system, idle, iowait, irq, softirq, steal; guests are counted among users."""


class Strain(NamedTuple):
    """Shares of a time, 0 to 1."""

    stolen: float = 0.0
    """Of all CPU time."""
    pressed: float = 0.0
    """Of the time that passed; some process was ready to run and had no CPU."""


CALM = Strain()


class Reading(NamedTuple):
    """Counters since the start of the machine."""

    at: float
    stolen: int
    spent: int
    pressed: float

    @classmethod
    def now(cls, proc: Path = PROC) -> Reading:
        stolen, spent = _stat(proc / "stat")
        return cls(time.monotonic(), stolen, spent, _pressure(proc / "pressure" / "cpu"))

    def until(self, later: Reading) -> Strain:
        spent, passed = later.spent - self.spent, later.at - self.at
        stolen = (later.stolen - self.stolen) / spent if spent > 0 else 0.0
        return Strain(stolen, min(1.0, (later.pressed - self.pressed) / passed) if passed > 0 else 0.0)


def _stat(path: Path) -> tuple[int, int]:
    try:
        counts = [int(word) for word in path.read_text().split("\n", 1)[0].split()[1 : COUNTED + 1]]
    except (OSError, ValueError):
        return 0, 0
    return (counts[-1], sum(counts)) if len(counts) == COUNTED else (0, 0)


def _pressure(path: Path) -> float:
    """`some avg10=0.00 avg60=0.00 avg300=0.00 total=MICROSECONDS`"""
    try:
        return int(path.read_text().split("\n", 1)[0].rpartition("total=")[2]) / 1e6
    except (OSError, ValueError):
        return 0.0
