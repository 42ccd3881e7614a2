"""Stored runs as reports see them, and what is said of folders that cannot be read, or only in part."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from meshtest.checks import no_downtime
from meshtest.errors import HistoryError, UsageError
from meshtest.model.verdict import Outcome
from meshtest.run import Run, open_run
from meshtest.run.listing import listing
from meshtest.run.merge import merge
from meshtest.run.pages import write_index, write_page
from meshtest.run.report import report_of
from meshtest.settings import Settings
from tests.run.test_run import a_run, add_requests

GONE = 2**22 + 1
"""No process has this id: it is beyond the kernel's limit."""


def ended(parent: Path, name: str = "canary") -> Path:
    with a_run(parent, name) as run:
        add_requests(run, 50)
        run.judge([no_downtime()])
    return run.directory


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def killed(parent: Path, *, judged: bool = False) -> Path:
    """As SIGKILL leaves it: no end, a line and a record half written."""
    run = a_run(parent)
    add_requests(run, 50)
    if judged:
        run.judge([no_downtime()])
    shutil.copytree(run.directory, parent / "killed")
    run.close()
    shutil.rmtree(run.directory)
    rewrite(parent / "killed" / "run.json", pid=GONE)
    for name in ("events.jsonl", "requests/load.bin"):
        with (parent / "killed" / name).open("ab") as file:
            file.write(b'{"at":1')
    return parent / "killed"


class TestOutcome:
    def test_a_plain_assert_that_failed_is_the_verdict(self, tmp_path: Path) -> None:
        run = a_run(tmp_path)
        add_requests(run, 50)
        run.judge([no_downtime()])
        run.test_ended("failed", "AssertionError: assert 1 == 2\n  more")
        run.test_ended("passed")
        run.close()
        report = report_of(open_run(run.directory))
        assert (report.about["outcome"], report.about["test"]) == ("FAIL", "failed")
        assert report.verdict.sentence == "FAIL: test: AssertionError: assert 1 == 2"
        assert report.verdict.decisive.figures["message"].endswith("more")

    def test_a_verdict_that_is_not_pass_is_the_verdict(self, tmp_path: Path) -> None:
        run = a_run(tmp_path)
        run.judge([no_downtime()])
        run.test_ended("failed")
        run.close()
        report = report_of(open_run(run.directory))
        assert (report.about["outcome"], report.about["error"]) == ("UNKNOWN", None)
        assert report.verdict.outcome is Outcome.UNKNOWN


class TestCutShort:
    @pytest.mark.parametrize("judged", [False, True])
    def test_it_is_judged_up_to_its_last_whole_record_and_says_so(self, tmp_path: Path, judged: bool) -> None:
        report = report_of(open_run(killed(tmp_path, judged=judged)))
        assert len(report.history.requests) == 50
        assert report.verdict.outcome is Outcome.UNKNOWN
        (found,) = [f for f in report.verdict.findings if f.check == "history"]
        assert found.sentence.startswith("the record was cut short (crash or full disk); judged up to t=")
        assert [f.outcome for f in report.verdict.findings if f.check == "no_downtime"] == [Outcome.PASS]
        page = write_page(report).read_text()
        assert "was cut short" in page

    def test_a_run_that_is_being_written_has_a_page(self, tmp_path: Path) -> None:
        with a_run(tmp_path) as run:
            add_requests(run, 50)
            report = report_of(open_run(run.directory))
            assert not report.history.truncated
            assert "Running" in write_page(report).read_text()
            assert "Running" in write_index(tmp_path).read_text()


