"""The examples are what the code makes of their stored runs; else: python -m tests.reporters.examples"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meshtest.run import judge_again, open_run
from tests.reporters.examples import EXAMPLES, NAMES, made, outcome_of

MOST = 300_000
"""Bytes of a page."""


@pytest.mark.parametrize("name", NAMES)
def test_page_and_graph_are_made_of_the_stored_run(name: str) -> None:
    for path, text in made(name):
        assert path.read_text(encoding="utf-8") == text, f"{path.name} differs: python -m tests.reporters.examples"


@pytest.mark.parametrize("name", NAMES)
def test_its_outcome_is_told_and_still_is_when_judged_again(name: str) -> None:
    wanted = outcome_of(name)
    assert open_run(EXAMPLES / name).about["outcome"] == wanted.name
    assert judge_again(EXAMPLES / name).outcome is wanted


def test_they_are_small_and_name_no_machine() -> None:
    for path in (path for path in EXAMPLES.rglob("*") if path.is_file()):
        data = path.read_bytes()
        assert len(data) < MOST, path
        found = re.findall(rb"/(?:tmp|home|root|work|var|Users)/[^\s\"]*", data)
        assert not found, (path, found[:3])


def test_no_file_of_an_example_is_ignored_by_git() -> None:
    rules = (Path(__file__).parents[2] / ".gitignore").read_text().splitlines()
    assert "!/reports/examples/" in rules
    assert "!/reports/schema/" in rules
