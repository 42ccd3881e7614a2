"""Records on disk after a crash, or after somebody wrote over them: up to the last whole one, or one clear error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from meshtest.checks import latency, no_downtime
from meshtest.errors import HistoryError
from meshtest.lib import prefix
from meshtest.model.history import History
from meshtest.model.record import NO_CODE, PART_BITS, RECORD
from meshtest.model.verdict import Outcome
from meshtest.run import Run, open_run
from meshtest.run.stored import StoredRun
from meshtest.settings import Settings

WRITER = """
import os, sys
from meshtest.model.history import History
from meshtest.model.record import NO_CODE, PART_BITS, RECORD
folder, start, parts = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
files = []
for part in range(parts):
    stem = f"{folder}/load" + (f"+{part}" if part else "")
    with open(stem + ".names", "w") as names:
        names.write(f"web/v{part}/pod\\n")
    files.append(os.open(stem + ".bin", os.O_WRONLY | os.O_CREAT | os.O_APPEND))
count = 0
while True:
    for part, file in enumerate(files):
        index = part << PART_BITS | count
        row = RECORD.pack(start + count * 1000, index, 0, 5, 9, 200, 1, 0, 0, 1, 1, 2, 0, 0, NO_CODE)
        os.write(file, row * 1000 + row[:17])  # a block, and a piece of the next one
        os.write(file, row[17:])
    count += 1
    if count == 3:
        print("going", flush=True)
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    with Run("canary", Settings(reports=tmp_path), command="pytest", seed=7) as run:
        (run.directory / "requests").mkdir(exist_ok=True)
        return run


def records(run: Run, count: int, *, server: int = 1, fate: int = 0) -> bytes:
    rows = [(run.start_ns + i * 1000, i, 0, 5, 9, 200, server, fate, 0, 1, 1, 2, 0, 0, NO_CODE) for i in range(count)]
    return b"".join(RECORD.pack(*row) for row in rows)


def put(run: Run, data: bytes, name: str = "load") -> StoredRun:
    (run.directory / "requests" / f"{name}.bin").write_bytes(data)
    (run.directory / "requests" / f"{name}.names").write_text("web/v1/pod\n")
    return open_run(run.directory)


@pytest.mark.parametrize("parts", [1, 3])
def test_after_a_sigkill_every_whole_record_of_every_part_is_there(run: Run, parts: int) -> None:
    order = [sys.executable, "-c", WRITER, str(run.directory / "requests"), str(run.start_ns), str(parts)]
    writer = subprocess.Popen(order, stdout=subprocess.PIPE)
    with writer:
        assert writer.stdout
        assert writer.stdout.readline() == b"going\n"
        early = open_run(run.directory).history()  # it grows while it is read
        writer.send_signal(signal.SIGKILL)
    sizes = [path.stat().st_size // RECORD.size for path in (run.directory / "requests").glob("*.bin")]
    late = open_run(run.directory).history()
    assert (len(sizes), len(late.requests)) == (parts, sum(sizes))
    assert 0 < len(early.requests) <= len(late.requests)
    assert {r.version for r in late.requests[:: max(len(late.requests) // 50, 1)]} <= {f"v{i}" for i in range(parts)}
    assert {index >> PART_BITS for index in late.requests.indices} == set(range(parts))


def test_a_large_file_is_mapped_and_a_growing_one_keeps_the_prefix_it_had(run: Run) -> None:
    count = prefix.MAPPED // RECORD.size + 10
    stored = put(run, records(run, count))
    before = stored.history()
    with (run.directory / "requests" / "load.bin").open("ab") as file:
        file.write(records(run, 5))
    assert isinstance(before.requests.raw, memoryview)
    assert (len(before.requests), len(stored.history().requests)) == (count, count + 5)
    assert len(stored.history(before.cut).requests) == count
    assert no_downtime().judge(before).outcome is Outcome.PASS


def test_a_file_shorter_than_when_it_was_judged_proves_nothing(run: Run) -> None:
    stored = put(run, records(run, 10))
    cut = stored.history().cut
    path = run.directory / "requests" / "load.bin"
    os.truncate(path, 4 * RECORD.size)
    history = stored.history(cut)
    assert (len(history.requests), history.truncated) == (4, True)


def test_half_a_record_at_the_end_of_a_run_that_is_over_is_told(run: Run) -> None:
    history = put(run, records(run, 10)[:-7]).history()
    assert (len(history.requests), history.truncated) == (9, True)


@pytest.mark.parametrize("data", [b"\xff" * 400, b"PK\x03\x04" * 100, bytes(range(200))])
def test_a_foreign_file_is_one_clear_error(run: Run, data: bytes) -> None:
    stored = put(run, data)
    with pytest.raises(HistoryError, match=r"requests \(load\.bin\): not records of requests"):
        stored.history()


def test_a_server_that_has_no_name_is_one_clear_error(run: Run) -> None:
    stored = put(run, records(run, 3, server=9))
    with pytest.raises(HistoryError, match="not records"):
        stored.history()


def test_a_folder_in_place_of_the_records_is_one_clear_error(run: Run) -> None:
    (run.directory / "requests" / "load.bin").mkdir()
    with pytest.raises(HistoryError, match=r"cannot read .*load\.bin: Is a directory"):
        open_run(run.directory).history()


def test_checks_asked_together_are_judged_on_one_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Run("canary", Settings(reports=tmp_path), command="pytest", seed=7) as run:
        put(run, records(run, 400))
        live = run.judge([no_downtime(), latency(below=1.0)])
    readings, read = [], StoredRun.history

    def counted(self: StoredRun, cut: Mapping[str, int] | None = None) -> History:
        readings.append(cut)
        return read(self, cut)

    monkeypatch.setattr(StoredRun, "history", counted)
    assert str(open_run(run.directory).judge()) == str(live)
    assert len(readings) == 1
