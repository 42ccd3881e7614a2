"""The process between the runner and k6: starts k6, reads its rows from a pipe, writes RECORDs. Dies with the runner.

stdin   one line of JSON, the order; then `stop`; its end means that the runner died
stdout  `started` with the first request; at the end one line of JSON, the summary
files   RECORDs and names, one pair for each virtual user of k6, see spi/sheet.py
"""

from __future__ import annotations

import csv
import ctypes
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Iterator, Sequence
from typing import Any

from meshtest.model.record import FATES, NOT_SENT, PART_BITS
from meshtest.spi.sheet import Sheet
from meshtest_k6 import rows

_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG"""
_GRACE = 40.0
"""Seconds after a stop: k6 gives its users 30 to end, and teardown() wants to run."""


class Bridge:
    """What is known so far."""

    def __init__(self, records: str, lane: int) -> None:
        self._records, self._lane = records, lane
        self._sheets: dict[int, Sheet] = {}
        self._sheet(0)  # by which readers know the load, whichever user is the first to send
        self._under_way: dict[str, rows.Sample] = {}
        self._behind = time.monotonic_ns() - time.time_ns()
        self.begins = array("Q")
        self.fates = [0] * len(FATES)
        self.dropped = self.others = 0

    def take(self, row: Sequence[str]) -> None:
        """One row of k6's CSV."""
        metric = row[rows.METRIC]
        if metric.startswith("http_req"):
            if key := rows.key_of(row):
                self._under_way.setdefault(key, rows.Sample()).add(row)
        elif metric == rows.SERVED:
            self._served(rows.key_of(row), row)
        elif metric == rows.DROPPED:
            self.dropped += int(float(row[rows.VALUE]))
        elif metric in rows.OTHERS:
            self.others += 1

    def _served(self, key: str, row: Sequence[str]) -> None:
        """The wrapper's last word on a request. One without samples never left k6, as one to a bad URL does not."""
        unsent = rows.Sample(end=int(row[rows.AT]), fate=NOT_SENT)
        sample = self._under_way.pop(key, unsent)
        tags = rows.tags_of(row)
        self._write(key, sample, tags.get("by", ""), tags.get("attempts", ""), int(float(row[rows.VALUE])))

    def _write(self, key: str, sample: rows.Sample, by: str, attempts: str, size: int) -> None:
        index, ms = rows.index_of(key)
        record = sample.row(index, ms, self._behind, size, attempts, self._lane)
        self._sheet(index >> PART_BITS).add(record[0], by.encode("latin-1", "replace"), record)
        self.begins.append(record[0])
        self.fates[sample.fate] += 1

    def _sheet(self, part: int) -> Sheet:
        if part not in self._sheets:
            stem = f"{self._records}+{part}" if part else self._records
            self._sheets[part] = Sheet(f"{stem}.bin", f"{stem}.names")
        return self._sheets[part]

    def flush(self) -> None:
        for sheet in self._sheets.values():
            if sheet.flush_at:
                sheet.flush()

    def finish(self) -> None:
        """Those whose answer k6 told but whose last word was cut off by the end."""
        for key, sample in self._under_way.items():
            if sample.end:
                self._write(key, sample, "", "", 0)
        self._under_way.clear()
        self.flush()

    def summary(self) -> dict[str, Any]:
        times = sorted(self.begins)
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        seconds = (times[-1] - times[0]) / 1e9 if len(times) > 1 else 0.0
        return {
            "sent": len(times), "fates": self.fates, "max_gap": max(gaps, default=0) / 1e9,
            "rate": (len(times) - 1) / seconds if seconds else 0.0, "dropped": self.dropped, "others": self.others,
        }  # fmt: skip


def main() -> None:
    order = json.loads(sys.stdin.readline())
    reading, writing = os.pipe()
    process = _start(order, writing)
    os.close(writing)
    threading.Thread(target=_obey, args=[process], daemon=True).start()
    bridge = Bridge(order["records"], rows.LANES[order["reuse"]])
    error = ""
    try:
        _follow(bridge, reading)
    except (OSError, ValueError, IndexError) as trouble:
        error = f"{getattr(trouble, 'strerror', '') or trouble}"
        process.kill()
    code = process.wait()
    sys.stdout.write(json.dumps(bridge.summary() | {"error": error, "code": code}) + "\n")
    sys.stdout.flush()
    os._exit(0)


def _start(order: dict[str, Any], pipe: int) -> subprocess.Popen[bytes]:
    """k6, which gets SIGKILL when this process ends, however it ends."""
    libc = ctypes.CDLL(None)
    command = [
        order["binary"], "run", "--quiet", "--address", "", "--log-format", "json", "--system-tags", rows.SYSTEM_TAGS,
        "--out", f"csv=/dev/fd/{pipe}", "-",
    ]  # fmt: skip
    with open(order["log"], "ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, cwd=order["folder"], env=order["environment"],
            pass_fds=[pipe], preexec_fn=lambda: libc.prctl(_DEATH_SIGNAL, signal.SIGKILL),
        )  # fmt: skip
    assert process.stdin
    process.stdin.write(order["script"].encode())
    process.stdin.close()
    return process


def _follow(bridge: Bridge, pipe: int) -> None:
    """Until k6 closes the pipe. What arrived together is written together."""
    started = False
    with os.fdopen(pipe, "rb", buffering=0) as file:
        for block in _blocks(file.fileno()):
            for row in csv.reader(block):
                if row and row[0] != rows.HEADER[0]:
                    bridge.take(row)
            bridge.flush()
            if not started and bridge.begins:
                started = True
                os.write(1, b"started\n")
    bridge.finish()


def _blocks(pipe: int) -> Iterator[list[str]]:
    """Whole lines, as they arrive. No field of a request has a line break in it (they are quoted in URLs)."""
    rest = b""
    while data := os.read(pipe, 1 << 18):
        *lines, rest = (rest + data).split(b"\n")
        yield [line.decode("utf-8", "replace") for line in lines]


def _obey(process: subprocess.Popen[bytes]) -> None:
    """`stop` is k6's Ctrl-C; the end of stdin is the end of everything."""
    if not sys.stdin.readline():
        process.kill()
        os._exit(4)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    main()
