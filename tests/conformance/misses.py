"""Cases that are known not to pass, each with its reason: misses.toml, the one table of all corpora."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

TABLE = Path(__file__).with_name("misses.toml")


def known(corpus: str) -> dict[str, str]:
    """Reasons by case."""
    told = tomllib.loads(TABLE.read_text()).get("miss", [])
    return {miss["case"]: miss["reason"] for miss in told if miss["corpus"] == corpus}


def judge(corpus: str, results: Mapping[str, list[str]]) -> None:
    """`results`: what is wrong with each case that was run. Fails for a miss that is not listed, or that passes."""
    listed = known(corpus)
    failed = {case: wrong for case, wrong in results.items() if wrong and case not in listed}
    healed = [case for case, wrong in results.items() if not wrong and case in listed]
    lines = [f"{case}: {'; '.join(wrong)}" for case, wrong in failed.items()]
    lines += [f"{case} passes: take it out of {TABLE.name}" for case in healed]
    assert not lines, f"{len(lines)} of {len(results)} cases\n" + "\n".join(lines)


def tell(name: str, passed: int, total: int) -> None:
    """The one line of a conformance test."""
    sys.stdout.write(f"\n{name}: {passed}/{total}\n")
