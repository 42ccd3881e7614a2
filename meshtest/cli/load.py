"""`meshtest load URL`: requests at an even rate into a mesh that is up; or the users of a locustfile."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from meshtest.cli import FAILED, OK, UNPROVEN
from meshtest.cli.control import ask
from meshtest.cli.options import add_json, add_pid
from meshtest.cli.terminal import Terminal
from meshtest.errors import UsageError
from meshtest.loads.spec import SAMPLED
from meshtest.loads.target import PROTOCOLS
from meshtest.run.pulse import Beat


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "request", nargs="*", help="as `http://web/path` or `POST http://web/path`; several share the load evenly"
    )
    parser.add_argument("--weights", metavar="N,N", help="their shares of the requests, as 9,1")
    _pace(parser)
    _each_request(parser)
    locust = parser.add_argument_group("journeys of Locust, in place of a request")
    locust.add_argument("--locustfile", metavar="FILE", help="needs: pip install 'meshtest[locust]'")
    locust.add_argument("--spawn-rate", type=float, metavar="N", help="users that start in a second (default: all)")
    add_pid(parser)
    add_json(parser)


def _pace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rps", type=float, help="requests a second (default: 100)")
    parser.add_argument(
        "--stage",
        action="append",
        default=[],
        dest="shape",
        metavar="STAGE",
        help="instead of --rps, one after the other: `ramp 50 500 10` (s), `hold 500 20`, `burst 100 every 1 for 10`",
    )
    parser.add_argument("--poisson", action="store_true", help="random arrivals by the run's seed, not evenly spaced")
    parser.add_argument("--concurrency", type=int, help="instead of --rps: a closed loop with so many at a time")
    parser.add_argument("--seconds", type=float, help="for so long (default: 10, or as long as the stages last)")
    parser.add_argument("--requests", type=int, help="or until so many")


def _each_request(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", help="who sends them: a workload, `ingress`, `ingress/PORT` (default: by the host)")
    parser.add_argument("--header", action="append", default=[], metavar="'NAME: VALUE'")
    parser.add_argument("--body", default="", help="text, or @FILE")
    spoken = ", ".join(PROTOCOLS)
    parser.add_argument("--protocol", default="", metavar="NAME", help=f"{spoken} (default: as the URL's scheme says)")
    parser.add_argument("--lane", action="append", choices=["keepalive", "fresh"], help="default: both in turn")
    parser.add_argument("--connections", type=int, default=16, help="kept connections of each target (default: 16)")
    parser.add_argument("--timeout", type=float, help="seconds for one request (default: the setting request_timeout)")
    parser.add_argument(
        "--users", type=int, default=0, help="virtual users with a session (cookies) each; of Locust, users at a time"
    )
    parser.add_argument(
        "--fault-header",
        action="append",
        default=[],
        metavar="NAME[: VALUE]=SHARE",
        help="a header on this share of the requests, chosen by the run's seed, as x-fault=0.1",
    )
    parser.add_argument(
        "--sampled", type=float, default=SAMPLED, help="share of the requests to be traced (default: 0.01)"
    )
    parser.add_argument("--processes", type=int, default=1, help="probers that share the load, one for each core of it")


_SAME = (
    "request", "weights", "rps", "shape", "concurrency", "requests", "source", "protocol", "connections", "timeout",
    "users", "sampled", "processes",
)  # fmt: skip
"""Options that are handed on as they are."""


def asked(arguments: argparse.Namespace) -> dict[str, Any]:
    """What the mesh is asked for: data that fits into JSON."""
    what = {name: value for name in _SAME if (value := getattr(arguments, name))}
    seconds = arguments.seconds
    if seconds is None and not (arguments.shape or arguments.requests):
        seconds = 10.0
    return what | {
        "seconds": seconds,
        "headers": arguments.header,
        "body": _absolute(arguments.body),
        "lanes": arguments.lane or ["keepalive", "fresh"],
        "arrivals": "poisson" if arguments.poisson else "even",
        "fault_headers": {name: _share(share) for name, share in pairs_of(arguments.fault_header)},
        "sampled": arguments.sampled,
        "rps": arguments.rps,
    }


def journeys(arguments: argparse.Namespace) -> dict[str, Any]:
    """What Locust is asked for. Paths count from this terminal, not from that of `meshtest up`."""
    names = ("request", "source", "users", "spawn_rate", "processes")
    what = {name: value for name in names if (value := getattr(arguments, name))}
    seconds = 10.0 if arguments.seconds is None else arguments.seconds
    return {"users": 1} | what | {"seconds": seconds, "locustfile": str(Path(arguments.locustfile).absolute())}


def pairs_of(words: list[str]) -> list[tuple[str, str]]:
    split = [word.rpartition("=") for word in words]
    for word, (name, _, _) in zip(words, split, strict=True):
        if not name:
            raise UsageError(f"fault header {word!r}: write NAME=SHARE, as x-fault=0.1")
    return [(name, share) for name, _, share in split]


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"share {text!r} of a fault header: a number, as 0.1") from None


def _absolute(body: str) -> str:
    """The mesh may have been started elsewhere."""
    return f"@{Path(body[1:]).expanduser().absolute()}" if body.startswith("@") else body


def go(arguments: argparse.Namespace) -> int:
    if not arguments.request and not arguments.locustfile:
        raise UsageError("say what to send: a request, as http://web/path, or --locustfile FILE")
    act, what = ("journeys", journeys(arguments)) if arguments.locustfile else ("load", asked(arguments))
    last: dict[str, Any] = {}
    with Terminal() as terminal:
        for last in ask(act, arguments.pid, **what):
            if arguments.json:
                print(json.dumps(last), flush=True)
            elif "rate" in last and terminal.live:
                terminal.beat(Beat(**last))
            elif "requests" in last:
                terminal.say(_sentence(last))
    if not last.get("requests"):
        return UNPROVEN
    if last["failed"]:
        return FAILED
    return UNPROVEN if last.get("saturated") else OK


def _sentence(answer: dict[str, Any]) -> str:
    by = ", ".join(f"{version} {count}" for version, count in sorted(answer["versions"].items()))
    text = f"{answer['requests']} requests, {answer['failed']} failed; served by {by or 'nobody'}"
    if answer.get("p50") is not None:
        text += f"; p50 {answer['p50'] * 1e3:.1f} ms, p99 {answer['p99'] * 1e3:.1f} ms"
    if answer.get("saturated"):
        text += f"\nthe load generator was the bottleneck: {answer['saturated']}"
    return text
