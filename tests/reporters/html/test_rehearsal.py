"""The rehearsal of a Canary on the page, on a terminal, and in the summary of a CI job."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from meshtest.errors import HistoryError
from meshtest.model.rehearsal import Rehearsal
from meshtest.model.report import RunReport
from meshtest.reporters import console
from meshtest.reporters.html import page
from meshtest.reporters.html.rehearsal import canary_share, span
from meshtest.reporters.markdown import Ended, properties, summary
from meshtest.run.report import rehearsals_of
from tests.reporters.canary_rehearsals import doubtful, promoted, rolled_back, row, unfinished
from tests.reporters.html import samples
from tests.reporters.html.documents import parsed


def report(*rehearsals: Rehearsal) -> RunReport:
    return replace(samples.good(), rehearsals=rehearsals)


class TestPage:
    def test_a_rehearsal_comes_before_all_else(self) -> None:
        root = parsed(page(report(rolled_back())))
        assert [h.attributes["id"] for h in root.all("h2")][:3] == ["verdict", "rehearsal", "versions"]

    def test_a_page_without_one_has_nothing_of_it(self) -> None:
        text = page(samples.good())
        assert text == samples.made(samples.good)
        assert "rehearsal" not in text.lower()

    def test_how_it_ended_is_the_first_thing_that_is_said(self) -> None:
        """Also where the verdict, which is about users, is green."""
        leads = [p.text for p in parsed(page(report(rolled_back(), promoted()))).all("p", class_="lead")]
        assert leads[0].endswith(": v2 was rolled back.")
        assert leads[1].endswith(": v3 was promoted.")

    def test_it_says_how_it_ended_and_who_paid(self) -> None:
        text = page(report(rolled_back()))
        assert 'class="rehearsal back"' in text
        assert "v2 was rolled back after 4 intervals" in text
        assert "120 (10 %)" in text
        assert "4 (3.33 %)" in text

    def test_every_tick_is_told_with_what_was_asked(self) -> None:
        text = page(report(rolled_back()))
        assert "request-success-rate 96.67 (at least 99), of 60 requests" in text
        assert "rollout load: no, 3 attempts: no" in text
        assert "request-success-rate no values found (at least 99), of 60 requests: no values found" in text
        assert "Warning Halt web.shop advancement success rate 96.67% &lt; 99%" in text

    def test_surprises_are_explained(self) -> None:
        assert "the pre-rollout hooks run again at every tick" in page(report(rolled_back()))

    def test_several_are_all_there_with_ids_of_their_own(self) -> None:
        root = parsed(page(report(rolled_back(), promoted())))
        ids = [element.attributes["id"] for element in root.all() if "id" in element.attributes]
        assert len(ids) == len(set(ids))
        assert sum(element.attributes.get("class") == "rehearsal promoted" for element in root.all("div")) == 1

    def test_nothing_of_a_users_is_markup(self) -> None:
        text = page(report(unfinished(samples.HOSTILE)))
        parsed(text)
        assert "<script>alert" not in text

    def test_it_is_small(self) -> None:
        many = replace(rolled_back(), ticks=tuple(row(n, "90/10") for n in range(1, 1001)))
        assert len(page(report(rolled_back()))) - len(page(samples.good())) < 20_000
        assert len(page(report(many))) < 600_000

    @pytest.mark.parametrize(
        ("routes", "share"), [("90/10", 10), ("100/0 mirrored", 0), ("", 0), ("-20/120", 100), ("0/100", 100)]
    )
    def test_weights_are_those_of_the_routes(self, routes: str, share: float) -> None:
        assert canary_share(row(1, routes)) == share

    @pytest.mark.parametrize(
        ("seconds", "words"), [(0, "0 s"), (90, "90 s"), (150, "2 min 30 s"), (600, "10 min"), (7500, "2 h 5 min")]
    )
    def test_durations_are_short(self, seconds: float, words: str) -> None:
        assert span(seconds) == words


def test_one_that_proves_nothing_says_so_on_the_page_and_in_the_summary_of_a_job() -> None:
    root = parsed(page(report(doubtful())))
    assert "UNKNOWN: web.shop: that v2 was rolled back proves nothing about it: 1 of 2 failed checks" in root.text
    assert "rehearse at a lower speed than 20, send fewer loads, or give this machine more cores" in root.text
    assert "proves nothing: metric request-success-rate had no value, and requests left" in root.text
    assert 'class="rehearsal back"' not in page(report(doubtful()))
    ended = Ended("test_a", False, dict(properties(report(doubtful()))))
    assert "; UNKNOWN, for 1 of 2 failed checks: metric request-success-rate" in ended.rehearsal


def test_a_terminal_has_a_line_of_it() -> None:
    told = report(rolled_back())
    text = console.summary(told.history, told.verdict, rehearsals=told.rehearsals)
    assert "  rehearsal of web.shop: v2 was rolled back after 4 intervals" in text


def test_the_summary_of_a_job_has_a_table_of_them() -> None:
    ended = Ended("test_a", True, dict(properties(report(promoted()))))
    other = Ended("test_b", True, dict(properties(samples.good())))
    text = summary([ended, other])
    assert "### Rehearsals" in text
    assert "| `test_a` | web.shop: v3 was promoted after 5 intervals" in text
    assert text.count("test_b") == 1
    assert "Rehearsals" not in summary([other])


class TestFolder:
    def test_they_are_read_in_the_order_in_which_they_were_held(self, tmp_path: Path) -> None:
        held = {"rehearsal.json": rolled_back(), "rehearsal-2.json": promoted(), "rehearsal-10.json": rolled_back()}
        for name, rehearsal in held.items():
            (tmp_path / name).write_text(json.dumps(rehearsal.as_data()))
        assert list(rehearsals_of(tmp_path)) == list(held.values())

    @pytest.mark.parametrize("text", ["{", "[]", '{"ticks": 3}', "null"])
    def test_one_that_is_none_is_named(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "rehearsal.json").write_text(text)
        with pytest.raises(HistoryError, match=r"rehearsal\.json is no rehearsal"):
            list(rehearsals_of(tmp_path))
