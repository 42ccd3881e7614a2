"""`meshtest fault TARGET`: break something in a mesh that is up; `--off` mends it and tells how often it bit."""

from __future__ import annotations

import argparse
import json

from meshtest.cli import OK
from meshtest.cli.control import ask
from meshtest.cli.options import add_json, add_pid, pairs


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", help="a service (`web`: for its callers), or a version (`web@v2`: in its pods)")
    parser.add_argument("--delay", metavar="TIME", help="hold requests, as 800ms")
    parser.add_argument("--abort", type=int, metavar="STATUS", help="answer in place of the service, as 503")
    parser.add_argument("--percent", type=float, default=100.0, help="of the requests (default: 100)")
    parser.add_argument("--header", action="append", default=[], metavar="NAME=VALUE", help="only requests with it")
    parser.add_argument("--off", action="store_true", help="end it")
    add_pid(parser)
    add_json(parser)


def go(arguments: argparse.Namespace) -> int:
    if arguments.off:
        asked: dict[str, object] = {"off": True}
    else:
        headers = pairs(arguments.header, "--header")
        asked = {"delay": arguments.delay, "abort": arguments.abort, "percent": arguments.percent, "headers": headers}
    for answer in ask("fault", arguments.pid, target=arguments.target, **asked):
        if arguments.json:
            print(json.dumps(answer))
        elif answer["off"]:
            bites = sum(answer["evidence"].values())
            print(f"{answer['target']}: mended; it {f'bit {bites} times' if bites else 'never bit'}")
        else:
            told = ", ".join(f"{name} {value}" for name, value in answer["fault"].items() if value)
            print(f"{answer['target']}: {told}; end it with: meshtest fault {answer['target']} --off")
    return OK
