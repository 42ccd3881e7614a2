"""`meshtest webhook snippet SUITE --url URL`: YAML of a suite, for a Canary or for Argo Rollouts."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshtest.cli import OK
from meshtest.cli.options import pairs
from meshtest.cli.webhook_call import TYPES
from meshtest.errors import UsageError

if TYPE_CHECKING:
    from meshtest.webhook.suites import Suite


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("suite", metavar="SUITE", help="its name below --suites, or its folder")
    parser.add_argument("--suites", type=Path, metavar="DIR", help="the folder that the endpoint is given")
    parser.add_argument(
        "--url", default="http://meshtest.meshtest:8080", help="where Flagger reaches the endpoint (%(default)s)"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--flagger", action="store_true", help="webhooks of a Canary (the default)")
    what.add_argument("--argo", action="store_true", help="an AnalysisTemplate with the web provider")
    what.add_argument("--job", action="store_true", help="an AnalysisTemplate with a Job that runs pytest")
    parser.add_argument(
        "--type", action="append", choices=TYPES, metavar="TYPE",
        help=f"which hooks, repeatable: {', '.join(TYPES)} (default: those that start, hold, roll back and end)",
    )  # fmt: skip
    parser.add_argument("--metadata", action="append", default=[], metavar="K=V", help="a parameter's value")


def go(arguments: argparse.Namespace) -> int:
    from meshtest.rollouts.canary.spec import HookType
    from meshtest.webhook import snippets

    suite, url = _suite(arguments.suite, arguments.suites), _url(arguments.url)
    given = _given(suite, pairs(arguments.metadata, "--metadata"))
    if arguments.type and (arguments.argo or arguments.job):
        raise UsageError("--type is about Flagger's hooks; Argo has one metric")
    if arguments.argo:
        text = snippets.argo(suite, url, given)
    elif arguments.job:
        text = snippets.job(suite, given)
    else:
        types = tuple(map(HookType, arguments.type)) if arguments.type else snippets.TYPES
        text = snippets.flagger(suite, url, types, given)
    print(text, end="")
    return OK


def _suite(name: str, folder: Path | None) -> Suite:
    from meshtest.lib.words import listed, nearest
    from meshtest.webhook.suites import load_suites

    if folder is None:
        if not Path(name).is_dir():
            raise UsageError(f"which folder is suite {name!r} in? --suites DIR, or the suite's own folder as SUITE")
        folder, name = Path(name).resolve().parent, Path(name).resolve().name
    suites = load_suites(folder)
    if name not in suites:
        close = nearest(name, suites)
        hint = f"did you mean {close!r}?" if close else f"there is {listed(suites)}"
        raise UsageError(f"no suite {name!r} in {folder}; {hint}")
    return suites[name]


def _url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise UsageError(f"--url {url!r}: write http://HOST:PORT, as Flagger reaches the endpoint")
    return url.rstrip("/")


def _given(suite: Suite, given: Mapping[str, str]) -> Mapping[str, str]:
    """Only what is given is looked at: the rest is filled in by a person."""
    if any(name not in suite.parameters for name in given):
        suite.resolved(given)  # which says what there is
    known = {name: one for name, one in suite.parameters.items() if name in given}
    return dataclasses.replace(suite, parameters=known).resolved(given)
