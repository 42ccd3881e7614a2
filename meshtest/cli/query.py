"""`meshtest query PROMQL`: ask the Prometheus of a mesh that is up, of a stored run, or at a URL."""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.cli import OK, UNPROVEN
from meshtest.cli.control import ask
from meshtest.cli.options import add_json, add_pid, settings_of
from meshtest.errors import HistoryError, UsageError

if TYPE_CHECKING:
    from meshtest.model.series import Matrix, Vector
    from meshtest.run.stored import StoredRun
    from meshtest.spi.telemetry import Asking, PromQl


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("promql", help="such as 'sum by (destination_version) (rate(istio_requests_total[5s]))'")
    whom = parser.add_mutually_exclusive_group()
    whom.add_argument("--run", type=Path, help="a run folder: its series, as they were (default: the mesh that is up)")
    whom.add_argument(
        "--url", help="a Prometheus that runs; credentials as MESHTEST_PROMETHEUS_TOKEN, _USER, _PASSWORD"
    )
    add_pid(whom)
    parser.add_argument(
        "--at", type=float, metavar="S", help="second of the run (of a URL: epoch; default: the end, now)"
    )
    parser.add_argument("--range", metavar="FROM:TO:STEP", help="seconds, as 0:30:1, in place of a single moment")
    add_json(parser)


def go(arguments: argparse.Namespace) -> int:
    steps = _steps(arguments.range) if arguments.range else None
    if steps and arguments.at is not None:
        raise UsageError("either --at or --range")
    if arguments.run:
        answer = _of_run(arguments, steps)
    elif arguments.url:
        answer = _of_url(arguments, steps)
    else:
        (answer,) = ask("query", arguments.pid, promql=arguments.promql, at=arguments.at, steps=steps)
    if arguments.json:
        print(json.dumps(answer))
    else:
        _tell(answer)
    return OK if "no_data" not in answer else UNPROVEN


def _steps(text: str) -> list[float]:
    try:
        start, end, step = map(float, text.split(":"))
    except ValueError:
        raise UsageError(f"--range: {text!r} is not FROM:TO:STEP in seconds, as 0:30:1") from None
    return [start, end, step]


def answered(asked: PromQl, promql: str, at: float | None, steps: list[float] | None) -> dict[str, Any]:
    return as_data(asked.query_range(promql, *steps) if steps else asked.query(promql, at))


def as_data(answer: Vector | Matrix) -> dict[str, Any]:
    """Seconds are the run's; `no_data` says why there is none."""
    from meshtest.model.series import NO_DATA, NoData, Sample

    def number(value: object) -> object:
        return None if isinstance(value, NoData) else value

    series = [
        {"labels": dict(one.labels), "value": number(one.value), "at": one.at}
        if isinstance(one, Sample)
        else {"labels": dict(one.labels), "points": [[at, number(value)] for at, value in one.points]}
        for one in answer
    ]
    told = {"query": answer.query, "series": series, "text": [str(one) for one in answer]}
    return told | ({"no_data": answer.why or "no sample is a number"} if answer == NO_DATA else {})


def _tell(answer: Mapping[str, Any]) -> None:
    for line in answer["text"]:
        print(line)
    if "no_data" in answer:
        print(f"NO DATA: {answer['no_data']}")


def _of_url(arguments: argparse.Namespace, steps: list[float] | None) -> dict[str, Any]:
    if not arguments.url.startswith(("http://", "https://")):
        raise UsageError(f"--url: {arguments.url!r} is no URL; write http://HOST:PORT")
    with _opened(_asking(arguments, Path(), 0.0, prometheus=arguments.url)) as asked:
        return answered(asked, arguments.promql, arguments.at, steps)


def _of_run(arguments: argparse.Namespace, steps: list[float] | None) -> dict[str, Any]:
    """Of a copy: a Prometheus writes into the folder that it opens."""
    import shutil
    import tempfile

    from meshtest.run import open_run

    try:
        run = open_run(arguments.run)
    except HistoryError as error:
        raise UsageError(str(error)) from None  # the argument is wrong, not the disk
    if not (run.path / "prometheus" / "wal").is_dir():
        raise UsageError(
            f"{run.path} has no series of a Prometheus: none was asked while it ran (mesh.query, mesh.prometheus)"
        )
    with tempfile.TemporaryDirectory(prefix="meshtest-query-") as folder:
        shutil.copytree(run.path / "prometheus", Path(folder) / "prometheus")
        start = float(run.about["wall_start"])
        with _opened(_asking(arguments, Path(folder), start)) as asked:
            at = _end(asked, run) if arguments.at is None else arguments.at
            return answered(asked, arguments.promql, at, steps)


def _end(asked: PromQl, run: StoredRun) -> float:
    """The last scrape: after it there is nothing to tell a rate from."""
    from meshtest.model.series import Vector

    end = max((event.at for event in run.history().events), default=0.0) + 1.0
    found = asked.query("max(timestamp(up))", end)
    assert isinstance(found, Vector)
    return float(found) - float(run.about["wall_start"])


def _asking(arguments: argparse.Namespace, folder: Path, wall_start: float, **settings: Any) -> Asking:
    from meshtest.spi.telemetry import Asking

    resolved = settings_of(arguments, **settings).settings
    return Asking(folder=folder, settings=resolved, wall_start=wall_start, record=lambda *_, **__: None)


@contextlib.contextmanager
def _opened(asking: Asking) -> Iterator[PromQl]:
    from meshtest.spi import registry

    made: PromQl = registry.load("telemetry", "prometheus")(asking)
    with contextlib.closing(made):
        yield made
