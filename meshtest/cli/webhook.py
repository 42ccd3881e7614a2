"""`meshtest webhook ...`: the acceptance endpoint, and what is useful to those who ask one. A command is a module."""

from __future__ import annotations

import argparse
import importlib
import sys

COMMANDS = {
    "serve": "answer the webhooks of Flagger and Argo with suites of tests",
    "call": "call a webhook once, as Flagger would, and say what it would make of the answer",
    "check": "call somebody's webhook as each type of hook, with retries and time-outs, and say what Flagger would do",
    "snippet": "YAML of a suite, ready for a Canary or an AnalysisTemplate",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Only the module of the command that is used is imported."""
    commands = parser.add_subparsers(dest="webhook_command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name in sys.argv[1:] or parser.prog.endswith(name):
            module = importlib.import_module(f"meshtest.cli.webhook_{name}")
            module.arguments(sub)
            sub.set_defaults(act=module.go)


def go(arguments: argparse.Namespace) -> int:
    return int(arguments.act(arguments))
