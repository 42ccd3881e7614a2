"""`meshtest report`: the page of a stored run, the index of a folder; open it, compare two runs, merge folders."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.cli import OK
from meshtest.cli.options import add_json
from meshtest.errors import HistoryError, UsageError

if TYPE_CHECKING:
    from meshtest.model.report import RunReport

USAGE = """meshtest report [RUN | FOLDER] [--all]
       meshtest report open [RUN | FOLDER]
       meshtest report diff A B [--json]
       meshtest report merge DIR... --into DIR"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = USAGE
    parser.epilog = (
        "RUN is a run folder, by default the newest of FOLDER, which is by default ./reports. Its page is "
        "report.html in it, the index of the folder index.html. `merge` copies; it never replaces a run."
    )
    parser.add_argument("words", nargs="*", metavar="[open | diff | merge] PATH", help="what to do, and with what")
    parser.add_argument("--all", action="store_true", help="the pages of all runs of the folder")
    parser.add_argument("--into", type=Path, metavar="DIR", help="of merge: where the runs go")
    add_json(parser)


def go(arguments: argparse.Namespace) -> int:
    words = list(arguments.words)
    act = ACTS.get(words[0]) if words else None
    if act is None:
        return _make(arguments, words)
    return act(arguments, words[1:])


# ---- one page, and the index


def _make(arguments: argparse.Namespace, words: list[str]) -> int:
    from meshtest.run.folder import runs
    from meshtest.run.pages import write_index

    run, parent = _run_and_folder(words)
    paths = [path for path, _ in runs(parent)] if arguments.all else [run]
    written = [_page(path) for path in paths]
    made = {"pages": [str(path) for path in written], "index": str(write_index(parent))}
    if arguments.json:
        print(json.dumps(made))
    else:
        print("\n".join([*made["pages"], str(made["index"])]))
    return OK


def _run_and_folder(words: list[str]) -> tuple[Path, Path]:
    """What is meant by at most one path: a run and the folder it lies in."""
    from meshtest.cli.judge import newest
    from meshtest.run.folder import about

    if len(words) > 1:
        raise UsageError(f"one run or folder at a time, not {' '.join(words)} (two are compared by: report diff A B)")
    path = Path(words[0]) if words else Path("reports")
    if about(path) is not None:
        return path, path.absolute().parent
    if words and not path.is_dir():
        raise UsageError(f"{path} is no run folder: {'it is a file' if path.exists() else 'there is no such folder'}")
    return newest(path), path


def report_at(path: Path) -> RunReport:
    """Of the run that is named on a command line."""
    from meshtest.cli.judge import run_at
    from meshtest.run.report import report_of

    try:
        return report_of(run_at(path))
    except HistoryError as error:
        raise UsageError(str(error)) from None


def _page(path: Path) -> Path:
    from meshtest.run.folder import alive
    from meshtest.run.pages import write_page

    report = report_at(path)
    if alive(report.about):
        print(f"{path} is under way: its page says what is recorded by now", file=sys.stderr)
    elif report.history.truncated:
        print(f"{path}: {report.verdict.findings[-1].sentence}", file=sys.stderr)
    return write_page(report)


# ---- the others


def _open(arguments: argparse.Namespace, words: list[str]) -> int:
    import webbrowser

    run, _ = _run_and_folder(words)
    page = _page(run).absolute()
    if webbrowser.open(page.as_uri()):
        print(page)
    else:
        print(f"{page}\n(no browser was found; open it in one)")
    return OK


def _diff(arguments: argparse.Namespace, words: list[str]) -> int:
    from meshtest.reporters.difference import difference, text

    if len(words) != 2:
        raise UsageError(f"report diff compares two runs, and {len(words)} are named: meshtest report diff RUN RUN")
    found = difference(report_at(Path(words[0])), report_at(Path(words[1])))
    if arguments.json:
        print(json.dumps({"runs": words, **found.as_data()}))
    else:
        print("\n".join(text(found, (words[0], words[1]))))
    return OK


def _merge(arguments: argparse.Namespace, words: list[str]) -> int:
    from meshtest.lib.words import plural
    from meshtest.run.merge import merge
    from meshtest.run.pages import write_index

    if not words or arguments.into is None:
        raise UsageError("name the folders and where they go: meshtest report merge DIR DIR --into DIR")
    merged = merge([Path(word) for word in words], arguments.into)
    index = write_index(arguments.into)
    copied = sum(run.copied for run in merged)
    if arguments.json:
        runs = [{"source": str(run.source), "path": str(run.path), "copied": run.copied} for run in merged]
        print(json.dumps({"runs": runs, "index": str(index)}))
    else:
        there = len(merged) - copied
        print(f"{plural(copied, 'run')} copied" + (f", {there} there before" if there else ""))
        print(index)
    return OK


ACTS = {"open": _open, "diff": _diff, "merge": _merge}
