"""Projects whose fixture `mesh` tells of a run made by hand, and what Allure then has of their tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

MESH = """
import time
from dataclasses import replace

import pytest
from tests.allure.reports import failed, made

@pytest.fixture
def mesh(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    seed = int(request.config.getoption("--mesh-seed") or 7)
    about = {"wall_start": time.time(), "seed": seed}
    if request.node.get_closest_marker("skipped"):
        report = made(events=(), about=about)
        report = replace(report, history=replace(report.history, requests=report.history.requests[:0]), folder=folder)
        request.node.ihook.pytest_meshtest_report(item=request.node, report=report)
        pytest.skip("provider lacks it")
    report = replace(made(60, findings=[failed()], about=about), folder=folder)
    if request.node.get_closest_marker("broken"):
        request.node.ihook.pytest_meshtest_report(item=request.node, report=report)
        raise OSError("no proxy")
    yield
    for _ in range(2):  # whoever tells it twice
        request.node.ihook.pytest_meshtest_report(item=request.node, report=report)
"""

TESTS = """
import pytest

@pytest.fixture(scope="module")
def shared():
    yield

@pytest.mark.parametrize("steps", [(10, 50)], ids=["canary"])
def test_shift(mesh, shared, steps):
    "Traffic moves."

class TestWeb:
    def test_fails(self, mesh):
        assert False, "lost some"

@pytest.mark.broken
def test_setup(mesh):
    pass

@pytest.mark.skipped
def test_skip(mesh):
    pass

def test_without_a_mesh(shared):
    pass
"""


class Project:
    def __init__(self, pytester: pytest.Pytester) -> None:
        self._pytester, self.folder = pytester, pytester.path
        pytester.makeini("[pytest]\nmarkers =\n    broken\n    skipped\n")
        self.conftest(MESH)
        pytester.makepyfile(test_traffic_shift=TESTS)

    def conftest(self, text: str) -> None:
        self._pytester.makeconftest(text)

    def tests(self, text: str) -> None:
        self._pytester.makepyfile(test_traffic_shift=text)

    def run(self, *words: str, to: str = "results") -> pytest.RunResult:
        return self._pytester.runpytest_subprocess("-p", "no:cacheprovider", "--alluredir", to, *words)

    def results(self, folder: str = "results") -> dict[str, list[dict[str, Any]]]:
        """By the name of the test, an entry an attempt, the first one first."""
        found: dict[str, list[dict[str, Any]]] = {}
        read = [json.loads(path.read_text()) for path in (self.folder / folder).glob("*-result.json")]
        for result in sorted(read, key=lambda result: result["start"]):
            found.setdefault(result["name"], []).append(result)
        return found


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    pytest.importorskip("allure_pytest", reason="needs allure-pytest (pip install 'meshtest[allure]')")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest")  # it costs every start 0.3 s
    return Project(pytester)
