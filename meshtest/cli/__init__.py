"""The command line: one command, one module. `python -m meshtest` is the same.

What several commands share: options.py, terminal.py (what people see), control.py and acts.py (the way to a mesh that
is up, and what is done there), explaining.py, rehearse_table.py.

Exit codes are pytest's, so that CI needs no second table: 0 PASS, 1 FAIL, 2 interrupted, 3 our own trouble (provider,
disk), 4 bad input, 5 UNKNOWN (nothing was proven).
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from meshtest.errors import ManifestError, MeshtestError, UsageError
from meshtest.model.verdict import Outcome

COMMANDS = {
    "demo": "the main job in one command: services, a shift under load, a verdict",
    "up": "stand a mesh up from your manifests and keep it until Ctrl-C",
    "preflight": "static rules over your manifests, before anything is applied",
    "plan": "the order in which to apply changes so that no request is lost",
    "rehearse": "a Canary of Flagger, tick by tick, against real proxies with time compressed",
    "shift": "move traffic of a mesh that is up",
    "fault": "break something in a mesh that is up",
    "load": "send requests into a mesh that is up",
    "explain": "which rule, subset and policy applies to a request, and why; nothing is sent",
    "query": "PromQL, of a mesh that is up, a stored run or a URL",
    "features": "what each installed provider can do",
    "run": "pytest with meshtest's defaults: your tests, or the suites that come with meshtest",
    "judge": "judge a stored run again, from its records alone",
    "gate": "canary against baseline by a Prometheus: pass, fail or not known, as soon as it is decided",
    "export": "a stored run for other programs: requests as CSV or Parquet, traces as OTLP, Zipkin, Jaeger, Chrome",
    "report": "the page of a stored run, the index of a folder; compare two runs, merge folders",
    "graph": "who called whom in a stored run, how often and how well, and which edge is missing",
    "webhook": "the acceptance endpoint that Flagger and Argo ask before a rollout goes on",
    "doctor": "what is installed, what is missing, and how to get it",
    "heal": "end what a killed run left behind",
}

OK, FAILED, INTERRUPTED, TROUBLE, BAD_INPUT, UNPROVEN = range(6)

EXIT = {Outcome.PASS: OK, Outcome.FAIL: FAILED, Outcome.UNKNOWN: UNPROVEN}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code. Errors of ours are one message on stderr, never a traceback."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments, rest = _parser(words).parse_known_args(words)
    if rest and arguments.command != "run":
        _parser(words).error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return int(arguments.go(arguments))
    except (UsageError, ManifestError) as error:
        return _complain(error, BAD_INPUT)
    except MeshtestError as error:
        return _complain(error, TROUBLE)
    except KeyboardInterrupt:
        return _complain("interrupted; everything that was started has been ended", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        return OK


def _complain(what: object, code: int) -> int:
    print(f"meshtest: {what}", file=sys.stderr)
    return code


def _terminated(number: int, frame: FrameType | None) -> None:
    """SIGTERM is handled as Ctrl-C is: what was started is ended in order."""
    raise KeyboardInterrupt


class Parser(argparse.ArgumentParser):
    """A wrong word on the command line is bad input; argparse would exit with 2, which is an interruption's."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(BAD_INPUT, f"{self.prog}: error: {message}\n")


class _Version(argparse.Action):
    """argparse's own wants the version before anybody has asked for it: 50 ms, a quarter of a short command."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"meshtest {version()}")
        parser.exit()


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Only the module of the command that is used is imported."""
    parser = Parser(prog="meshtest", description="Chaos and verification for service-mesh rollouts.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    used = next((word for word in words if not word.startswith("-")), "")
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == used:
            module = importlib.import_module(f"meshtest.cli.{name}")
            module.arguments(sub)
            sub.set_defaults(go=module.go)
    return parser


def version() -> str:
    """Of the installed package."""
    from importlib import metadata

    try:
        return metadata.version("meshtest")
    except metadata.PackageNotFoundError:
        return "(not installed)"
