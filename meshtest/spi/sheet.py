"""Where the prober writes what it saw: whole RECORDs, and the names they refer to. Part of the prober's process."""

from __future__ import annotations

import os

from meshtest.model.record import MOST_NAMES, RECORD

FLUSH_NS = 5_000_000
"""A record waits no longer than this for its write: a reader sees a request at most 5 ms after its end, and the
prober writes 200 times a second whatever its rate."""


class Sheet:
    """Two append-only files. A name is on disk before any record that uses it."""

    def __init__(self, records: str, names: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._records = os.open(records, flags, 0o644)
        self._names = os.open(names, flags, 0o644)
        self._known: dict[bytes, int] = {b"": 0}
        self.rows: list[bytes] = []
        """Whole RECORDs for the next flush. Who appends here instead of by `add` sees to it that they are flushed."""
        self._flushed = 0
        self.flush_at = 0
        """When the oldest row must be written (ns); 0 if there is none."""

    def add(self, now: int, served_by: bytes, row: tuple[int, ...]) -> None:
        """Keep a record for the next flush; `row` has all fields of RECORD but the server."""
        self.rows.append(RECORD.pack(*row[:6], self.number(served_by), *row[6:]))
        if not self.flush_at:
            self.flush_at = now + FLUSH_NS

    def number(self, served_by: bytes) -> int:
        """The index of a name, which is on disk from now on."""
        known = self._known.get(served_by)
        return self._learn(served_by) if known is None else known

    def flush(self) -> None:
        """Write all rows. On an error (disk full) what is on disk still ends with a whole record."""
        data = b"".join(self.rows)
        self.rows.clear()
        self.flush_at = 0
        while data:
            data = data[self._write(data) :]

    def _write(self, data: bytes) -> int:
        try:
            written = os.write(self._records, data)
        except OSError:
            self._cut()
            raise
        self._flushed += written
        return written

    def _cut(self) -> None:
        try:
            os.ftruncate(self._records, self._flushed // RECORD.size * RECORD.size)
        except OSError:
            return  # a reader takes whole records only

    def _learn(self, served_by: bytes) -> int:
        if len(self._known) > MOST_NAMES:
            return 0
        os.write(self._names, served_by + b"\n")
        self._known[served_by] = len(self._known)
        return self._known[served_by]
