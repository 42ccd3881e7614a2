"""How pages look: a style sheet and a script, files beside this one, made part of every page."""

from __future__ import annotations

import re
from pathlib import Path

_HERE = Path(__file__).parent


def packed(name: str) -> str:
    """Without comments and indentation, for every page carries it."""
    text = re.sub(r"/\*.*?\*/", "", (_HERE / name).read_text(encoding="utf-8"), flags=re.DOTALL)
    return re.sub(r"\s*\n\s*", "\n", text).strip()


STYLE = packed("style.css")
SCRIPT = packed("script.js")
