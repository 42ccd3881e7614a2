"""What is told of a test's run when it has ended, and of all of them at the end of the session.

Under pytest-xdist each worker writes the pages of its own tests; what they tell of them travels in `user_properties` to
the controller, which alone writes the index and the summaries. No file has two writers.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from meshtest.errors import MeshtestError
from meshtest.mesh import Mesh
from meshtest.reporters.markdown import Ended, dotenv, properties, summary
from meshtest.run.pages import write_index, write_page
from meshtest.run.report import report_of
from meshtest.run.stored import open_run

GITHUB = "GITHUB_STEP_SUMMARY"
"""GitHub names a file in it, which is the job's page; other tools append to it too."""
PAGED, TROUBLE = "meshtest.page", "meshtest.trouble"


def tell(item: pytest.Item, mesh: Mesh, *, failed: bool) -> None:
    """Never raises: a report that fails must not hide why the test failed."""
    wanted = mesh.settings.report == "always" or (failed and mesh.settings.report == "failed")
    try:
        report = report_of(open_run(mesh.run.directory))
        item.user_properties += properties(report)
        if wanted:
            item.user_properties.append((PAGED, str(write_page(report))))
    except (MeshtestError, OSError) as error:
        item.user_properties.append((TROUBLE, f"no report of {mesh.run.directory}: {error}"))
        return
    item.ihook.pytest_meshtest_report(item=item, report=report)


def end_session(ended: Sequence[tuple[str, bool, dict[str, Any]]], files: Sequence[str]) -> Iterator[str]:
    """Writes the index and the summaries; yields what to print."""
    tests = [Ended(*one) for one in ended]
    pages = [Path(one.page) for one in tests if one.page]
    yield from (one.trouble for one in tests if one.trouble)
    index = ""
    for folder in dict.fromkeys(page.parent.parent for page in pages):
        try:
            index = str(write_index(folder))
            yield f"report: {index}"
        except (MeshtestError, OSError) as error:
            yield f"no index of {folder}: {error}"
    yield from _summaries(tests, files, index)


def _summaries(tests: Sequence[Ended], files: Sequence[str], index: str) -> Iterator[str]:
    for name in files:
        text = dotenv(tests, index=index) if name.endswith(".env") else summary(tests, index=index)
        yield from _put(name, text, "w")
    if os.environ.get(GITHUB):
        yield from _put(os.environ[GITHUB], summary(tests, index=index), "a")


def _put(name: str, text: str, mode: str) -> Iterator[str]:
    try:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        with open(name, mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        yield f"cannot write the summary {name}: {error.strerror}"
