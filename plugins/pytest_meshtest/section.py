"""The terminal section of a failed test: what the run saw, where it is kept, how to repeat it."""

from __future__ import annotations

from meshtest.errors import MeshtestError
from meshtest.mesh import Mesh
from meshtest.model.verdict import Verdict
from meshtest.reporters.console import summary
from meshtest.run.pages import PAGE
from meshtest.run.report import rehearsals_of


def section(mesh: Mesh, *, width: int) -> str:
    """Never raises: a report that fails must not hide why the test failed."""
    try:
        history = mesh.history()
        verdict: Verdict = mesh.run.verdict
        folder, command = mesh.run.directory, mesh.run.command
        page = None if mesh.settings.report == "never" else folder / PAGE  # it is written when the test is over
        held = tuple(rehearsals_of(folder))
        return summary(history, verdict, rehearsals=held, folder=folder, page=page, command=command, width=width)
    except (MeshtestError, OSError) as error:
        return f"the run could not be summed up: {error}\nrun folder: {mesh.run.directory}"
