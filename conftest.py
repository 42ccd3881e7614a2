"""Settings of the whole repository's tests: pytester, a cache of compiled code, the examples of README.md as tests.

A block of the README that starts with ```python is executed, in order, in one namespace a file.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest_plugins = ["pytester"]

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def pytest_configure(config: pytest.Config) -> None:
    """Hundreds of programs are started by these tests: they share what is compiled, also where Python may write no
    cache into the tree (PYTHONDONTWRITEBYTECODE), which costs each of them half a second."""
    if sys.dont_write_bytecode and not hasattr(config, "workerinput"):
        folder = tempfile.mkdtemp(prefix="meshtest-pycache-")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        for library in (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")):
            _link_compiled(library, folder)
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        del os.environ["PYTHONDONTWRITEBYTECODE"]


def _link_compiled(library: str, cache: str) -> None:
    """What is installed is compiled already, but not looked for beside its sources any more."""
    for at, below, files in os.walk(library):
        below[:] = [name for name in below if name not in ("site-packages", "test", "tests")]
        if os.path.basename(at) == "__pycache__":
            mirrored = cache + os.path.dirname(at)
            os.makedirs(mirrored, exist_ok=True)
            for name in files:
                os.symlink(os.path.join(at, name), os.path.join(mirrored, name))


class Backwards(pytest.Dir):
    """A folder whose last file is collected first."""

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        return list(super().collect())[::-1]


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Of two workers one begins at either end: what the other has compiled by then, it only reads."""
    second = os.environ.get("PYTEST_XDIST_WORKER", "gw0")[-1] in "13579"
    if second and not (path / "__init__.py").is_file():  # those are packages
        backwards: pytest.Collector = Backwards.from_parent(parent, path=path)
        return backwards
    return None


SLOW = tuple(f"tests/{name}/" for name in ["fuzz", "packaging", "trouble", "conformance", "plugin", "cli", "envoy"])
"""What starts many programs or meshes. First, so that no worker is left with it at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {place: number for number, place in enumerate(SLOW)}

    def order(item: pytest.Item) -> tuple[int, Path]:
        return next((n for place, n in places.items() if item.nodeid.startswith(place)), len(places)), item.path

    items.sort(key=order)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The tests of a file go to one worker: what they share is made once."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import LoadFileScheduling

    config.option.loadscopereorder = False  # it would start with many small tests
    return LoadFileScheduling(config, log)


def pytest_collect_file(parent: pytest.Collector, file_path: Path) -> pytest.Collector | None:
    """Only the README at the top: it is collected when it is named, or when the top folder is."""
    if file_path == parent.config.rootpath / "README.md":
        examples: pytest.Collector = Readme.from_parent(parent, path=file_path)
        return examples
    return None


class Readme(pytest.File):
    """The python blocks of a Markdown file."""

    def collect(self) -> Iterator[pytest.Item]:
        text = self.path.read_text()
        namespace: dict[str, Any] = {"__name__": "readme"}
        for found in _BLOCK.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Example.from_parent(self, name=f"line {line}", line=line, source=found[1], namespace=namespace)


class Example(pytest.Item):
    """One block; tests that it defines are not run by this, they are only defined."""

    def __init__(self, *, line: int, source: str, namespace: dict[str, Any], **more: Any) -> None:
        super().__init__(**more)
        self._line, self._source, self._namespace = line, source, namespace

    def runtest(self) -> None:
        # the empty lines make the line numbers of a traceback those of the README
        exec(compile("\n" * self._line + self._source, str(self.path), "exec"), self._namespace)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self._line - 1, f"README.md, line {self._line}"
