"""The report that Allure itself makes of our results. `npm install allure@3.18.0`, MESHTEST_ALLURE=.../.bin/allure.

It is an npm package of 53 MB, so where it is not installed there is nothing to check.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from meshtest.lib.wait import until
from tests.conftest import PATIENCE
from tests.reporters.html.chromium import BINARY, MISSING, Chromium

from .conftest import Project

INSTALL = "needs Allure 3: npm install allure@3.18.0, and its bin/allure on the PATH or in MESHTEST_ALLURE"


@pytest.fixture(scope="module")
def generator() -> str:
    binary = os.environ.get("MESHTEST_ALLURE") or shutil.which("allure")
    if not binary:
        pytest.skip(INSTALL)
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False, timeout=PATIENCE).stdout
    if not said.strip().startswith("3."):
        pytest.skip(f"{INSTALL}; {binary} says {said.strip()!r}")
    return binary


def generated(generator: str, results: Path, *words: str) -> Path:
    out = results.with_name("report" + "".join(words))
    command = [generator, "awesome", str(results), *words, "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, cwd=results.parent)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_the_generator_has_all_of_it(project: Project, generator: str) -> None:
    project.run("-k", "fails or skip")
    out = generated(generator, project.folder / "results")
    tests = [json.loads(path.read_text()) for path in (out / "data" / "test-results").glob("*.json")]
    (fails,) = [test for test in tests if test["name"] == "test_fails"]
    names = _names(fails["steps"])
    assert {"apply web.yaml", "load load: GET http://web/ at 100/s", "v2 at 10 %", "shift web v2=10"} <= set(names)
    types = {link["name"]: link["contentType"] for link in _attached(fails["steps"])}
    assert types["timeline"] == "image/svg+xml"
    assert types["requests (all 200)"] == "text/csv"
    assert types["the first failed request: load-60, its trace"] == "application/json"
    made = {path.suffix for path in (out / "data" / "attachments").iterdir()}
    assert {".svg", ".csv", ".json", ".txt", ".diff"} <= made
    assert _groups(fails)["layer"] == "mesh"


def test_a_browser_shows_the_steps_and_the_timeline_from_disk(project: Project, generator: str) -> None:
    """Not by default: when Allure's own program in the page draws and hears clicks is not ours to promise."""
    if BINARY is None or not os.environ.get("MESHTEST_ALLURE_BROWSER"):
        pytest.skip(MISSING if BINARY is None else "set MESHTEST_ALLURE_BROWSER=1 to click through Allure's page")
    project.run("-k", "fails")
    page = generated(generator, project.folder / "results", "--single-file") / "index.html"
    with Chromium() as browser:
        browser.ask("Emulation.setScriptExecutionDisabled", value=False)
        browser.open(page)
        _click(browser, "tree-leaf", "test_fails", shows="[data-testid=test-result-attachment-header]")
        _click(browser, "test-result-attachment-header", "timeline", shows="img[src^=blob]")
        wide = "document.querySelector('img[src^=blob]')?.naturalWidth > 900"
        until(lambda: browser.query(wide) is True, within=PATIENCE, what=lambda: "the timeline is not loaded")
        said = browser.query(TEXT)
        assert "v2 at 10 %" in said
        assert "2 requests failed in it" not in said
        assert "1 request failed in it, first at t=1.600s (reset)" in said


TEXT = "document.body.innerText"


def _click(browser: Chromium, kind: str, words: str, *, shows: str) -> None:
    """The first of a kind with these words, or the button in it; again where a page that was not ready did not hear."""
    found = f"[...document.querySelectorAll('[data-testid={kind}]')].find(one => one.innerText.includes({words!r}))"
    click = f"(one => (one?.querySelector('button') || one)?.click())({found})"
    until(
        lambda: browser.query(f"document.querySelector({shows!r}) !== null || ({click}, false)") is True,
        within=PATIENCE,
        what=lambda: f"no {shows} after {kind} {words!r} was clicked; the page says {browser.query(TEXT)!r}",
        every=2.0,
    )


def _names(steps: list[dict[str, Any]]) -> list[str]:
    return [name for step in steps for name in (step.get("name", ""), *_names(step.get("steps", [])))]


def _attached(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    own = [step["link"] for step in steps if step["type"] == "attachment"]
    return own + [link for step in steps for link in _attached(step.get("steps", []))]


def _groups(test: dict[str, Any]) -> dict[str, str]:
    return {label["name"]: label["value"] for label in test["labels"]}
