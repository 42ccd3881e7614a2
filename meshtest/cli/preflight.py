"""`meshtest preflight FILES`: static rules over manifests before anything is applied; text, JSON or SARIF, for CI."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from meshtest.cli import FAILED, OK
from meshtest.cli.terminal import Terminal
from meshtest.errors import UsageError

if TYPE_CHECKING:
    from meshtest.model.document import Documents
    from meshtest.preflight import Finding

THRESHOLDS = ("error", "warning", "info")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILE", help="manifests: files, folders, globs, or - for stdin")
    parser.add_argument(
        "--from", dest="before", action="append", default=[], metavar="FILE", help="what is applied already"
    )
    parser.add_argument("--format", choices=("text", "json", "sarif"), default="text", help="default: text")
    parser.add_argument(
        "--fail-on", choices=THRESHOLDS, default="error", help="least severity that fails (default: error)"
    )
    parser.add_argument("--ignore", action="append", default=[], metavar="CODE", help="leave a code out; repeatable")
    parser.add_argument("--all", action="store_true", help="list notes and silenced findings too")
    parser.add_argument("--rules", action="store_true", help="list every code, and nothing else")


def go(arguments: argparse.Namespace) -> int:
    from meshtest.model.diagnostic import Severity
    from meshtest.preflight import at_least

    if arguments.rules:
        _rules(arguments.format)
        return OK
    if not arguments.files:
        raise UsageError("meshtest preflight needs FILE..., or --rules")
    documents, findings = _examined(arguments.files, arguments.before, arguments.ignore)
    _show(arguments, documents, findings)
    return FAILED if at_least(findings, Severity[arguments.fail_on.upper()]) else OK


def _examined(
    files: Sequence[str], before: Sequence[str], ignored: Sequence[str]
) -> tuple[Documents, Sequence[Finding]]:
    from meshtest.manifests.compiler import compile
    from meshtest.manifests.reader import read
    from meshtest.preflight import examine

    codes = _known(ignored)
    documents = read(*files)
    earlier = read(*before) if before else None
    after = earlier.apply(documents) if earlier is not None else documents
    found = examine(after, earlier, compile(after).diagnostics)
    return documents, [finding for finding in found if finding.code not in codes]


def _known(codes: Sequence[str]) -> frozenset[str]:
    from meshtest.lib.words import nearest
    from meshtest.preflight import CODES

    for code in codes:
        if code not in CODES:
            hint = f"; did you mean {close}?" if (close := nearest(code, CODES)) else ""
            raise UsageError(f"--ignore {code}: there is no such code{hint} (meshtest preflight --rules lists them)")
    return frozenset(codes)


def _show(arguments: argparse.Namespace, documents: Documents, findings: Sequence[Finding]) -> None:
    from meshtest.cli import version
    from meshtest.preflight import CODES
    from meshtest.preflight.data import findings_data
    from meshtest.preflight.report import report
    from meshtest.preflight.sarif import sarif

    if arguments.format == "json":
        print(json.dumps(findings_data(findings), indent=2))
    elif arguments.format == "sarif":
        print(json.dumps(sarif(findings, CODES, version=version()), indent=2))
    else:
        with Terminal(sys.stdout) as terminal:
            shown = report(
                findings,
                objects=len(documents),
                everything=arguments.all,
                width=terminal.width,
                color=terminal.color,
            )
            terminal.say(shown)


def _rules(format: str) -> None:
    from meshtest.preflight import CODES
    from meshtest.preflight.data import codes_data
    from meshtest.preflight.report import listing

    if format == "text":
        with Terminal(sys.stdout) as terminal:
            terminal.say(listing(CODES, width=terminal.width, color=terminal.color))
    else:
        print(json.dumps(codes_data(CODES), indent=2))
