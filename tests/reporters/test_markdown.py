"""Summaries for CI jobs: what a person sees in a table, and what a later job can go by."""

from __future__ import annotations

from pathlib import Path

from meshtest.model.report import RunReport
from meshtest.model.verdict import Finding, Outcome, Verdict
from meshtest.reporters.markdown import Ended, dotenv, properties, summary
from tests.checks.histories import V1, V2, history, request


def told(outcome: Outcome = Outcome.PASS, sentence: str = "20 of 20", **more: object) -> dict[str, object]:
    requests = [request(i, i / 10, V2 if i % 4 == 0 else V1, status=503 if i == 4 else 200) for i in range(20)]
    about = {"outcome": outcome.name, "seed": 7, "command": "pytest test_a.py --mesh-seed=7", **more}
    verdict = Verdict((Finding(check="no_downtime", outcome=outcome, sentence=sentence),))
    return dict(
        properties(RunReport(about=about, history=history(requests), verdict=verdict, folder=Path("reports/x")))
    )


def test_a_run_in_few_words() -> None:
    assert told() == {
        "meshtest.outcome": "PASS", "meshtest.verdict": "PASS: no_downtime: 20 of 20", "meshtest.seed": "7",
        "meshtest.run": "reports/x", "meshtest.repeat": "pytest test_a.py --mesh-seed=7", "meshtest.requests": 20,
        "meshtest.failures": 1, "meshtest.share.web/v1": "0.7500", "meshtest.share.web/v2": "0.2500",
        "meshtest.p99.web/v1": "0.001000", "meshtest.p99.web/v2": "0.001000",
    }  # fmt: skip


def test_what_failed_comes_first_with_the_command_that_repeats_it() -> None:
    text = summary(
        [Ended("a.py::good", True, told()), Ended("a.py::bad", False, told(Outcome.FAIL))], index="r/index.html"
    )
    rows = [line for line in text.splitlines() if "`a.py" in line]
    assert rows[0] == (
        "| ❌ | `a.py::bad` | FAIL: no_downtime: 20 of 20 | 20 | 1 | 1.0 ms | web/v1 75 %, web/v2 25 % |"
    )
    assert rows[1].startswith("| ✅ | `a.py::good` |")
    assert text.startswith("## meshtest: 2 tests, 1 failed\n")
    assert "$ pytest test_a.py --mesh-seed=7" in text
    assert text.endswith("Report: `r/index.html`\n")


def test_a_row_stays_a_row_whatever_a_sentence_holds() -> None:
    text = summary([Ended("a|b", False, told(Outcome.UNKNOWN, "one\ntwo | <b>three</b>"))])
    (row,) = [line for line in text.splitlines() if line.startswith("| ❓")]
    assert "`a\\|b` | UNKNOWN: no_downtime: one two \\| &lt;b>three&lt;/b> |" in row


def test_a_test_that_expects_a_failing_run_has_passed() -> None:
    ended = [Ended("planted", True, told(Outcome.FAIL))]
    assert "| ✅ | `planted` | FAIL:" in summary(ended)
    assert dotenv(ended).startswith("MESHTEST_OUTCOME=PASS\n")


def test_later_jobs_can_go_by_names_and_values() -> None:
    ended = [Ended("a", True, told()), Ended("b", False, told(Outcome.UNKNOWN)), Ended("c", False, {})]
    assert dotenv(ended, index="reports/index.html").splitlines() == [
        "MESHTEST_OUTCOME=FAIL", "MESHTEST_TESTS=3", "MESHTEST_FAILED=2", "MESHTEST_REQUESTS=40",
        "MESHTEST_FAILED_REQUESTS=2", "MESHTEST_REPORT=reports/index.html",
    ]  # fmt: skip
