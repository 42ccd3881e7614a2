"""Pages of stored runs: one of a run, and the index of a folder. Not here: what is on them (reporters/html)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.errors import HistoryError
from meshtest.lib.journal import write_text_atomically
from meshtest.model.report import RunReport
from meshtest.model.verdict import Outcome
from meshtest.run.listing import Listed, listing
from meshtest.run.report import report_of
from meshtest.run.stored import open_run

if TYPE_CHECKING:
    from meshtest.reporters.html.index import Entry

PAGE, INDEX = "report.html", "index.html"


def write_page(report: RunReport) -> Path:
    """`report.html` in the folder of the run."""
    from meshtest.reporters.html import page

    assert report.folder is not None, "a run that is stored"
    return _written(report.folder / PAGE, page(report))


def write_index(parent: Path) -> Path:
    """`index.html` of a folder of runs. One that cannot be read is in it, with the reason."""
    from meshtest.reporters.html import index

    return _written(parent / INDEX, index([_entry(run) for run in listing(parent)], parent.resolve().name))


def _entry(run: Listed) -> Entry:
    """Linked if its page is there; a test that ran more than once says which of its runs this is."""
    from meshtest.reporters.html.index import Entry, entry

    try:
        found = entry(report_of(open_run(run.path)))
    except HistoryError as error:
        started = float(run.about.get("started") or 0.0)
        found = Entry(str(run.about.get("name")), Outcome.UNKNOWN, started, sentence=str(error))
    name = f"{found.name} ({run.label})" if run.label else found.name
    return found._replace(name=name, link=f"{run.path.name}/{PAGE}" if (run.path / PAGE).is_file() else "")


def _written(path: Path, text: str) -> Path:
    try:
        write_text_atomically(path, text)
    except OSError as error:
        raise HistoryError(f"cannot write {path}: {error.strerror}") from None
    return path
