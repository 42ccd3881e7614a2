"""A run's folder and record: whole, ordered, repeatable; and what is left when it is cut short."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from meshtest.checks import fault_bit, no_downtime, reached
from meshtest.errors import HistoryError
from meshtest.lib.journal import Journal
from meshtest.model.history import HOP_FIELDS, Hops, parse_hop
from meshtest.model.record import NO_CODE, RECORD
from meshtest.model.request import Server
from meshtest.model.verdict import Outcome
from meshtest.run import Run, judge_again, open_run, unfinished
from meshtest.run.folder import slug
from meshtest.settings import Settings

BODY = (2, 0, 0, NO_CODE)
"""Size, target, transport and code of a record."""


def a_run(parent: Path, name: str = "canary", **settings: Any) -> Run:
    return Run(name, Settings(reports=parent, **settings), command="pytest -k canary", seed=7)


def add_requests(run: Run, count: int, *, load: str = "load", status: int = 200) -> Path:
    """As the prober would: names, then records."""
    path = run.directory / "requests" / f"{load}.bin"
    path.with_suffix(".names").write_text("web/v1/web-1\n")
    rows = [(run.start_ns + i * 1_000_000, i, 0, 5000, 9000, status, 1, 0, i % 2, 1, 1, *BODY) for i in range(count)]
    with path.open("ab") as file:
        file.write(b"".join(RECORD.pack(*row) for row in rows))
    return path


class TestFolder:
    def test_it_tells_about_the_run_from_its_first_moment(self, tmp_path: Path) -> None:
        with a_run(tmp_path) as run:
            about = json.loads((run.directory / "run.json").read_text())
        assert (about["schema_version"], about["name"], about["seed"], about["ended"]) == (3, "canary", 7, None)
        assert about["command"] == "pytest -k canary"

    def test_it_is_named_after_the_time_and_the_scenario(self, tmp_path: Path) -> None:
        with a_run(tmp_path, "suites/canary/test_x.py::test_shift[v2]") as run:
            assert run.directory.name.endswith("Z") is False
            assert run.directory.name[19:] == "-suites-canary-test-x-py-test-shift-v2"

    @pytest.mark.parametrize(("name", "expected"), [("", "run"), ("Ü/..", "run"), ("x" * 99, "x" * 60)])
    def test_any_name_makes_a_folder_name(self, name: str, expected: str) -> None:
        assert slug(name) == expected

    def test_runs_of_the_same_second_have_folders_of_their_own(self, tmp_path: Path) -> None:
        with ThreadPoolExecutor(8) as pool:
            runs = list(pool.map(lambda _: a_run(tmp_path), range(24)))
        assert len({run.directory for run in runs}) == 24
        assert sorted(p.name for p in tmp_path.iterdir()) == sorted(run.directory.name for run in runs)
        for run in runs:
            run.close()

    def test_a_place_that_cannot_be_written_is_an_error_and_leaves_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(HistoryError, match="cannot make a run folder"):
            a_run(tmp_path / "file" / "reports")

    def test_the_oldest_are_cleared_away_but_nothing_foreign_and_nothing_alive(self, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "notes.txt").touch()
        living = a_run(tmp_path, "living")
        names = []
        for number in range(5):
            with a_run(tmp_path, f"run-{number}", keep=3) as run:
                names.append(run.directory.name)
        left = {p.name for p in tmp_path.iterdir()}
        assert left == {"mine", "notes.txt", living.directory.name, *names[1:]}
        living.close()


class TestRecord:
    def test_events_come_back_in_order_from_many_threads(self, tmp_path: Path) -> None:
        with a_run(tmp_path) as run, ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: run.record("note", str(i), kind="x", subject="ü\n"), range(200)))
            events = run.history().of("note")
        assert sorted(int(e.subject) for e in events) == list(range(200))
        assert [e.at for e in events] == sorted(e.at for e in events)
        assert events[0].data == {"kind": "x", "subject": "ü\n"}

    def test_history_grows_while_the_run_lasts(self, tmp_path: Path) -> None:
        with a_run(tmp_path) as run:
            assert len(run.history().requests) == 0
            add_requests(run, 3)
            first = run.history()
            add_requests(run, 3, load="other")
            assert (len(first.requests), len(run.history().requests)) == (3, 6)
            assert first.requests[2].at == pytest.approx(0.002)
            assert first.requests[0].server == Server("web", "v1", "web-1")

    def test_hops_are_on_the_clock_of_the_run(self, tmp_path: Path) -> None:
        with a_run(tmp_path) as run:
            at = f"{run.wall_start + 1.5:.6f}"
            line = f"{at}\toutbound\tdefault/web\tload-1\tGET\tapi:80\t/\t503\tUF,URX\tc\tapi/v2/api-1\t3\t12\t91\t-"
            (run.directory / "hops.tsv").write_text(f"{line}\ngarbage\n{line[:40]}")
            history = run.history()
        (hop,) = history.hops_of("load-1")
        assert hop.at == pytest.approx(1.5, abs=1e-5)
        assert (hop.status, hop.flags, hop.attempts, hop.seconds) == (503, "UF,URX", 3, 0.012)
        assert hop.server == Server("api", "v2", "api-1")
        assert not hop.mutual_tls
        assert len(history.hops) == 1
        assert not history.truncated

    def test_what_a_proxy_does_not_know_is_a_dash(self) -> None:
        hop = parse_hop("\t".join(["0.5", *["-"] * (len(HOP_FIELDS) - 1)]), 0.0)
        assert (hop.status, hop.attempts, hop.seconds, hop.server) == (0, 0, 0.0, Server())
        assert (hop.principal, hop.mutual_tls) == ("", False)
        assert Hops(["a\tb"]).malformed == 1

    def test_a_full_disk_is_an_error_and_the_verdict_is_unknown(self, tmp_path: Path) -> None:
        run = a_run(tmp_path)
        add_requests(run, 5)
        assert run.judge([no_downtime()]).outcome is Outcome.PASS
        real, run._journal = run._journal, Journal(Path("/dev/full"))
        with pytest.raises(HistoryError, match=r"disk full in .*; recorded up to second"):
            run.record("note", text="x")
        run._journal.close()
        run._journal = real
        assert run.judge([no_downtime()]).outcome is Outcome.UNKNOWN
        run.close()
        assert judge_again(run.directory).outcome is Outcome.UNKNOWN


class TestJudge:
    def test_the_stored_run_gives_the_same_verdict_again(self, tmp_path: Path) -> None:
        with a_run(tmp_path) as run:
            add_requests(run, 50)
            verdict = run.judge([no_downtime(), reached(host="web", only=("v1",))], start=0.01)
            stored = judge_again(run.directory)
        assert stored == verdict
        assert judge_again(run.directory) == verdict
        assert json.loads((run.directory / "verdict.json").read_text())["outcome"] == "PASS"

    def test_what_came_after_the_question_does_not_change_the_answer(self, tmp_path: Path) -> None:
        with a_run(tmp_path) as run:
            add_requests(run, 50)
            verdict = run.judge([no_downtime()])
            add_requests(run, 10, load="later", status=503)
            add_requests(run, 10, status=503)
        assert judge_again(run.directory) == verdict

    def test_findings_add_up_to_the_outcome_of_the_run(self, tmp_path: Path) -> None:
        with a_run(tmp_path) as run:
            add_requests(run, 5)
            run.judge([no_downtime()])
            run.judge([fault_bit()])
            assert [f.check for f in run.verdict.findings] == ["no_downtime", "fault_bit"]
        assert open_run(run.directory).about["outcome"] == "UNKNOWN"
        assert len(open_run(run.directory).history().of("verdict")) == 2

    def test_a_run_that_was_not_judged_is_unknown(self, tmp_path: Path) -> None:
        with a_run(tmp_path) as run:
            pass
        assert open_run(run.directory).about["outcome"] == "UNKNOWN"
        assert judge_again(run.directory).outcome is Outcome.UNKNOWN

    def test_what_is_no_run_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(HistoryError, match="is not a run folder"):
            open_run(tmp_path)
        (tmp_path / "run.json").write_text('{"schema_version": 99}')
        with pytest.raises(HistoryError, match="format 99; this meshtest reads 3"):
            open_run(tmp_path)


CRASH = """
import os, sys
from pathlib import Path
from meshtest.run import Run
from meshtest.settings import Settings
run = Run("crash", Settings(reports=Path(sys.argv[1])), command="x")
run.record("note", text="whole")
print(run.directory, flush=True)
os.kill(os.getpid(), 9)
"""


def crashed(parent: Path) -> Path:
    command = [sys.executable, "-c", CRASH, str(parent)]
    return Path(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.strip())


class TestCrash:
    def test_it_is_told_from_a_run_that_ended_or_is_alive(self, tmp_path: Path) -> None:
        folder = crashed(tmp_path)
        with a_run(tmp_path), a_run(tmp_path):
            assert unfinished(tmp_path) == [folder]

    def test_it_is_read_up_to_the_last_whole_record_and_says_so(self, tmp_path: Path) -> None:
        folder = crashed(tmp_path)
        with (folder / "events.jsonl").open("a") as file:
            file.write('{"at": 1.0, "kind": "no')
        (folder / "requests" / "load.bin").write_bytes(RECORD.pack(1, 0, 0, 1, 2, 200, 0, 0, 0, 1, 0, *BODY) + b"half")
        history = open_run(folder).history()
        assert history.truncated
        assert [e.kind for e in history.events] == ["run.start", "note"]
        assert len(history.requests) == 1

    def test_its_folder_counts_as_over_and_is_cleared_in_its_turn(self, tmp_path: Path) -> None:
        folder = crashed(tmp_path)
        with a_run(tmp_path, keep=1), a_run(tmp_path, keep=0):
            assert not folder.exists()

    def test_a_pid_that_came_around_again_does_not_keep_it_alive(self, tmp_path: Path) -> None:
        folder = crashed(tmp_path)
        about = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps(about | {"pid": os.getpid()}))
        assert unfinished(tmp_path) == [folder]


class TestUndo:
    def test_the_last_thing_done_is_undone_first_and_errors_stop_nothing(self, tmp_path: Path) -> None:
        done: list[str] = []

        def broken() -> None:
            raise OSError("stuck")

        run = a_run(tmp_path)
        run.undo.push("first", lambda: done.append("first"))
        run.undo.push("broken", broken)
        run.undo.push("last", lambda: done.append("last"))
        assert run.undo.pending == ["last", "broken", "first"]
        failed = run.close()
        assert done == ["last", "first"]
        assert [str(f) for f in failed] == ["broken: OSError: stuck"]
        assert [e.subject for e in open_run(run.directory).history().of("undo.failed")] == ["broken"]
        assert run.close() == []

    def test_what_was_undone_early_is_not_undone_again(self, tmp_path: Path) -> None:
        done: list[int] = []
        with a_run(tmp_path) as run:
            now = run.undo.push("it", lambda: done.append(1))
            threads = [threading.Thread(target=now) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert done == [1]

    def test_a_test_that_failed_is_told_in_the_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError), a_run(tmp_path) as run:
            _ = 1 / 0
        about = open_run(run.directory).about
        assert (about["outcome"], about["error"]) == ("FAIL", "ZeroDivisionError: division by zero")
