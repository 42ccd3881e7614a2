"""One warm mesh a module for the Gateway API suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meshtest.mesh import open_mesh
from meshtest.settings import Settings
from tests.conformance.ground import Ground
from tests.conformance.misses import tell


@pytest.fixture(scope="module")
def ground(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    settings = Settings(reports=tmp_path_factory.mktemp("reports"))
    with open_mesh("gateway-api", settings, command="pytest") as mesh:
        made = Ground(mesh, corpora / "gateway-api")
        yield made
        made.client.close()
    passed = sum(not wrong for wrong in made.score.values())
    tell("Gateway API", passed, len(made.score))
