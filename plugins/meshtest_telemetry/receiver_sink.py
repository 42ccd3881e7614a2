"""From spans that have come to lines of `spans.jsonl`: a bounded queue, and the thread that writes.

    connections ── put(batch) ──► queue ──► lines ──► file
                        └ full ──► dropped: counted, told once a second at most

Converting a span takes some ten times as long as parsing it did (in C), so it waits in the queue in its parsed form.
Not here: what a span looks like on the wire (receiver_otlp.py, receiver_zipkin.py).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO, NamedTuple

from meshtest.errors import MeshtestError
from meshtest.spi.provider import Record

CAPACITY = 20_000
"""Spans that may wait: four seconds of 5,000 a second, some 40 MB."""
TOLD_EVERY = 1.0
"""Seconds between two `spans.dropped`."""
REASONS = 20
"""Different reasons that are kept apart in one second."""
PATIENCE = 30.0
"""Seconds that flush() waits for; a full queue is written in two."""

OVERLOAD = "more came than could be written"


class Batch(NamedTuple):
    """The spans of one message."""

    spans: int
    lines: Callable[[], Iterable[bytes]]


class Sink:
    """Safe from any thread."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._condition = threading.Condition()
        self._queue: deque[Batch] = deque()
        self._waiting = 0
        """Spans in the queue or being written."""
        self._dropped: Counter[str] = Counter()
        self._told_at = 0.0
        self._path: Path | None = None
        self._record: Record | None = None
        self._file: BinaryIO | None = None
        self._ragged = False
        self._writer: threading.Thread | None = None
        self._closing = False
        self.received = 0
        """Spans that were put, those dropped among them."""

    # ---- who it is for

    def serve(self, path: Path | None, record: Record | None) -> None:
        """What has come so far belongs to the run before; None: spans belong to nobody."""
        self.flush()
        with self._condition:
            self._tell()
            if self._file is not None:
                self._file.close()
            self._path, self._record, self._file, self._ragged = path, record, None, False

    def flush(self) -> None:
        """Return when all that was put is written, and what was dropped is told."""
        with self._condition:
            self._condition.wait_for(lambda: not self._waiting, PATIENCE)
            self._tell()

    def close(self) -> None:
        self.serve(None, None)
        with self._condition:
            self._closing = True
            self._condition.notify_all()
        if self._writer is not None:
            self._writer.join(PATIENCE)

    # ---- what comes

    def put(self, batch: Batch) -> int:
        """How many of them there is no room for."""
        with self._condition:
            self._start()
            self.received += batch.spans
            if self._waiting + batch.spans > self._capacity:
                self._drop(batch.spans, OVERLOAD)
                return batch.spans
            self._waiting += batch.spans
            self._queue.append(batch)
            self._condition.notify_all()
            return 0

    def drop(self, count: int, reason: str) -> None:
        """These are not, and will not be, in the record."""
        with self._condition:
            self._start()
            self._drop(count, reason)
            self._condition.notify_all()

    def _drop(self, count: int, reason: str) -> None:
        known = reason in self._dropped or len(self._dropped) < REASONS
        self._dropped[reason if known else "other reasons"] += count

    def _tell(self) -> None:
        """Call with the lock held."""
        dropped, self._dropped = self._dropped, Counter()
        self._told_at = time.monotonic()
        if self._record is not None:
            with contextlib.suppress(MeshtestError):  # its run cannot write any more, which it has said itself
                for reason, count in dropped.items():
                    self._record("spans.dropped", count=count, reason=reason)

    # ---- the writer

    def _start(self) -> None:
        """The thread, when there is something to do for it; call with the lock held."""
        if self._writer is None:
            self._writer = threading.Thread(target=self._run, name="meshtest-spans-writer", daemon=True)
            self._writer.start()

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            trouble = ""
            try:
                self._write(batch)
            except OSError as error:
                trouble = f"cannot write {self._path and self._path.name}: {error.strerror or error}"
            except Exception as error:  # what someone sent must not end the thread that writes
                trouble = f"not understood: {type(error).__name__}: {error}"
            with self._condition:
                self._waiting -= batch.spans
                if trouble:
                    self._drop(batch.spans, trouble)
                self._condition.notify_all()

    def _next(self) -> Batch | None:
        """The oldest batch; tells what was dropped while there is none, or in between. None is the end."""
        with self._condition:
            while True:
                if self._dropped and time.monotonic() >= self._told_at + TOLD_EVERY:
                    self._tell()
                if self._queue:
                    return self._queue.popleft()
                if self._closing:
                    return None
                self._condition.wait(TOLD_EVERY if self._dropped else None)

    def _write(self, batch: Batch) -> None:
        path = self._path
        if path is None:
            return
        if self._file is None:
            self._file = path.open("ab", buffering=0)
        text = b"".join(batch.lines())
        if self._ragged:
            text = b"\n" + text
        self._ragged = True
        view = memoryview(text)
        while view:
            view = view[self._file.write(view) :]
        self._ragged = False
