"""Rules: a code says what is wrong and how to get out of it; a check finds the places. Checks register themselves here.

Several checks may report one code (IST0101 is what a dangling reference of any kind is called), and one may report
several: so codes and checks are two tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import Severity
from meshtest.model.document import Document
from meshtest.preflight.finding import Hit

if TYPE_CHECKING:
    from meshtest.preflight.scene import Scene

OURS = "meshtest"
"""The analyzer of rules that istioctl does not have."""


@dataclass(frozen=True, kw_only=True)
class Code:
    """What a code means. `says` is one sentence, `fix` an instruction, `source` where the fact comes from."""

    code: str
    name: str
    severity: Severity
    says: str
    fix: str
    source: str
    certain: bool = False
    """Requests are lost for sure once it is applied: what the setting `preflight = "error"` refuses."""


@dataclass(frozen=True)
class Check:
    """A pure function that finds places; `kinds` says which documents matter to it at all."""

    analyzer: str
    run: Callable[[Scene], Iterable[Hit]]
    kinds: frozenset[str]


@dataclass(frozen=True)
class OneCheck:
    """A check of a single document, which needs no other: its result is remembered with the document."""

    analyzer: str
    run: Callable[[Document], Iterable[Hit]]
    kinds: frozenset[str]


CHECKS: list[Check] = []
ONE_CHECKS: list[OneCheck] = []


def across(*kinds: str, analyzer: str = OURS) -> Callable[[Callable[[Scene], Iterable[Hit]]], Check]:
    """Register a check of the documents together; it runs when there is one of `kinds`."""

    def register(run: Callable[[Scene], Iterable[Hit]]) -> Check:
        check = Check(analyzer, run, frozenset(kinds))
        CHECKS.append(check)
        return check

    return register


def each(*kinds: str, analyzer: str = OURS) -> Callable[[Callable[[Document], Iterable[Hit]]], OneCheck]:
    """Register a check of every single document of `kinds`."""

    def register(run: Callable[[Document], Iterable[Hit]]) -> OneCheck:
        check = OneCheck(analyzer, run, frozenset(kinds))
        ONE_CHECKS.append(check)
        return check

    return register
