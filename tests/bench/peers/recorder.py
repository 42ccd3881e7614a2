"""The recording server (recorder.c): compiled when first needed, told a plan, asked for its log at the end.

Without a C compiler there is none: what a generator written in Python does cannot be measured by a server that is
slower than it. Those rows then say so.
"""

from __future__ import annotations

import functools
import itertools
import random
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.bench.peers.machine import SERVER_CORE, on_core

KINDS = ("ok", "reset", "busy", "stall", "slow", "down", "pause")
"""In the order of recorder.c."""
SLOW = 0.2
"""Seconds that a slow answer takes."""
_BEGIN, _END = 16, 17
_ENTRY = struct.Struct("<QII")


class Window(NamedTuple):
    """A time of trouble: ns of CLOCK_MONOTONIC in a log, seconds after the first request in a plan."""

    begin: float
    end: float
    kind: str


@dataclass(frozen=True)
class Log:
    """What the server did."""

    arrivals: Sequence[int]
    """ns of CLOCK_MONOTONIC at which each request was read."""
    done: Sequence[str]
    """What was done to each: one of KINDS."""
    windows: Sequence[Window]

    @classmethod
    def read(cls, path: Path) -> Log:
        arrivals, done, edges = [], [], []
        for at, what, number in _ENTRY.iter_unpack(path.read_bytes()):
            if what in (_BEGIN, _END):
                edges.append((at, KINDS[number]))
            else:
                arrivals.append(at)
                done.append(KINDS[what])
        pairs = zip(edges[::2], edges[1::2], strict=False)
        return cls(arrivals, done, [Window(begin, end, kind) for (begin, kind), (end, _) in pairs])


@functools.cache
def compiler() -> str:
    """ "" if there is none."""
    return next((path for name in ("gcc", "cc", "clang") if (path := shutil.which(name))), "")


@functools.cache
def _program() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="meshtest-recorder-"))
    program, source = folder / "recorder", Path(__file__).with_name("recorder.c")
    subprocess.run([compiler(), "-O2", "-o", str(program), str(source)], check=True, timeout=60)
    return program


class Recorder:
    """One server; every measurement has its own."""

    def __init__(self, folder: Path, plan: Iterable[Window] = ()) -> None:
        self._path = Path(tempfile.mkstemp(dir=folder, suffix=".log")[1])
        with on_core(SERVER_CORE):
            self._process = subprocess.Popen(
                [str(_program()), str(self._path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        assert self._process.stdin
        assert self._process.stdout
        lines = (f"{round(w.begin * 1e9)} {round(w.end * 1e9)} {w.kind}\n" for w in plan)
        self._process.stdin.write("".join([*lines, "\n"]).encode())
        self._process.stdin.flush()
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        try:
            self._process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def log(self) -> Log:
        """Ends it."""
        self._end()
        return Log.read(self._path)


def windows(
    kinds: Sequence[tuple[str, float]], *, apart: tuple[float, float], start: float, seed: int
) -> Iterator[Window]:
    """One window of each (kind, seconds), in that order, at a random phase: a phase in step with the load's period
    would make every length look exact."""
    chance, at = random.Random(seed), start
    for kind, seconds in kinds:
        yield Window(at, at + seconds, kind)
        at += seconds + chance.uniform(*apart)


def shuffled(kinds: Iterable[tuple[str, float]], seed: int) -> list[tuple[str, float]]:
    order = list(itertools.chain(kinds))
    random.Random(seed).shuffle(order)
    return order
