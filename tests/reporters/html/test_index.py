"""The index: the worst first, then the newest, each with a spark line and its report."""

from __future__ import annotations

from pathlib import Path

from meshtest.model.verdict import Outcome
from meshtest.reporters.html import Entry, entry, index
from tests.reporters.html import samples
from tests.reporters.html.documents import parsed


def test_the_worst_are_first_then_the_newest() -> None:
    runs = [
        Entry("old pass", Outcome.PASS, 1.0), Entry("new pass", Outcome.PASS, 2.0), Entry("live", None, 3.0),
        Entry("unknown", Outcome.UNKNOWN, 0.5), Entry("failed", Outcome.FAIL, 0.1),
    ]  # fmt: skip
    root = parsed(index(runs))
    rows = [row.all("th", scope="row")[0].text for row in root.all("tbody")[0].all("tr")]
    assert rows == ["failed", "unknown", "live", "new pass", "old pass"]
    assert "5 runs: 1 failed, 1 unknown, 1 running, 2 passed" in root.all("header")[0].text


def test_a_run_says_what_happened_and_leads_to_its_report() -> None:
    report = samples.cut()
    root = parsed(index([entry(report, "run-1/report.html")]))
    assert root.all("a")[0].attributes["href"] == "run-1/report.html"
    assert "10 of 400 requests failed" in root.text
    assert root.all("svg")[0].all("title")[0].text == "400 requests, 10 failed"
    assert root.all("rect", class_="spot")


def test_reports_are_taken_as_they_are(tmp_path: Path) -> None:
    root = parsed(index([samples.good(), samples.empty(), samples.hostile(tmp_path)]))
    assert len(root.all("tbody")[0].all("tr")) == 3
    link = root.all("a")[0].attributes["href"]
    assert link.endswith("/report.html")
    assert not set("<'") & set(link)


def test_a_link_is_never_more_than_a_path() -> None:
    root = parsed(index([Entry("x", Outcome.PASS, link="javascript:alert(1)")]))
    assert root.all("a")[0].attributes["href"].startswith("./javascript%3A")


def test_an_empty_folder_is_said_to_be_empty() -> None:
    assert "There are no runs here." in parsed(index([])).text


def test_ids_are_unique_and_every_spark_line_has_words() -> None:
    root = parsed(index([samples.good(), samples.good(), samples.cut()]))
    ids = [e.attributes["id"] for e in root.all() if "id" in e.attributes]
    assert len(ids) == len(set(ids))
    assert all(svg.all("title") for svg in root.all("svg"))
