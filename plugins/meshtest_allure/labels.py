"""Where a test of a mesh stands in Allure: labels and parameters that are the same in every run. Pure.

What a person has said with `@allure.epic(...)` and the like stands; ours fill the gaps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from meshtest.model.report import RunReport
from meshtest.settings import Settings


class Parameter(NamedTuple):
    name: str
    value: str
    excluded: bool
    """It does not tell this test from others in Allure's history."""


def labels(item: pytest.Item, report: RunReport) -> Iterator[tuple[str, str]]:
    """epic > feature > story is the tree of Allure's page "Behaviors"."""
    yield "epic", "meshtest"
    yield "feature", _words(item.path.stem)
    yield "story", _words(_story(item))
    yield "severity", "critical"
    yield "layer", "mesh"
    yield "tag", str(report.about.get("provider", ""))


def parameters(report: RunReport) -> Iterator[Parameter]:
    """A test on another provider is another test to Allure's history; on the default one it is the test that it was
    before this plugin was installed."""
    provider = str(report.about.get("provider", ""))
    yield Parameter("provider", provider, provider == Settings.provider)
    yield Parameter("seed", str(report.about.get("seed", "")), True)
    if report.folder:
        yield Parameter("run", report.folder.name, True)


def _story(item: pytest.Item) -> str:
    """The class, or the function."""
    owner: Any = getattr(item, "cls", None)
    return owner.__name__ if owner else str(getattr(item, "originalname", None) or item.name)


def _words(name: str) -> str:
    """`test_traffic_shift` -> `traffic shift`"""
    return name.removeprefix("test_").removeprefix("Test").replace("_", " ").strip() or name
