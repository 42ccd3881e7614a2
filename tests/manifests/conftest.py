"""Manifests that the tests of this folder share, and the public corpora where they are installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

REVIEWS = """\
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec:
  ports: [{port: 9080, name: http}]
  selector: {app: reviews}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v1}
spec:
  selector: {matchLabels: {app: reviews, version: v1}}
  template:
    metadata: {labels: {app: reviews, version: v1}}
    spec: {containers: [{name: reviews, image: reviews:1}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v2}
spec:
  replicas: 3
  selector: {matchLabels: {app: reviews, version: v2}}
  template:
    metadata: {labels: {app: reviews, version: v2}}
    spec: {containers: [{name: reviews, image: reviews:2}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
"""


@pytest.fixture
def reviews() -> str:
    """A Service with two versions (1 and 3 replicas) and a subset for each, ready to append documents to."""
    return REVIEWS


@pytest.fixture
def corpora() -> Path:
    """The folder of public manifests."""
    folder = Path(os.environ.get("MESHTEST_CORPORA") or REPOSITORY / "../shared/corpora").resolve()
    if not folder.is_dir():
        pytest.skip(f"no corpora at {folder}; MESHTEST_CORPORA names them")
    return folder


@pytest.fixture
def schemas(corpora: Path) -> Path:
    """The CRDs, beside the corpora."""
    folder = corpora.parent / "schemas"
    if not folder.is_dir():
        pytest.skip(f"no schemas at {folder}")
    return folder
