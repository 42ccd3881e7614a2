"""A mesh of this very process, of which nothing may be left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from meshtest_envoy.pods import procs

from meshtest import Mesh, Settings, open_mesh
from meshtest.lib.wait import until
from tests.conftest import unhurried


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[..., Mesh]]:
    """Open a mesh with these settings; at the end nothing that it started may be left."""
    others = {one.pid for one in started()}  # of fixtures that live longer than this test
    with ExitStack() as stack:

        def open(**settings: Any) -> Mesh:
            told = Settings(reports=tmp_path / "reports", seed=7, **settings)
            return stack.enter_context(open_mesh("trouble", told))

        yield open

    def left() -> list[procs.Stat]:
        return [one for one in started() if one.pid not in others]

    until(lambda: not left(), within=unhurried(1.0), what=lambda: f"left: {left()}")


def started() -> list[procs.Stat]:
    """The living below this process."""
    import os

    return procs.descendants(os.getpid(), procs.everyone())
