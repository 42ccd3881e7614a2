"""Hooks that other pytest plugins and conftests can implement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from meshtest.model.report import RunReport


@pytest.hookspec
def pytest_meshtest_report(item: pytest.Item, report: RunReport) -> None:
    """A test's run has ended and is judged: attach it, sum it up. Called in the teardown of the fixture `mesh`."""
