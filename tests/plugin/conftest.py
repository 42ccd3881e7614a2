"""Small projects with tests in them, run by a pytest of their own."""

from __future__ import annotations

import pytest

from tests.conftest import Ground
from tests.web import SERVICE, SUBSETS, deployment, joined, weights

WEB = joined(
    SERVICE,
    deployment("v1"),
    deployment("v2", 'meshtest.dev/errors: "503:50"'),
    SUBSETS,
    weights(v1=100, v2=0, rule="retries: {attempts: 0}"),
)
"""v1 answers; v2 fails every second request."""


@pytest.fixture
def project(ground: Ground) -> Ground:
    """`web.yaml` is in it, and a strict configuration."""
    ground.write("web.yaml", WEB)
    ground.write("pyproject.toml", '[tool.pytest]\nstrict = true\nfilterwarnings = ["error"]\n')
    return ground
