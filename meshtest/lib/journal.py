"""Append-only lines of JSON: written whole and at once, read back even when the last one was cut.

Not here: what the lines mean.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Journal:
    """One file, one `os.write` a line: threads and a crash leave whole lines, but for the last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._lock = threading.Lock()

    def append(self, entry: Mapping[str, Any]) -> None:
        """OSError (disk full) leaves the file as it was."""
        line = json.dumps(entry, ensure_ascii=False, default=str, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            size = os.fstat(self._file).st_size
            try:
                written = os.write(self._file, line)
                if written < len(line):
                    os.write(self._file, line[written:])
            except OSError:
                with contextlib.suppress(OSError):  # the first error is the one to tell
                    os.ftruncate(self._file, size)
                raise

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def whole_lines(data: bytes) -> tuple[list[bytes], bool]:
    """(lines, False), or (lines before the last, True) if the last one has no end."""
    *lines, rest = data.split(b"\n")
    return lines, bool(rest)


def write_atomically(path: Path, data: Any) -> None:
    """JSON into a file that readers see either as it was or as it is meant to be."""
    write_text_atomically(path, json.dumps(data, indent=2, ensure_ascii=False, default=str) + "\n")


def write_text_atomically(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
