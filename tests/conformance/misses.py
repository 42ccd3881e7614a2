"""The table of what does not pass, with the reason of each: misses.toml beside this file."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

TABLE = Path(__file__).with_name("misses.toml")


def misses(corpus: str) -> Mapping[str, str]:
    """Case to reason."""
    table = tomllib.loads(TABLE.read_text())
    return {entry["case"]: entry["reason"] for entry in table["miss"] if entry["corpus"] == corpus}


def tell(name: str, passed: int, total: int) -> None:
    """The one line of a conformance test."""
    sys.stdout.write(f"\n{name}: {passed}/{total}\n")
