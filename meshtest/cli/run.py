"""`meshtest run`: pytest with meshtest's defaults. Without arguments, the suites that come with meshtest."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path

from meshtest.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "meshtest run [-h] [PYTEST ARGUMENT ...]"
    parser.epilog = "Everything is handed to pytest: files, -k, -x, -n 2, --mesh-seed=7 ..."
    parser.add_argument("paths", nargs="*", help="files, folders, test ids (default: the suites of meshtest)")


def go(arguments: argparse.Namespace) -> int:
    import pytest

    given = sys.argv[sys.argv.index("run") + 1 :]
    targets = [] if arguments.paths else _suites()
    return int(pytest.main([*given, *targets]))


def _suites() -> list[str]:
    """Packaged as meshtest.suites; in a checkout they are the folder beside it."""
    if find_spec("meshtest.suites"):
        return ["--pyargs", "meshtest.suites"]
    import meshtest

    folder = Path(meshtest.__file__).parent.parent / "suites"
    if not folder.is_dir():
        raise UsageError("this installation has no suites; name your own tests: meshtest run tests/")
    return [str(folder)]
