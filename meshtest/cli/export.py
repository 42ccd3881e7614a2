"""`meshtest export RUN`: a stored run for other programs.

Its requests as CSV, Parquet or an HDR histogram log; its traces as OTLP, Zipkin, Jaeger or Chrome JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from meshtest.cli import OK
from meshtest.errors import HistoryError, UsageError
from meshtest.lib.words import listed, plural
from meshtest.reporters.traces import FORMATS

if TYPE_CHECKING:
    from meshtest.model.request import Request
    from meshtest.model.span import Span
    from meshtest.run.stored import StoredRun


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, nargs="?", help="a run folder (default: the newest in ./reports)")
    parser.add_argument("--csv", metavar="FILE", help="a row a request; `-` is standard output")
    parser.add_argument("--parquet", metavar="FILE", help="the same columns; needs meshtest[export]")
    parser.add_argument("--hdr", metavar="FILE", help="latencies as an HdrHistogram log, by second and version")
    parser.add_argument("--format", choices=FORMATS, help="the traces, as JSON; what the framework did is among them")
    parser.add_argument("--output", metavar="FILE", default="-", help="where traces go (default: standard output)")
    parser.add_argument("--trace", metavar="ID", help="one trace only: its id, or a request such as load1-17")
    parser.add_argument("--load", metavar="NAME", help="this load only (default: all)")


def go(arguments: argparse.Namespace) -> int:
    from meshtest.cli.judge import newest
    from meshtest.run import open_run

    if not (arguments.csv or arguments.parquet or arguments.hdr or arguments.format):
        raise UsageError(
            "name what to write: --csv FILE, --parquet FILE or --hdr FILE (`--csv -` is standard output), or traces: "
            f"--format {'|'.join(FORMATS)}"
        )
    try:
        run = open_run(arguments.run or newest(Path("reports")))
    except HistoryError as error:
        raise UsageError(str(error)) from None  # the argument is wrong, not the disk
    wall_start = float(run.about["wall_start"])
    if arguments.format:
        _traces(run, arguments, wall_start)
    if not (arguments.csv or arguments.parquet or arguments.hdr):
        return OK
    _known(run, arguments.load)
    if arguments.csv:
        _csv(run, arguments.load, arguments.csv, wall_start)
    if arguments.parquet:
        _parquet(run, arguments.load, Path(arguments.parquet), wall_start)
    if arguments.hdr:
        _hdr(run, arguments.load, arguments.hdr, wall_start)
    return OK


def _known(run: StoredRun, load: str | None) -> None:
    loads = run.loads()
    if not loads:
        raise UsageError(f"{run.path} has no requests: no load ran in it")
    if load is not None and load not in loads:
        raise UsageError(f"{run.path} has no load {load!r}; there are: {listed(loads)}")


def _requests(run: StoredRun, load: str | None) -> Iterator[Request]:
    return itertools.chain.from_iterable(run.parts(load))


def _csv(run: StoredRun, load: str | None, where: str, wall_start: float) -> None:
    from meshtest.reporters.table import write_csv

    with _opened(where) as file:
        _say(write_csv(_requests(run, load), file, wall_start), "request", where)


def _parquet(run: StoredRun, load: str | None, path: Path, wall_start: float) -> None:
    from meshtest.reporters.table import write_parquet

    try:
        _say(write_parquet(_requests(run, load), path, wall_start), "request", str(path))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None


def _hdr(run: StoredRun, load: str | None, where: str, wall_start: float) -> None:
    from meshtest.reporters.hdr import write_hdr

    requests = run.history().requests
    with _opened(where) as file:
        _say(write_hdr(requests if load is None else requests.of_load(load), file, wall_start), "answer", where)


def _traces(run: StoredRun, arguments: argparse.Namespace, wall_start: float) -> None:
    import json

    from meshtest.reporters.traces import written

    spans = _spans(run, arguments.trace, arguments.load, wall_start)
    with _opened(arguments.output) as file:
        json.dump(written(arguments.format)(spans, wall_start), file, default=str)
        file.write("\n")
    _say(len(spans), "span", arguments.output)


def _spans(run: StoredRun, trace: str | None, load: str | None, wall_start: float) -> list[Span]:
    """All, with what the framework did; or of one trace, or of the traces of one load."""
    from meshtest.model.steps import requests, whole
    from meshtest.model.traces import Traces

    history = run.history()
    traces = Traces.of(history)
    if trace is not None:
        traces = Traces([traces[trace]], history)
    elif load is not None:
        traces = Traces((one for one in traces if one.request.rpartition("-")[0] == load), history)
    if not traces:
        of_load = f" of load {load!r}" if load else ""
        raise UsageError(f"{run.path} has no traces{of_load}: was the setting `traces` off?")
    if trace is None and load is None:
        return whole(history, run.path.name, wall_start)
    return [*requests(traces), *(span for one in traces for span in one.spans)]


@contextlib.contextmanager
def _opened(where: str) -> Iterator[TextIO]:
    try:
        if where == "-":
            yield sys.stdout
        else:
            with open(where, "w", encoding="utf-8", newline="") as file:
                yield file
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"cannot write {where}: {error.strerror or error}") from None


def _say(count: int, what: str, where: str) -> None:
    print(f"{plural(count, what)} -> {'standard output' if where == '-' else where}", file=sys.stderr)
