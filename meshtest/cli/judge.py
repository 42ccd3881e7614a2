"""`meshtest judge RUN`: the verdict of a stored run, from its records alone."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.cli import EXIT
from meshtest.cli.options import add_json
from meshtest.cli.terminal import Terminal
from meshtest.errors import HistoryError, UsageError

if TYPE_CHECKING:
    from meshtest.run.stored import StoredRun


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, nargs="?", help="a run folder (default: the newest in ./reports)")
    add_json(parser)


def go(arguments: argparse.Namespace) -> int:
    from meshtest.checks import NoDowntime, judge
    from meshtest.reporters import console
    from meshtest.run.report import rehearsals_of

    run = run_at(arguments.run)
    history = run.history()
    verdict = run.judge() if run.asked else judge(history, [NoDowntime()])
    if arguments.json:
        print(json.dumps({"run": str(run.path), **verdict.as_data()}))
    else:
        with Terminal() as terminal:
            held = tuple(rehearsals_of(run.path))
            terminal.say(console.summary(history, verdict, rehearsals=held, folder=run.path, **terminal.look))
            if run.about.get("test") == "failed" and run.about.get("error"):
                terminal.say(f"  (when it ran, the test itself failed: {str(run.about['error']).splitlines()[0]})")
            if not run.asked:
                terminal.say("  (nothing was asked when it ran; judged by no_downtime)")
    return EXIT[verdict.outcome]


def run_at(path: Path | None) -> StoredRun:
    """The run that is named on a command line, or the newest."""
    from meshtest.run import open_run

    try:
        return open_run(path or newest(Path("reports")))
    except HistoryError as error:
        raise UsageError(str(error)) from None  # the argument is wrong, not the disk


def newest(reports: Path) -> Path:
    """The run folder that was begun last."""
    from meshtest.run.folder import runs

    if not (found := runs(reports)):
        raise UsageError(f"no run folder in {reports.absolute()}; name one: meshtest judge reports/RUN")
    return found[-1][0]
