"""The pytest plugin: asks whether Allure's results are wanted at all, and only then loads the rest.

Not here: what is told (steps.py, attachments.py, labels.py), how it gets into Allure's results (results.py).
"""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """The option is that of allure-pytest: where it is not installed, there is none."""
    if config.getoption("allure_report_dir", None) and not config.option.collectonly:
        from meshtest_allure.results import RunsInAllure

        config.pluginmanager.register(RunsInAllure(config), "meshtest_allure")
