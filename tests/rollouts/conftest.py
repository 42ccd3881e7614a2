"""Where the CRDs are."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def schemas(corpora: Path) -> Path:
    """The CRDs, beside the corpora."""
    folder = corpora.parent / "schemas"
    if not folder.is_dir():
        pytest.skip(f"no schemas at {folder}")
    return folder