class TestNoRun:
    def test_another_format_is_named_with_what_to_do(self, tmp_path: Path) -> None:
        path = ended(tmp_path)
        rewrite(path / "run.json", schema_version=2, meshtest="0.0.9")
        with pytest.raises(HistoryError) as trouble:
            open_run(path)
        assert str(trouble.value) == (
            f"{path}: written in format 2; this meshtest reads 3: read it with the meshtest that wrote it "
            "(version 0.0.9), or run it again: pytest -k canary"
        )
        rewrite(path / "run.json", schema_version=99)
        with pytest.raises(
            HistoryError, match=r"written in format 99; this meshtest reads 3: upgrade meshtest, or run"
        ):
            open_run(path)

    def test_the_index_names_it_and_shows_the_others(self, tmp_path: Path) -> None:
        rewrite(ended(tmp_path, "old") / "run.json", schema_version=2)
        ended(tmp_path, "new")
        text = write_index(tmp_path).read_text()
        assert "written in format 2" in text
        assert "new" in text

    @pytest.mark.parametrize(
        "text", ["", "[]", "{}", '{"schema_version": 3}', '{"schema_version": 3, "start_ns": "x"}']
    )
    def test_a_folder_that_is_no_run_is_one_clear_error(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(HistoryError, match=r"not a run folder: it has no readable run.json|not written by a run"):
            open_run(tmp_path)

    @pytest.mark.parametrize("text", ["{", "{}", '{"findings": [{"outcome": "PASS"}]}', '{"findings": [1]}'])
    def test_a_verdict_that_is_none_is_one_clear_error(self, tmp_path: Path, text: str) -> None:
        path = ended(tmp_path)
        (path / "verdict.json").write_text(text)
        with pytest.raises(HistoryError, match=r"verdict\.json is (not JSON|no verdict)"):
            report_of(open_run(path))


class TestMerge:
    def test_all_attempts_are_kept_and_numbered(self, tmp_path: Path) -> None:
        first, second = ended(tmp_path / "one"), ended(tmp_path / "two")
        merged = merge([tmp_path / "one", tmp_path / "two"], tmp_path / "all")
        assert [run.copied for run in merged] == [True, True]
        assert [run.label for run in listing(tmp_path / "all")] == ["run 1 of 2", "run 2 of 2"]
        assert "run 1 of 2" in write_index(tmp_path / "all").read_text()
        assert all(path.is_dir() for path in (first, second)), "they are copied, not moved"

    def test_nothing_is_replaced_and_nothing_is_twice(self, tmp_path: Path) -> None:
        path = ended(tmp_path / "one")
        (where,) = [run.path for run in merge([tmp_path / "one"], tmp_path / "all")]
        (where / "note.txt").write_text("mine")
        assert [run.copied for run in merge([tmp_path / "one", path], tmp_path / "all")] == [False, False]
        assert (where / "note.txt").read_text() == "mine"

    def test_another_run_of_the_same_folder_name_gets_a_number(self, tmp_path: Path) -> None:
        path = ended(tmp_path / "one")
        other = tmp_path / "two" / path.name
        shutil.copytree(path, other)
        rewrite(other / "run.json", seed=8)
        merged = merge([tmp_path / "one", tmp_path / "two"], tmp_path / "all")
        assert [run.path.name for run in merged] == [path.name, f"{path.name}-2"]
        assert not [name for name in os.listdir(tmp_path / "all") if name.startswith(".new-")]

    def test_what_has_no_runs_is_refused_before_anything_is_copied(self, tmp_path: Path) -> None:
        ended(tmp_path / "one")
        (tmp_path / "none").mkdir()
        for wrong, why in (("none", "has no run folders"), ("nowhere", "no folder"), ("all", "has no run|no folder")):
            with pytest.raises(UsageError, match=why):
                merge([tmp_path / "one", tmp_path / wrong], tmp_path / "all")
        assert not (tmp_path / "all").exists()


def test_clearing_old_runs_leaves_what_is_no_run_alone(tmp_path: Path) -> None:
    """The examples of this repository lie in a folder of their own, a level below that where runs are looked for."""
    example = tmp_path / "examples" / "pass"
    shutil.copytree(ended(tmp_path / "elsewhere"), example)
    for _ in range(3):
        Run("canary", Settings(reports=tmp_path, keep=1)).close()
    assert (example / "run.json").is_file()
