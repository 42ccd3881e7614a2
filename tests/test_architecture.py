"""The rules of DESIGN.md that a machine can check: layers, weight, public names, and what a module says of itself."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import meshtest

ROOT = Path(__file__).parent.parent
PLUGINS = ROOT / "plugins"
MODULES = sorted(p for folder in ("meshtest", "plugins", "suites") for p in (ROOT / folder).rglob("*.py"))
HEAVY = ("yaml", "pytest", "grpc", "google.protobuf", "kubernetes", "locust", "opentelemetry", "asyncio", "argparse")


def run(*words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(PLUGINS)])}
    return subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)


def test_imports_go_down_only() -> None:
    found = run(str(Path(sys.executable).with_name("lint-imports")), "--no-cache")
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_contracts_cover_every_package() -> None:
    """A layer that nobody named would be free to import anything."""
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(c for c in settings["contracts"] if c["type"] == "layers")
    assert layers["exhaustive"] is True
    plugins = {p.parent.name for p in PLUGINS.glob("*/__init__.py")}
    assert plugins <= set(settings["root_packages"])


def test_importing_meshtest_imports_nothing_heavy() -> None:
    code = f"import sys, meshtest; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert run(sys.executable, "-S", "-c", code).stdout == "[]\n"


def test_importing_meshtest_imports_no_module_of_ours() -> None:
    code = "import sys, meshtest; print([name for name in sys.modules if name.startswith('meshtest.')])"
    assert run(sys.executable, "-S", "-c", code).stdout == "[]\n"


class TestPublicNames:
    @pytest.mark.parametrize("name", meshtest.__all__)
    def test_each_resolves_and_is_documented(self, name: str) -> None:
        found = getattr(meshtest, name)
        assert (found.__doc__ or "").strip()

    def test_type_checkers_are_told_the_same(self) -> None:
        tree = ast.parse(Path(meshtest.__file__).read_text())
        (block,) = [n for n in tree.body if isinstance(n, ast.If)]
        imports = [statement for statement in block.body if isinstance(statement, ast.ImportFrom)]
        told = {alias.asname for statement in imports for alias in statement.names}
        assert told == set(meshtest.__all__)

    def test_an_unknown_one_is_an_attribute_error(self) -> None:
        with pytest.raises(AttributeError, match="module 'meshtest' has no attribute 'nonsense'"):
            _ = meshtest.nonsense

    def test_they_are_listed(self) -> None:
        assert set(meshtest.__all__) <= set(dir(meshtest))


@pytest.mark.parametrize("path", MODULES, ids=[str(p.relative_to(ROOT)) for p in MODULES])
def test_every_module_says_what_it_is(path: Path) -> None:
    told, _ = _read(path)
    assert told, "a module opens with what it is"


def test_no_plugin_imports_another() -> None:
    names = {p.parent.name for p in PLUGINS.glob("*/__init__.py")}
    for path in PLUGINS.rglob("*.py"):
        own = path.relative_to(PLUGINS).parts[0]
        assert not _read(path)[1] & (names - {own}), path


def test_the_core_imports_no_plugin() -> None:
    names = {p.parent.name for p in PLUGINS.glob("*/__init__.py")}
    for path in (ROOT / "meshtest").rglob("*.py"):
        assert not _read(path)[1] & names, path


@cache
def _read(path: Path) -> tuple[bool, frozenset[str]]:
    """Whether a module says what it is, or holds nothing; and what it imports."""
    tree = ast.parse(path.read_text())
    return bool((ast.get_docstring(tree) or "").strip() or not tree.body), frozenset(_imported(tree))


def _imported(tree: ast.Module) -> set[str]:
    """Top-level names of everything a module imports, at the top or inside functions."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add((node.module or "").partition(".")[0])
    return found


def test_entry_points_name_what_exists() -> None:
    import tomllib

    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    for name, target in groups["pytest11"].items():
        assert name == target, "otherwise a conftest that names the plugin registers it twice"
    for group in groups.values():
        for target in group.values():
            module, _, attribute = target.partition(":")
            found = importlib.import_module(module)
            assert not attribute or hasattr(found, attribute)


def test_no_test_sleeps() -> None:
    """Wait for conditions, with a deadline. (Programs that tests start may.)"""
    guilty = []
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text()
        tests = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)] if "time.sleep" in text else []
        calls = [call for test in tests for call in ast.walk(test) if isinstance(call, ast.Call)]
        guilty += [f"{path}:{call.lineno}" for call in calls if ast.unparse(call.func) == "time.sleep"]
    assert guilty == []
