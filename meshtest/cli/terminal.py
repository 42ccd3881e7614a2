"""What people see: lines, and on a terminal one line that changes while something is under way.

Lines that stay go to stdout. The one that changes goes to stderr, so that what is piped or kept has none of it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self, TextIO, TypedDict

if TYPE_CHECKING:
    from meshtest.run.pulse import Beat, Pulse


class Look(TypedDict):
    width: int
    color: bool
    encoding: str


CLEAR = "\r\033[2K"
RED, PLAIN = "\033[31m", "\033[0m"
EVERY = 0.2
"""Seconds between two states of the line that changes."""


class Terminal:
    """Plain lines only when the stream is no terminal (CI, a pipe), or TERM is dumb. Safe from any thread."""

    def __init__(self, stream: TextIO | None = None, beside: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._beside = beside or sys.stderr
        clever = os.environ.get("TERM", "dumb") != "dumb"
        self.live = self._beside.isatty() and clever
        """A line that changes can be shown."""
        self.color = self._stream.isatty() and clever and "NO_COLOR" not in os.environ
        self.width = min(100, shutil.get_terminal_size((80, 24)).columns)
        self.encoding = self._stream.encoding or "ascii"
        self._pending = False
        self._lock = threading.Lock()

    @property
    def look(self) -> Look:
        """For reporters.console."""
        return {"width": self.width, "color": self.color, "encoding": self.encoding}

    def say(self, text: str = "") -> None:
        """A line that stays."""
        with self._lock:
            self._clear()
            print(text.encode(self.encoding, "replace").decode(self.encoding), file=self._stream, flush=True)

    def progress(self, text: str, *, alarm: str = "") -> None:
        """A line that is replaced by the next; nothing at all where there is no terminal. `alarm` is a part of it that
        is red."""
        if not self.live:
            return
        shown = fitted(text, _columns(self._beside) - 1)
        if alarm and "NO_COLOR" not in os.environ and alarm in shown:
            shown = shown.replace(alarm, f"{RED}{alarm}{PLAIN}", 1)
        with self._lock:
            self._write(CLEAR + shown.encode(self.encoding, "replace").decode(self.encoding))
            self._pending = True

    def beat(self, beat: Beat) -> None:
        """How a load or a run goes on."""
        failed = f"{beat.failed} failed"
        self.progress(sentence(beat), alarm=failed if beat.failed else "")

    @contextlib.contextmanager
    def following(self, pulse: Pulse) -> Iterator[None]:
        """Show how it goes on until the end of the block, from a thread."""
        if not self.live:
            yield
            return
        ended = threading.Event()
        thread = threading.Thread(target=self._follow, args=(pulse, ended), name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            with self._lock:
                self._clear()

    def _follow(self, pulse: Pulse, ended: threading.Event) -> None:
        with contextlib.suppress(OSError, ValueError):  # a folder or a terminal that has gone is no trouble of the run
            while not ended.wait(EVERY):
                self.beat(pulse.look())

    def _clear(self) -> None:
        if self._pending:
            self._pending = False
            self._write(CLEAR)

    def _write(self, text: str) -> None:
        self._beside.write(text)
        self._beside.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._clear()
            self._stream.flush()


def sentence(beat: Beat) -> str:
    """The figures first, of a width that stays; what does not fit is the end of the step's name."""
    p99 = "" if beat.p99 is None else f"p99 {beat.p99 * 1e3:.1f} ms"
    return f"{_clock(beat.seconds):>6} {beat.rate:>7.0f}/s  {beat.failed} failed  {p99:<14} {beat.step}".rstrip()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def fitted(text: str, cells: int) -> str:
    """As much as has room: some characters take two cells, some none; those that move the cursor are left out."""
    room = cells
    shown = []
    for character in text:
        if not character.isprintable():
            continue
        room -= _cells(character)
        if room < 0:
            break
        shown.append(character)
    return "".join(shown)


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _columns(stream: TextIO) -> int:
    """Now: a window may have been resized."""
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(stream.fileno()).columns or 80
    return 80
