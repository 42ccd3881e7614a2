"""report, graph: pages, index, comparison, merging; what is printed and what is written."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import pytest

from meshtest.cli import main
from tests.run.test_report import ended, rewrite


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Two in ./reports, the newest last."""
    monkeypatch.chdir(tmp_path)
    found = [ended(Path("reports"), "one"), ended(Path("reports"), "two")]
    for number, path in enumerate(found):
        rewrite(path / "run.json", started=1000.0 + number)
    return found


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(list(words)) == code
    out, err = capsys.readouterr()
    return err if code else out


class TestPage:
    def test_the_newest_run_and_the_index_of_its_folder(
        self, runs: list[Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        lines = said(capsys, "report").splitlines()
        assert lines == [f"{runs[1]}/report.html", "reports/index.html"]
        assert "<!doctype html>" in Path(lines[0]).read_text().lower()
        index = Path(lines[1]).read_text()
        assert f'href="{runs[1].name}/report.html"' in index
        assert f'href="{runs[0].name}/report.html"' not in index, "there is no page of it yet"

    def test_all_runs_of_a_folder(self, runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
        told = json.loads(said(capsys, "report", "reports", "--all", "--json"))
        assert told == {"pages": [f"{run}/report.html" for run in runs], "index": "reports/index.html"}

    def test_it_is_opened_where_there_is_a_browser(
        self, runs: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[str] = []
        monkeypatch.setattr(webbrowser, "open", lambda url: bool(opened.append(url)) or True)
        page = (runs[0] / "report.html").absolute()
        assert said(capsys, "report", "open", str(runs[0])) == f"{page}\n"
        assert opened == [page.as_uri()]
        monkeypatch.setattr(webbrowser, "open", lambda url: False)
        assert said(capsys, "report", "open", str(runs[0])) == f"{page}\n(no browser was found; open it in one)\n"

    @pytest.mark.parametrize(
        ("words", "text"),
        [
            (["report", "nowhere"], "nowhere is no run folder: there is no such folder"),
            (["report", "reports", "more"], "one run or folder at a time, not reports more"),
            (["report", "diff", "reports"], "report diff compares two runs, and 1 are named"),
            (["report", "diff", "reports", "reports"], "reports is not a run folder: it has no readable run.json"),
            (["report", "merge", "reports"], "name the folders and where they go"),
            (["report", "merge", "reports", "--into", "reports"], "reports is what the runs are to be merged into"),
            (["graph", "reports"], "reports is not a run folder"),
        ],
    )
    def test_bad_input_is_one_message(
        self, runs: list[Path], capsys: pytest.CaptureFixture[str], words: list[str], text: str
    ) -> None:
        assert text in said(capsys, *words, code=4)

    def test_a_run_of_an_older_format_is_one_message(
        self, runs: list[Path], capsys: pytest.CaptureFixture[str]
    ) -> None:
        rewrite(runs[0] / "run.json", schema_version=1)
        for words in (["report"], ["graph"], ["report", "diff", str(runs[1])]):
            assert "written in format 1; this meshtest reads 3" in said(capsys, *words, str(runs[0]), code=4)


class TestOthers:
    def test_runs_are_compared(self, runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
        text = said(capsys, "report", "diff", *map(str, runs))
        assert text.splitlines()[:4] == [f"A  {runs[0]}", f"B  {runs[1]}", "run:", "  name: one -> two"]
        assert json.loads(said(capsys, "report", "diff", *map(str, runs), "--json"))["about"] == {
            "name": ["one", "two"]
        }

    def test_folders_are_merged(self, runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
        ended(Path("other"), "one")
        assert said(capsys, "report", "merge", "reports", "other", "--into", "all") == "3 runs copied\nall/index.html\n"
        again = json.loads(said(capsys, "report", "merge", "reports", "--into", "all", "--json"))
        assert [run["copied"] for run in again["runs"]] == [False, False]

    def test_the_graph_of_a_run(self, runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
        head, line = said(capsys, "graph", str(runs[0])).splitlines()
        assert head.split()[:4] == ["from", "to", "requests", "failed"]
        assert line.split()[:4] == ["client", "web@v1", "50", "0"]
        assert json.loads(said(capsys, "graph", "--json", "--until", "0"))["edges"] == []
