"""An endpoint that is called without a server."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.webhook.endpoint.site import Site

MEMORY = "/dev/shm"
"""Nothing here pulls the plug, and a disk takes 20 ms a test for what it is told to have on the platter."""


@pytest.fixture
def site() -> Iterator[Site]:
    with tempfile.TemporaryDirectory(dir=MEMORY if Path(MEMORY).is_dir() else None, prefix="mt-") as folder:
        made = Site(Path(folder) / "state")
        yield made
        made.close()
