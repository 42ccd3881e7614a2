"""What is attached, how much of it, and that Allure can show it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from meshtest_allure.attachments import COLUMNS, ROWS, Attachment, attachments, sample

from meshtest.reporters.html import standalone
from meshtest.reporters.html.material import Material

from .reports import LOST, failed, made, material


def named(found: list[Attachment], name: str) -> Attachment:
    return next(one for one in found if one.name.startswith(name))


def text(one: Attachment) -> str:
    assert isinstance(one.content, str)
    return one.content


class TestWhat:
    def test_in_the_order_in_which_a_person_asks(self) -> None:
        found = list(attachments(material(60, findings=[failed()])))
        assert [(one.name, one.type) for one in found] == [
            ("verdict", "text/plain"),
            ("timeline", "image/svg+xml"),
            ("the first failed request: load-60", "image/svg+xml"),
            ("the first failed request: load-60, its trace", "application/json"),
            ("the slowest request: load-0", "image/svg+xml"),
            ("the slowest request: load-0, its trace", "application/json"),
            ("the change before the first failure: change 2", "text/plain"),
            ("requests (all 200)", "text/csv"),
        ]

    def test_the_verdict_comes_with_the_command_that_repeats_the_run(self) -> None:
        verdict = text(named(list(attachments(material(60, findings=[failed()]))), "verdict"))
        assert verdict.startswith(f"FAIL: no_downtime: {LOST}\n")
        assert "repeat  pytest -k shift" in verdict

    def test_without_failures_no_change_is_suspected(self) -> None:
        assert not any("change" in one.name for one in attachments(material()))

    def test_a_run_without_requests_has_a_verdict(self) -> None:
        report = made(events=())
        empty = replace(report, history=replace(report.history, requests=report.history.requests[:0]))
        assert [one.name for one in attachments(Material(empty))] == ["verdict"]

    def test_the_page_is_attached_where_it_was_made(self, tmp_path: Path) -> None:
        (tmp_path / "report.html").write_text("<!doctype html>")
        page = named(list(attachments(Material(replace(made(), folder=tmp_path)))), "the whole report")
        assert (page.type, page.content) == ("text/html", tmp_path / "report.html")

    def test_a_trace_tells_of_the_request_and_its_hops(self) -> None:
        data = json.loads(text(named(list(attachments(material(60))), "the first failed request: load-60, its")))
        assert data["request"]["fate"] == "reset"
        assert data["request"]["at_s"] == 1.6
        assert (data["spans"], data["hops"]) == ([], [])


class TestTable:
    def test_a_row_a_request_in_columns_that_fit(self) -> None:
        rows = list(csv.reader(text(named(list(attachments(material(60))), "requests")).splitlines()))
        assert tuple(rows[0]) == COLUMNS
        assert len(rows) == 201
        assert rows[1] == ["load-0", "1.0", "1.0", "answered", "200", "web/v1", "web-v1-1", "1"]
        assert rows[61][:5] == ["load-60", "1.6", "1.0", "reset", ""]

    @pytest.mark.parametrize(
        ("total", "lost", "name"),
        [
            (ROWS, 3, "requests (all 500)"),
            (20_000, 3, "requests (3 failed, and 1 in 41 of 20000)"),
            (20_000, 9000, "requests (the first 250 of 9000 that failed, and 1 in 80 of 20000)"),
        ],
    )
    def test_of_many_it_has_the_failed_and_some_of_the_others_and_says_so(
        self, total: int, lost: int, name: str
    ) -> None:
        said, positions = sample(total, range(lost))
        assert said == name
        assert positions == sorted(set(positions))
        assert len(positions) <= ROWS
        assert set(range(min(lost, 250))) <= set(positions)


class TestImages:
    def test_an_image_is_whole_in_itself(self) -> None:
        svg = standalone.timeline(material(60, findings=[failed()]))
        root = ElementTree.fromstring(svg)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(--c0)" not in svg
        assert ".area.c0{fill: #0072b2;}" in svg
        assert ".badge" not in svg, "only the rules that it needs"
        assert "@media" not in svg
        assert "http" not in svg.replace("http://www.w3.org/2000/svg", "").replace("http://web/", "")

    def test_the_legend_names_what_is_in_it(self) -> None:
        words = ["".join(one.itertext()) for one in ElementTree.fromstring(standalone.timeline(material(60))).iter()]
        assert {"web/v1", "web/v2", "failed", "intended split"} <= set(words)

    def test_nothing_recorded_makes_no_image(self) -> None:
        report = made(events=())
        empty = replace(report, history=replace(report.history, requests=report.history.requests[:0]))
        assert standalone.timeline(Material(empty)) == ""
