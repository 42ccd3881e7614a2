"""`meshtest graph RUN`: who called whom in a stored run, how often and how well, and which edge is missing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.cli import OK
from meshtest.cli.options import add_json

if TYPE_CHECKING:
    from meshtest.model.graph import Edge, Graph

HEAD = ("from", "to", "requests", "failed", "rate", "p50", "p99", "mTLS", "")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, nargs="?", help="a run folder (default: the newest in ./reports)")
    parser.add_argument("--since", type=float, default=None, metavar="S", help="from this second of the run on")
    parser.add_argument("--until", type=float, default=None, metavar="S", help="up to this second of the run")
    add_json(parser)


def go(arguments: argparse.Namespace) -> int:
    from meshtest.cli.judge import run_at
    from meshtest.telemetry.graph import graph_of

    graph = graph_of(run_at(arguments.run).history(), arguments.since, arguments.until)
    print(json.dumps(graph.as_data(), indent=2) if arguments.json else "\n".join(lines(graph)))
    return OK


def lines(graph: Graph) -> Iterator[str]:
    """A line an edge, then a line a missing one."""
    if not graph.edges:
        yield "no edges: no request was seen"
    else:
        cells = [HEAD, *(_cells(edge) for edge in graph.edges)]
        widths = [max(len(row[i]) for row in cells) for i in range(len(HEAD))]
        for row in cells:
            words = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
            words += [cell.rjust(width) for cell, width in zip(row[2:-1], widths[2:-1], strict=True)]
            yield "  ".join([*words, row[-1]]).rstrip()
    for missing in graph.missing:
        yield f"missing {missing.source or '(anybody)'} -> {missing.target}  {missing.reason}: {missing.text}"


def _cells(edge: Edge) -> tuple[str, ...]:
    from meshtest.lib.figures import seconds

    secured = {True: "yes", False: "no", None: "?"}[edge.mtls]
    return (
        edge.source, edge.target, str(edge.requests), str(edge.failed), f"{edge.rate:.3g}/s",
        seconds(edge.p50), seconds(edge.p99), secured, _notes(edge),
    )  # fmt: skip


def _notes(edge: Edge) -> str:
    told = ["copies"] if edge.mirrored else []
    told += [protocol for protocol in edge.protocols if protocol != "http"]
    told += [f"{flag} {count}" for flag, count in edge.flags.items()]
    figures = (("denied", edge.denied), ("retries", edge.retries), ("without a request id", edge.unlinked))
    return ", ".join(told + [f"{count} {what}" for what, count in figures if count])
