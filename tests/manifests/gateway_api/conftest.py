"""A shop with two versions, each with a Service of its own, and gateways in front of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def schemas() -> Path:
    """The CRDs, beside the corpora."""
    corpora = Path(os.environ.get("MESHTEST_CORPORA") or REPOSITORY / "../shared/corpora").resolve()
    folder = corpora.parent / "schemas"
    if not folder.is_dir():
        pytest.skip(f"no schemas at {folder}")
    return folder
