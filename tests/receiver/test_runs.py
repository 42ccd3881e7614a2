"""Whose spans are whose, and what becomes of those that cannot be kept."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from meshtest_telemetry.receiver_sink import OVERLOAD, Batch, Sink

from meshtest.errors import HistoryError

from .conftest import PROTOBUF, Run, told


def test_spans_belong_to_the_run_that_is_served_when_they_come(run: Run, tmp_path: Path) -> None:
    run.post("/v1/traces", told("first").SerializeToString(), PROTOBUF)
    run.receiver.serve(tmp_path / "second.jsonl", run.record)
    run.post("/v1/traces", told("second").SerializeToString(), PROTOBUF)
    assert [span.name for span in run.spans] == ["first"]
    assert b'"second"' in (tmp_path / "second.jsonl").read_bytes()


def test_between_two_runs_spans_belong_to_none(run: Run) -> None:
    run.receiver.rest()
    assert run.post("/v1/traces", told().SerializeToString(), PROTOBUF).status == 200
    assert (run.spans, run.events) == ([], [])


def test_a_run_without_spans_has_no_file(run: Run) -> None:
    run.receiver.flush()
    assert not run.file.exists()


def test_nothing_that_decodes_is_imported_before_there_is_something_to_decode() -> None:
    program = """
import sys
from meshtest_telemetry.receiver import Receiver
receiver = Receiver()
receiver.start()
receiver.close()
heavy = {"google", "grpc", "opentelemetry", "asyncio", "http", "ssl", "json"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""
    done = subprocess.run([sys.executable, "-S", "-c", program], env={"PYTHONPATH": ":".join(sys.path)}, stdout=-1)
    assert (done.returncode, done.stdout) == (0, b"[]\n")


def test_closing_twice_is_once(run: Run) -> None:
    run.receiver.close()
    run.receiver.close()
    with pytest.raises(OSError):
        run.post("/v1/traces", told().SerializeToString(), PROTOBUF)


def test_a_full_disk_is_told_with_what_it_cost(run: Run) -> None:
    run.receiver.serve(Path("/dev/full"), run.record)
    run.post("/v1/traces", told(count=3).SerializeToString(), PROTOBUF)
    assert run.dropped == 3
    assert run.events[0]["reason"] == "cannot write full: No space left on device"


class TestQueue:
    def test_while_one_is_written_as_many_wait_as_there_is_room_for(self, tmp_path: Path) -> None:
        told: list[tuple[int, str]] = []
        writing, go_on = threading.Event(), threading.Event()

        def slow() -> list[bytes]:
            writing.set()
            go_on.wait(30)
            return [b"slow\n"]

        sink = Sink(capacity=3)
        sink.serve(tmp_path / "spans", lambda _, **data: told.append((data["count"], data["reason"])))
        assert sink.put(Batch(1, slow)) == 0
        assert writing.wait(30)
        quick = Batch(1, lambda: [b"quick\n"])
        assert [sink.put(quick) for _ in range(5)] == [0, 0, 1, 1, 1]
        go_on.set()
        sink.flush()
        assert (tmp_path / "spans").read_bytes() == b"slow\nquick\nquick\n"
        assert (sum(count for count, _ in told), {reason for _, reason in told}) == (3, {OVERLOAD})
        assert len(told) <= 2, "at once, and then once a second and at the end"
        sink.close()

    def test_a_batch_that_cannot_be_converted_does_not_end_the_writer(self, tmp_path: Path) -> None:
        told: list[int] = []
        sink = Sink()
        sink.serve(tmp_path / "spans", lambda _, **data: told.append(data["count"]))
        sink.put(Batch(2, lambda: [b"%d" % int("x")]))
        sink.put(Batch(1, lambda: [b"well\n"]))
        sink.flush()
        assert (tmp_path / "spans").read_bytes() == b"well\n"
        assert told == [2]
        sink.close()

    def test_a_run_that_cannot_be_told_does_not_stop_the_receiver(self, tmp_path: Path) -> None:
        def record(*_: object, **__: object) -> None:
            raise HistoryError("disk full")

        sink = Sink()
        sink.serve(tmp_path / "spans", record)
        sink.drop(1, "why")
        sink.put(Batch(1, lambda: [b"well\n"]))
        sink.flush()
        assert (tmp_path / "spans").read_bytes() == b"well\n"
        sink.close()

    def test_many_reasons_are_not_kept_apart_for_ever(self, tmp_path: Path) -> None:
        told: dict[str, int] = {}
        sink = Sink()
        for number in range(100):
            sink.drop(1, f"reason {number}")
        sink.serve(tmp_path / "spans", lambda _, **data: told.update({data["reason"]: data["count"]}))
        sink.drop(1, "after")
        sink.flush()
        assert told == {"after": 1}, "what nobody was served for is nobody's"
        sink.close()
