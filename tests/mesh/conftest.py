"""A mesh on a fake provider, with two versions of `web` behind a VirtualService: no process is started."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meshtest import Mesh, Settings
from meshtest.run import Run
from meshtest.testing import FakeProvider
from tests.web import SERVICE, SUBSETS, deployment, joined, weights

WEB = joined(SERVICE, deployment("v1", replicas=2), deployment("v2"), SUBSETS, weights(v1=100, v2=0))

THIRD = joined(
    deployment("v3"),
    """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
  - {name: v3, labels: {version: v3}}
""",
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(reports=tmp_path, seed=7)


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
def bare(provider: FakeProvider, settings: Settings) -> Iterator[Mesh]:
    """Nothing applied yet."""
    with Mesh(provider, Run("unit", settings, seed=7), settings) as mesh:
        yield mesh


@pytest.fixture
def mesh(bare: Mesh) -> Mesh:
    bare.apply(text=WEB)
    return bare
