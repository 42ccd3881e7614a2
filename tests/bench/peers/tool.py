"""What every load generator here can be told and asked; and how one that is a program is run.

Each is pinned to its core, has a time to end in, and is ended by its id if it does not.
"""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from tests.bench.peers.machine import TOOL_CORE, on_core
from tests.bench.peers.recorder import SLOW

TIMEOUT = 1.0
"""Seconds for a request, for every tool: hey takes whole ones only."""
USERS = 20
"""Connections, users or workers, of a closed loop."""
_LEAVE = 20.0
"""Seconds that a tool may take to end after its time is over."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """A load on 127.0.0.1."""

    port: int
    seconds: float
    rate: float | None = None
    """A second; None: each user asks again when it has its answer."""
    requests: int | None = None
    """Instead of the seconds, if the tool can count."""
    users: int = USERS
    log: bool = True
    """Whether each request must be told. Without it a tool is at its fastest; the prober always records."""


class Row(NamedTuple):
    """A request as the tool tells it."""

    at: int
    """ns of CLOCK_MONOTONIC: when it was meant to leave, if the tool means anything, else when it left."""
    seconds: float
    what: str
    """As the recorder calls it: ok, refused, reset (or any other way to lose the connection), busy, stall, slow."""
    late: float = 0.0
    """Seconds from then until it left."""

    @property
    def sent(self) -> int:
        """ns of CLOCK_MONOTONIC."""
        return self.at + round(self.late * 1e9)

    @property
    def failed(self) -> bool:
        return self.what not in ("ok", "slow")


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a tool says of a load, in so far as it does."""

    counts: Mapping[str, int]
    """Requests by what became of them, as in Row."""
    rows: Sequence[Row] | None = None
    p99: float | None = None
    """Seconds."""
    calls: int | None = None
    """Requests that it was made to send, not counting what it sent again by itself."""
    sheet: int = 0
    """Bytes on disk for them."""

    @classmethod
    def of_rows(cls, rows: Sequence[Row], *, calls: int | None = None, sheet: int = 0) -> Told:
        ordered = sorted(row.seconds for row in rows)
        p99 = ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)] if ordered else None
        return cls(counts=Counter(row.what for row in rows), rows=rows, p99=p99, calls=calls, sheet=sheet)


class Running(Protocol):
    """A tool at work."""

    spawned: int
    """ns of CLOCK_MONOTONIC, right before its process was made."""

    @property
    def pid(self) -> int: ...

    def finish(self) -> Told:
        """When it has ended by itself; else it is ended."""
        ...

    def kill(self) -> None: ...


class Tool(Protocol):
    name: str
    paced: bool
    """It can be told a rate ..."""
    most: float
    """... up to this; infinite if it is fast enough for all that is done here."""

    def missing(self) -> str:
        """Why it cannot run here, or ""."""
        ...

    def start(self, order: Order, folder: Path) -> Running: ...


class Program:
    """A tool that is a command with a report on stdout or in files. Subclasses say both."""

    name: str
    program: str
    paced = True
    most = inf

    @property
    def path(self) -> str:
        beside = Path(sysconfig.get_path("scripts")) / self.program
        return str(beside) if beside.exists() else shutil.which(self.program) or ""

    def missing(self) -> str:
        return "" if self.path else "not installed"

    def command(self, order: Order, folder: Path) -> list[str]:
        raise NotImplementedError

    def told(self, order: Order, folder: Path, output: str) -> Told:
        raise NotImplementedError

    def start(self, order: Order, folder: Path) -> Running:
        own = Path(tempfile.mkdtemp(dir=folder, prefix=f"{self.program}-"))
        return _Process(self, order, own)


@dataclass
class _Process:
    tool: Program
    order: Order
    folder: Path
    spawned: int = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False)
    _output: IO[bytes] = field(init=False)

    def __post_init__(self) -> None:
        command = self.tool.command(self.order, self.folder)
        self._output = (self.folder / "output").open("w+b")
        with on_core(TOOL_CORE):
            self.spawned = time.monotonic_ns()
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT, cwd=self.folder
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def finish(self) -> Told:
        try:
            self._process.wait(self.order.seconds + _LEAVE)
        except subprocess.TimeoutExpired:
            self.kill()
        self._output.seek(0)
        output = self._output.read().decode(errors="replace")
        self._output.close()
        try:
            return self.tool.told(self.order, self.folder, output)
        except (OSError, ValueError, LookupError) as error:
            raise RuntimeError(f"{self.tool.name} gave no report ({error!r}); it said: {output[-2000:]}") from None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def what(status: int, error: str, seconds: float) -> str:
    """Of any tool: the status (0 is none) and its words for an error."""
    if status:
        return "busy" if status >= 500 else "slow" if seconds >= SLOW else "ok"
    if "refused" in error.lower():
        return "refused"
    late = ("timeout", "timed out", "deadline exceeded")
    return "stall" if any(word in error.lower() for word in late) else "reset"
