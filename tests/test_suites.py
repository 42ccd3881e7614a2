"""suites/README.md maps every scenario: no test is left out, and none is named that is not there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

SUITES = Path(__file__).parents[1] / "suites"


def scenarios() -> set[str]:
    found: set[str] = set()
    for path in SUITES.glob("*/test_*.py"):
        tree = ast.parse(path.read_text())
        found |= {n.name for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")}
    return found


def test_every_scenario_is_mapped_and_every_one_named_is_there() -> None:
    assert set(re.findall(r"`(test_\w+)`", (SUITES / "README.md").read_text())) == scenarios()


def test_every_suite_is_introduced() -> None:
    introduced = set(re.findall(r"^\| \[(\w+)\]\(\1\)", (SUITES / "README.md").read_text(), re.M))
    assert introduced == {path.parent.name for path in SUITES.glob("*/test_*.py")}
