"""What Allure's results hold after a real run of pytest: in which test, how often, and the same from run to run."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from meshtest.errors import HistoryError

from .conftest import MESH, Project
from .reports import made

SHIFT, FAILS, SETUP, SKIP, OTHER = (
    "test_shift[canary]", "test_fails", "test_setup", "test_skip", "test_without_a_mesh",
)  # fmt: skip

UNUSED = """
import sys

def test_unused(pytestconfig):
    ours = sorted(name for name in sys.modules if name.partition(".")[0] == "meshtest_allure")
    assert ours == ["meshtest_allure", "meshtest_allure.plugin"]
    assert pytestconfig.hook.pytest_meshtest_report.get_hookimpls() == []
"""

RERUN = """
import pytest
from _pytest.runner import runtestprotocol

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    for _ in range(2):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        runtestprotocol(item, nextitem=nextitem, log=False)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""
"""As pytest-rerunfailures does it."""

DECORATED = """
import allure
import pytest

@allure.epic("Shop")
@allure.severity(allure.severity_level.MINOR)
@allure.tag("mine")
def test_shift(mesh):
    allure.dynamic.feature("Checkout")
    with allure.step("look"):
        pass
"""


def labels(result: dict[str, Any], name: str) -> list[str]:
    return [label["value"] for label in result["labels"] if label["name"] == name]


def attachments(result: dict[str, Any]) -> list[str]:
    return [one["name"] for one in result.get("attachments", [])]


@pytest.mark.parametrize("words", [(), ("-p", "no:allure_pytest")], ids=["unasked", "without-allure"])
def test_without_alluredir_nothing_is_loaded_and_nobody_listens(
    pytester: pytest.Pytester, words: tuple[str, ...]
) -> None:
    pytester.makepyfile(UNUSED)
    pytester.runpytest_subprocess("-W", "error", *words).assert_outcomes(passed=1)


def test_every_test_has_its_own_run_and_history_is_the_same_from_run_to_run(project: Project) -> None:
    project.run("--mesh-seed=1", to="one").assert_outcomes(passed=2, failed=1, errors=1, skipped=1)
    project.run("--mesh-seed=2", "-n", "2", "--dist=loadfile", to="two").assert_outcomes(
        passed=2, failed=1, errors=1, skipped=1
    )
    one, two = project.results("one"), project.results("two")
    assert set(one) == set(two) == {SHIFT, FAILS, SETUP, SKIP, OTHER}
    assert {len(results) for results in [*one.values(), *two.values()]} == {1}
    assert {name: r["historyId"] for name, (r,) in one.items()} == {name: r["historyId"] for name, (r,) in two.items()}
    seeds = [{p["value"] for p in found[SHIFT][0]["parameters"] if p["name"] == "seed"} for found in (one, two)]
    assert seeds == [{"1"}, {"2"}], "they are told, and do not count"

    (shift,), (fails,), (setup,), (skip,), (other,) = (one[name] for name in (SHIFT, FAILS, SETUP, SKIP, OTHER))
    assert Counter(attachments(shift))["verdict"] == 1, "though it was told twice"
    assert attachments(shift)[1] == "timeline"
    assert shift["steps"][0]["name"] == "apply web.yaml"
    assert {step["status"] for step in shift["steps"]} == {"passed"}
    assert shift["description"] == "Traffic moves.\n\nFAIL: no_downtime: 2 of 200 failed"
    assert {step["status"] for step in fails["steps"]} == {"passed", "failed"}
    assert [step["name"] for step in setup["steps"]] == [step["name"] for step in shift["steps"]]
    assert (setup["status"], "verdict" in attachments(setup)) == ("broken", True)
    assert (skip["status"], attachments(skip), "steps" in skip) == ("skipped", [], False)
    assert labels(skip, "layer") == ["mesh"]
    assert (attachments(other), labels(other, "layer")) == ([], [])

    assert labels(fails, "epic") == ["meshtest"]
    assert labels(fails, "feature") == ["traffic shift"]
    assert labels(fails, "story") == ["Web"]
    assert labels(fails, "severity") == ["critical"]
    assert "envoy" in labels(fails, "tag")


def test_each_attempt_of_a_test_that_is_run_again_keeps_its_run(project: Project) -> None:
    project.conftest(MESH + RERUN)
    project.run("-k", "fails")
    ((first, second),) = project.results().values()
    assert first["historyId"] == second["historyId"]
    for result in (first, second):
        assert Counter(attachments(result))["verdict"] == 1
        assert result["steps"][0]["name"] == "apply web.yaml"
    runs = {p["value"] for result in (first, second) for p in result["parameters"] if p["name"] == "run"}
    assert len(runs) == 2


def test_what_a_person_said_stands(project: Project) -> None:
    project.tests(DECORATED)
    project.run().assert_outcomes(passed=1)
    ((result,),) = project.results().values()
    assert (labels(result, "epic"), labels(result, "feature")) == (["Shop"], ["Checkout"])
    assert labels(result, "severity") == ["minor"]
    assert sorted(labels(result, "tag")) == ["envoy", "mine"]
    assert labels(result, "story") == ["shift"]
    assert "look" in str(result["steps"])


def test_a_run_that_cannot_be_read_is_said_and_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("allure_pytest", reason="needs allure-pytest (pip install 'meshtest[allure]')")
    from allure_commons.model2 import TestResult as Result
    from meshtest_allure import results

    def unreadable(*_: object, **__: object) -> None:
        raise HistoryError("events.jsonl:3: not an event")

    monkeypatch.setattr(results, "steps", unreadable)
    result = Result(status="failed")
    results.tell(result, made())
    assert [one.name for one in result.attachments] == ["the run could not be attached"]
