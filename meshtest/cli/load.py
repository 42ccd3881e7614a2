"""`meshtest load URL`: requests at an even rate into a mesh that is up; or the users of a locustfile."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from meshtest.cli import FAILED, OK, UNPROVEN
from meshtest.cli.control import ask
from meshtest.cli.options import add_json
from meshtest.cli.terminal import Terminal
from meshtest.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("request", nargs="?", default="", help="as `http://web/path` or `POST http://web/path`")
    parser.add_argument("--rps", type=float, default=100.0, help="requests a second (default: 100)")
    parser.add_argument("--seconds", type=float, default=10.0, help="for so long (default: 10)")
    parser.add_argument("--source", help="who sends them: a workload, `ingress`, `ingress/PORT` (default: by the host)")
    parser.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'")
    parser.add_argument("--body", default="")
    locust = parser.add_argument_group("journeys of Locust, in place of a request")
    locust.add_argument("--locustfile", metavar="FILE", help="needs: pip install 'meshtest[locust]'")
    locust.add_argument("--users", type=int, default=1, help="at a time (default: 1)")
    locust.add_argument("--spawn-rate", type=float, metavar="N", help="users that start in a second (default: all)")
    parser.add_argument("--pid", type=int, help="which `meshtest up`, where several are running")
    add_json(parser)


def go(arguments: argparse.Namespace) -> int:
    if not arguments.request and not arguments.locustfile:
        raise UsageError("say what to send: a request, as http://web/path, or --locustfile FILE")
    asked = _journeys(arguments) if arguments.locustfile else _requests(arguments)
    last: dict[str, Any] = {}
    with Terminal() as terminal:
        for last in ask("load", arguments.pid, **asked):
            if arguments.json:
                print(json.dumps(last), flush=True)
            elif "requests" in last:
                show = terminal.say if last.get("done") or not terminal.live else terminal.progress
                show(_sentence(last))
    if not last.get("requests"):
        return UNPROVEN
    return FAILED if last["failed"] else OK


def _requests(arguments: argparse.Namespace) -> dict[str, Any]:
    asked = {name: getattr(arguments, name) for name in ("request", "rps", "seconds", "source", "body")}
    return {**asked, "headers": arguments.header}


def _journeys(arguments: argparse.Namespace) -> dict[str, Any]:
    """Paths count from this terminal, not from that of `meshtest up`."""
    asked = {name: getattr(arguments, name) for name in ("request", "seconds", "source", "users", "spawn_rate")}
    return {**asked, "locustfile": str(Path(arguments.locustfile).absolute())}


def _sentence(answer: dict[str, Any]) -> str:
    by = ", ".join(f"{version} {count}" for version, count in sorted(answer["versions"].items()))
    text = f"{answer['requests']} requests, {answer['failed']} failed; served by {by or 'nobody'}"
    if answer.get("p50") is not None:
        text += f"; p50 {answer['p50'] * 1e3:.1f} ms, p99 {answer['p99'] * 1e3:.1f} ms"
    return text
