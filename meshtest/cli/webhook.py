"""`meshtest webhook ...`: the acceptance endpoint, and what is useful to those who ask one. A command is a module."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence
from typing import Any

from meshtest.cli import Parser

COMMANDS = {
    "serve": "answer the webhooks of Flagger and Argo with suites of tests",
    "call": "call a webhook once, as Flagger would, and say what it would make of the answer",
    "check": "call somebody's webhook as each type of hook, with retries and time-outs, and say what Flagger would do",
    "snippet": "YAML of a suite, ready for a Canary or an AnalysisTemplate",
}


class OnDemand(Parser):
    """Of one command. Its module is imported when its words are parsed, and not for the list of commands."""

    def __init__(self, *arguments: Any, module: str, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._module = module

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        module = importlib.import_module(self._module)
        module.arguments(self)
        self.set_defaults(act=module.go)
        return super().parse_known_args(args, namespace)


def arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="webhook_command", metavar="COMMAND", required=True, parser_class=OnDemand)
    for name, text in COMMANDS.items():
        about = text[0].upper() + text[1:] + "."
        commands.add_parser(name, help=text, description=about, module=f"meshtest.cli.webhook_{name}")


def go(arguments: argparse.Namespace) -> int:
    return int(arguments.act(arguments))
