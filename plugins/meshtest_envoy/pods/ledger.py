"""Who runs for whom, on disk: `ledger.json` in the runtime folder, so that heal() can finish what a SIGKILL left.

Each process is noted as (pid, start time). The file is replaced as a whole, so a reader never sees half of it; it is
not synced to the disk, because after a power cut there is no process left to find.
"""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from meshtest_envoy.pods import procs

NAME = "ledger.json"

Identity = tuple[int, int]


class Entries(NamedTuple):
    """What a ledger said when it was read."""

    boot: str
    runner: Identity
    supervisor: Identity
    children: dict[int, int]


class Ledger:
    """The writing side; the runner opens it, the supervisor carries it on."""

    def __init__(self, directory: str, runner: Identity) -> None:
        self._path = os.path.join(directory, NAME)
        self._boot = procs.boot()
        self._runner = runner
        self._supervisor: Identity = (0, 0)
        self._children: dict[int, int] = {}

    def supervisor_is(self, pid: int) -> None:
        self._supervisor = (pid, procs.start_time(pid))
        self.write()

    def add(self, pid: int) -> None:
        """Note a child before it may do anything of its own."""
        self._children[pid] = procs.start_time(pid)
        self.write()

    def drop(self, pid: int) -> None:
        """The child and its process group are gone."""
        if self._children.pop(pid, None) is not None:
            self.write()

    def write(self) -> None:
        entries: dict[str, Any] = {
            "boot": self._boot,
            "runner": self._runner,
            "supervisor": self._supervisor,
            "children": self._children,
        }
        with open(self._path + ".new", "w") as file:
            file.write(json.dumps(entries))  # json.dump would encode in Python
        os.replace(self._path + ".new", self._path)


def read(directory: str) -> Entries | None:
    """None if there is no ledger, or nothing that could be one."""
    try:
        with open(os.path.join(directory, NAME)) as file:
            found = json.load(file)
        children = {int(pid): int(start) for pid, start in found["children"].items()}
        return Entries(found["boot"], _identity(found["runner"]), _identity(found["supervisor"]), children)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _identity(told: list[int]) -> Identity:
    pid, start = told
    return int(pid), int(start)
