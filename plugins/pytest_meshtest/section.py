"""The terminal section of a failed test: what the run saw, where it is kept, how to repeat it."""

from __future__ import annotations

from meshtest.errors import MeshtestError
from meshtest.mesh import Mesh
from meshtest.model.verdict import Verdict
from meshtest.reporters.console import summary
from meshtest.run.pages import PAGE


def section(mesh: Mesh, *, width: int) -> str:
    """Never raises: a report that fails must not hide why the test failed."""
    try:
        history = mesh.history()
        verdict: Verdict = mesh.run.verdict
        text = summary(history, verdict, folder=mesh.run.directory, command=mesh.run.command, width=width)
        return text if mesh.settings.report == "never" else f"{text}\n  report  {mesh.run.directory / PAGE}"
    except (MeshtestError, OSError) as error:
        return f"the run could not be summed up: {error}\nrun folder: {mesh.run.directory}"
