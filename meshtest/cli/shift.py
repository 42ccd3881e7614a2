"""`meshtest shift SERVICE v2=20`: move traffic of a mesh that is up."""

from __future__ import annotations

import argparse
import json

from meshtest.cli import OK
from meshtest.cli.control import ask
from meshtest.cli.options import add_json, add_pid, pairs
from meshtest.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("service", help="short name, or name.namespace")
    parser.add_argument("weights", nargs="+", metavar="VERSION=PERCENT", help="what is left of 100 goes to the others")
    parser.add_argument("--rule", default="", help="name of the http rule, where the default ones are not meant")
    add_pid(parser)
    add_json(parser)


def go(arguments: argparse.Namespace) -> int:
    try:
        weights = {version: int(percent) for version, percent in pairs(arguments.weights, "weight").items()}
    except ValueError:
        raise UsageError(f"weights are whole percentages, as in v2=20, not {' '.join(arguments.weights)}") from None
    for answer in ask("shift", arguments.pid, service=arguments.service, weights=weights, rule=arguments.rule):
        if arguments.json:
            print(json.dumps(answer))
        else:
            shares = ", ".join(f"{version} {share:g} %" for version, share in answer["shares"].items())
            print(f"{answer['service']}: {shares} (in force after {answer['seconds'] * 1e3:.1f} ms)")
    return OK
