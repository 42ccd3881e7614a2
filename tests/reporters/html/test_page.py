"""The page as a document: whole, self-contained, accessible, and nothing in it is taken for markup that is a user's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meshtest.model.report import RunReport
from meshtest.reporters.html import page, write
from meshtest.run.report import report_of
from meshtest.run.run import Run
from meshtest.run.stored import open_run
from meshtest.settings import Settings
from tests.reporters.html import samples
from tests.reporters.html.documents import Element, parsed

SECTIONS = ["verdict", "versions", "timeline", "latency", "traces", "graph", "changes", "logs", "again", "facts"]


@pytest.fixture(scope="module", params=[*samples.PLAIN, samples.hostile], ids=lambda sample: sample.__name__)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunReport, str]:
    sample = request.param
    report = sample(tmp_path_factory.mktemp("page")) if sample is samples.hostile else sample()
    return report, page(report) if sample is samples.hostile else samples.made(sample)


@pytest.fixture(scope="module")
def text(made: tuple[RunReport, str]) -> str:
    return made[1]


@pytest.fixture(scope="module")
def root(text: str) -> Element:
    return parsed(text)


class TestEveryPage:
    def test_has_its_sections_in_the_order_of_the_questions(self, root: Element) -> None:
        assert [h.attributes["id"] for h in root.all("h2")] == SECTIONS
        assert len(root.all("h1")) == len(root.all("main")) == len(root.all("header")) == 1
        assert root.all("html")[0].attributes["lang"] == "en"

    def test_is_self_contained(self, text: str, root: Element) -> None:
        head = re.sub(r"<(title|desc|td|th|dd|code|span|li|p|b)\b.*?</\1>", "", text, flags=re.DOTALL)
        assert not re.findall(r"(?:https?:)?//[\w.]+", head)
        assert "@import" not in text.partition("</style>")[0]
        urls = re.findall(r"url\((.*?)\)", text)
        assert all(url.startswith("#") for url in urls)
        for element in root.all():
            for name in ("src", "href", "srcset", "action", "xlink:href"):
                assert element.attributes.get(name, "#").startswith("#"), element.attributes

    def test_has_one_script_of_ours_and_no_handlers(self, root: Element) -> None:
        assert len(root.all("script")) == 1
        assert not [e for e in root.all() if any(name.startswith("on") for name in e.attributes)]

    def test_ids_are_unique_and_references_lead_somewhere(self, root: Element) -> None:
        ids = [e.attributes["id"] for e in root.all() if "id" in e.attributes]
        assert len(ids) == len(set(ids))
        for element in root.all():
            wanted = element.attributes.get("aria-labelledby", "").split()
            wanted += [element.attributes["href"][1:]] if "href" in element.attributes else []
            assert set(wanted) <= set(ids)

    def test_every_picture_has_words(self, root: Element) -> None:
        for svg in root.all("svg"):
            assert svg.attributes["role"] == "img"
            assert next(c for c in svg.children if isinstance(c, Element)).name == "title"

    def test_tables_have_captions_and_headings(self, root: Element) -> None:
        for table in root.all("table"):
            assert table.all("caption")[0].text
            assert all("scope" in th.attributes for th in table.all("th"))

    def test_numbers_in_drawings_are_numbers(self, root: Element) -> None:
        for element in root.all():
            for name in ("x", "y", "width", "height", "d", "viewbox", "stroke-width"):
                assert not re.search(r"nan|inf|e[-+]?\d", element.attributes.get(name, ""))
        sizes = [
            float(r.attributes[n]) for r in root.all("rect") for n in ("width", "height") if "%" not in r.attributes[n]
        ]
        assert all(size >= 0 for size in sizes)

    def test_can_be_written_and_is_small(self, made: tuple[RunReport, str], tmp_path: Path) -> None:
        path = write(made[0], tmp_path / "report.html")
        assert path.read_text(encoding="utf-8") == made[1]
        assert path.stat().st_size <= 300_000


class TestContent:
    def test_of_a_run_that_passed(self) -> None:
        root = parsed(page(samples.good()))
        assert "Passed" in root.all("h1")[0].text
        assert "All 628 requests were answered." in root.all("p", class_="lead")[0].text
        cells = [[c.text for c in row.children if isinstance(c, Element)] for row in root.all("table")[0].all("tr")]
        assert cells[0] == ["Version", "Requests", "Share", "Failed", "p50", "p95", "p99", "Max"]
        assert [(row[0], row[1], row[3]) for row in cells[1:]] == [("web/v1", "578", "0"), ("web/v2", "50", "0")]
        assert samples.COMMAND in root.all("pre", class_="command")[0].text

    def test_of_a_run_that_failed(self) -> None:
        root = parsed(page(samples.cut()))
        lead = root.all("p", class_="lead")[0].text
        assert lead.startswith("10 of 400 requests failed (2.5 %): all 503 UC; all from web/v1; sent between 0.760 s")
        why = root.all("dl", class_="reasons")[0].text
        assert "10 requests were under way when web-v1-1 got SIGTERM at 0.795 s; they were cut" in why
        assert root.all("path", class_="failed")
        assert root.all("rect", class_="outage")

    def test_only_the_change_at_fault_is_open(self) -> None:
        root = parsed(page(samples.cut()))
        changes = root.all("details", class_="change")
        assert [("open" in c.attributes) for c in changes] == [False, True]
        assert "the last before the first failure" in changes[1].text
        assert changes[1].all("span", class_="plus")[-1].text == "+weight: 10\n"

    def test_of_long_diffs_as_much_as_fits(self) -> None:
        root = parsed(samples.made(samples.crowded))
        assert len(root.all("details", class_="change")) == 150
        assert "and 150 more changes in the folder of the run" in root.text
        assert "300 more lines in config/300.diff" in root.text

    def test_a_truncated_record_says_so_and_is_not_running(self) -> None:
        root = parsed(page(samples.truncated()))
        assert "The record was cut short" in root.all("p", class_="warn")[0].text
        assert "Running" not in root.all("h1")[0].text

    def test_a_run_that_goes_on_is_running(self) -> None:
        assert "Running" in parsed(page(samples.empty())).all("h1")[0].text

    def test_nothing_recorded_is_said_and_not_drawn(self) -> None:
        root = parsed(page(samples.empty()))
        assert root.all("svg") == []
        assert "No request was recorded." in root.text


def test_what_users_choose_is_only_ever_text(tmp_path: Path) -> None:
    text = page(samples.hostile(tmp_path))
    assert "<script>alert" not in text
    assert not set("\x00\x1b\ud800\u202e") & set(text)
    shown = parsed(text)
    assert shown.all("title")[0].text.startswith("Failed: </title></svg><script>alert(1)")
    assert "名前 🙂" in shown.all("h1")[0].text


def test_the_page_of_a_stored_run_lies_in_its_folder(tmp_path: Path) -> None:
    with Run("x", Settings(reports=tmp_path), command="pytest x", seed=3) as run:
        run.record("step.start", "one")
        (run.directory / "pods").mkdir()
        (run.directory / "pods" / "web-0.log").write_text("hello <b>\n")
    path = write(report_of(open_run(run.directory)))
    assert path == run.directory / "report.html"
    root = parsed(path.read_text())
    assert "hello <b>" in root.all("details", class_="log")[0].text
    assert "pytest x" in root.all("pre", class_="command")[0].text
