"""Corpora for the tests against real manifests; skipped with a reason where they are absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def corpora() -> Path:
    folder = Path(os.environ.get("MESHTEST_CORPORA", ROOT.parent / "shared" / "corpora"))
    if not folder.is_dir():
        pytest.skip(f"no corpora at {folder}; set MESHTEST_CORPORA")
    return folder
