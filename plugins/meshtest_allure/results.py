"""A run among Allure's results: in the body of the test, between the steps that the test itself tells Allure.

The hook is called in the teardown of the fixture `mesh`. What is attached the usual way then goes to the container of
that fixture, which Allure folds away below "tear down"; so it is added to the test's own result, which allure-pytest
holds until the end of the test's protocol, and writes once an attempt.
"""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from allure_commons import plugin_manager
from allure_commons.model2 import ATTACHMENT_PATTERN, Label, Parameter, Status, TestResult
from allure_commons.model2 import Attachment as Attached
from allure_pytest.utils import allure_labels

from meshtest.errors import MeshtestError
from meshtest.model.report import RunReport
from meshtest.reporters.html.material import Material
from meshtest_allure.attachments import Attachment, attachments
from meshtest_allure.labels import labels, parameters
from meshtest_allure.steps import steps
from meshtest_allure.weaving import Weaver

MANY = frozenset({"tag"})
"""Labels of which a test may have several."""


class RunsInAllure:
    """Registered with pytest where Allure's results are wanted."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._told: set[Path] = set()

    @pytest.hookimpl(optionalhook=True)
    def pytest_meshtest_report(self, item: pytest.Item, report: RunReport) -> None:
        result = self._result()
        if result is None or report.folder in self._told:
            return
        if report.folder is not None:
            self._told.add(report.folder)
        _place(result, item, report)
        if _happened(report):
            tell(result, report)

    def _result(self) -> TestResult | None:
        """That of the test under way. Looked up late: plugins are configured in any order."""
        listener = self._config.pluginmanager.get_plugin("allure_listener")
        return listener.allure_logger.get_test(None) if listener else None


def _happened(report: RunReport) -> bool:
    """Of a test that was skipped there is nothing to tell."""
    return len(report.history.requests) > 0 or any(e.kind.partition(".")[0] != "run" for e in report.history.events)


def _place(result: TestResult, item: pytest.Item, report: RunReport) -> None:
    said = {label.name for label in result.labels} | {name for name, _ in allure_labels(item)}
    result.labels.extend(Label(name, value) for name, value in labels(item, report) if name in MANY or name not in said)
    known = {parameter.name for parameter in result.parameters}
    result.parameters.extend(
        Parameter(name=one.name, value=one.value, excluded=one.excluded or None)
        for one in parameters(report)
        if one.name not in known
    )


def tell(result: TestResult, report: RunReport) -> None:
    """Its steps, what is attached, and the verdict in a sentence."""
    try:
        material, weaver = Material(report), Weaver(float(report.about["wall_start"]), _attached)
        weaver.weave(result, steps(material, passed=result.status == Status.PASSED))
        result.attachments.extend(_attached(one) for one in attachments(material))
    except (MeshtestError, OSError) as error:  # must not hide why the test failed
        result.attachments.append(
            _attached(Attachment("the run could not be attached", "text/plain", "txt", str(error)))
        )
    if report.verdict.findings:
        result.description = "\n\n".join(filter(None, [result.description, report.verdict.sentence]))


def _attached(one: Attachment) -> Attached:
    """Written now, named in the result."""
    file = ATTACHMENT_PATTERN.format(prefix=uuid4(), ext=one.extension)
    if isinstance(one.content, Path):
        plugin_manager.hook.report_attached_file(source=str(one.content), file_name=file)
    else:
        plugin_manager.hook.report_attached_data(body=one.content, file_name=file)
    return Attached(source=file, name=one.name, type=one.type)
