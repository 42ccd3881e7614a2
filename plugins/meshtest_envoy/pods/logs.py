"""The end of a log file: the lines a person wants to see when a process died."""

from __future__ import annotations

import os

WINDOW = 16 * 1024
"""Bytes that are read from the end; a longer line is cut at its beginning."""


def tail(path: str | os.PathLike[str], lines: int = 10, *, since: int = 0) -> list[str]:
    """The last lines of a file, of what was written after byte `since`; empty if there is no file."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - WINDOW, min(since, size)))
            text = file.read()
    except OSError:
        return []
    return text.decode("utf-8", "replace").splitlines()[-lines:]


def size(path: str | os.PathLike[str]) -> int:
    """Bytes in the file now; 0 if there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
