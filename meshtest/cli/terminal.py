"""What people see: lines, and on a terminal one line that changes while something is under way."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Self, TextIO, TypedDict


class Look(TypedDict):
    width: int
    color: bool
    encoding: str


CLEAR = "\r\033[2K"


class Terminal:
    """Plain lines when the stream is no terminal (CI, a pipe), or TERM is dumb."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self.live = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.color = self.live and "NO_COLOR" not in os.environ
        self.width = min(100, shutil.get_terminal_size((80, 24)).columns)
        self.encoding = stream.encoding or "ascii"
        self._pending = False

    @property
    def look(self) -> Look:
        """For reporters.console."""
        return {"width": self.width, "color": self.color, "encoding": self.encoding}

    def say(self, text: str = "") -> None:
        """A line that stays."""
        self._clear()
        print(text.encode(self.encoding, "replace").decode(self.encoding), file=self._stream, flush=True)

    def progress(self, text: str) -> None:
        """A line that is replaced by the next; nothing at all where there is no terminal."""
        if self.live:
            self._clear()
            self._stream.write(text[: self.width - 1])
            self._stream.flush()
            self._pending = True

    def _clear(self) -> None:
        if self._pending:
            self._stream.write(CLEAR)
            self._pending = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()
        self._stream.flush()
