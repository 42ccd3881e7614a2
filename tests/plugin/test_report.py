"""What a session leaves for people and CI jobs: pages of tests that failed, an index, summaries, JUnit properties."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from xml.etree import ElementTree

from tests.conftest import Ground

TESTS = """
import pytest
from meshtest import Mesh

pytestmark = pytest.mark.mesh_apply("web.yaml")

def test_good(mesh: Mesh):
    mesh.load("GET http://web/", rps=200, requests=20).run()
    mesh.verify()

def test_plain(mesh: Mesh):
    load = mesh.load("GET http://web/", rps=200, requests=20).run()
    mesh.verify()
    assert load.versions == {"v2"}

@pytest.mark.mesh(report="never")
def test_quiet(mesh: Mesh):
    mesh.verify()
"""


def test_pages_index_and_summaries_by_two_workers(ground: Ground, project: Ground) -> None:
    project.write("test_web.py", TESTS)
    job = project.folder / "job.md"
    job.write_text("before\n")
    program = project.pytest(
        "-n", "2", "--mesh-seed=7", "--junitxml=junit.xml", "--mesh-summary=out/mesh.md", "--mesh-summary=mesh.env",
        env={"GITHUB_STEP_SUMMARY": str(job)},
    )  # fmt: skip
    assert program.wait() == 1, program
    assert "2 failed, 1 passed" in program.out

    runs = {run.name.rpartition("-test-")[2]: run for run in project.runs()}
    assert {name: (run / "report.html").is_file() for name, run in runs.items()} == {
        "good": False, "plain": True, "quiet": False,
    }  # fmt: skip
    told = {name: json.loads((run / "run.json").read_text()) for name, run in runs.items()}
    assert {name: (one["outcome"], one["test"]) for name, one in told.items()} == {
        "good": ("PASS", "passed"), "plain": ("FAIL", "failed"), "quiet": ("UNKNOWN", "failed"),
    }  # fmt: skip
    assert told["plain"]["error"].startswith("AssertionError: assert {'v1'} == {'v2'}")
    assert "AssertionError: assert {" in _text((runs["plain"] / "report.html").read_text())

    assert re.findall(r"^  report  (.+)$", program.out, re.MULTILINE) == [f"reports/{runs['plain'].name}/report.html"]
    assert re.findall(r"^meshtest: (.+)$", program.out, re.MULTILINE)[-1] == "report: reports/index.html"
    assert f'href="{runs["plain"].name}/report.html"' in (project.folder / "reports" / "index.html").read_text()

    markdown = (project.folder / "out" / "mesh.md").read_text()
    assert job.read_text() == f"before\n{markdown}", "GitHub's file is appended to, once"
    assert markdown.startswith("## meshtest: 3 tests, 2 failed\n")
    assert "MESHTEST_OUTCOME=FAIL\nMESHTEST_TESTS=3\nMESHTEST_FAILED=2\n" in (project.folder / "mesh.env").read_text()

    properties = _properties(project.folder / "junit.xml")
    assert properties["test_good"] | {"meshtest.p99.web/v1": ""} == {
        "meshtest.outcome": "PASS", "meshtest.verdict": properties["test_good"]["meshtest.verdict"],
        "meshtest.seed": "7", "meshtest.run": f"reports/{runs['good'].name}", "meshtest.requests": "20",
        "meshtest.repeat": "pytest test_web.py::test_good --mesh-seed=7", "meshtest.failures": "0",
        "meshtest.share.web/v1": "1.0000", "meshtest.p99.web/v1": "",
    }  # fmt: skip
    assert properties["test_plain"]["meshtest.page"].endswith("/report.html")
    assert float(properties["test_good"]["meshtest.p99.web/v1"]) > 0


def _text(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page))


def _properties(path: Path) -> dict[str, dict[str, str]]:
    cases = ElementTree.parse(path).getroot().iter("testcase")
    return {case.attrib["name"]: {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")} for case in cases}
