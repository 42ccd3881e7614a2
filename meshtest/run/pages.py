"""Pages of stored runs: one of a run, and the index of a folder. Not here: what is on them (reporters/html)."""

from __future__ import annotations

from pathlib import Path

from meshtest.errors import HistoryError
from meshtest.lib.journal import write_text_atomically
from meshtest.model.report import RunReport
from meshtest.run.report import report_of
from meshtest.run.stored import open_run

PAGE, INDEX = "report.html", "index.html"


def write_page(report: RunReport) -> Path:
    """`report.html` in the folder of the run."""
    from meshtest.reporters.html import page

    assert report.folder is not None, "a run that is stored"
    return _written(report.folder / PAGE, page(report))


def write_index(parent: Path) -> Path:
    """`index.html` of a folder of runs. Those of another format are named in it, with the reason."""
    from meshtest.reporters.html import index
    from meshtest.run.listing import listing

    reports, others = [], {}
    for run in listing(parent):
        try:
            reports.append(report_of(open_run(run.path)))
        except HistoryError as error:
            others[run.path.name] = str(error)
    return _written(parent / INDEX, index(reports, others))


def _written(path: Path, text: str) -> Path:
    try:
        write_text_atomically(path, text)
    except OSError as error:
        raise HistoryError(f"cannot write {path}: {error.strerror}") from None
    return path
