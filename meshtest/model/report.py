"""All that a report of one run is made from. run/report.py collects it; reporters only write it down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.lib.dataclass import dataclass
from meshtest.model.history import History
from meshtest.model.verdict import Verdict

if TYPE_CHECKING:
    from meshtest.model.rehearsal import Rehearsal


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change of the configuration."""

    number: int
    """As in the events config.apply, config.ack and config.rejected."""
    reason: str
    diff: str
    """Unified, of the YAML; of the first change all lines are new."""


@dataclass(frozen=True, kw_only=True)
class RunReport:
    """A run as its reports see it."""

    about: Mapping[str, Any]
    """run.json: name, command, seed, provider, started, ended, outcome, error ..."""
    history: History
    verdict: Verdict
    changes: Sequence[Change] = ()
    logs: Mapping[str, Path] = field(default_factory=dict)
    """What each pod printed, and `envoy`: by name of the pod."""
    folder: Path | None = None
    """Where the run lies; None where it has no folder (a test's own)."""
    rehearsals: Sequence[Rehearsal] = ()
    """Of Canaries, in the order in which they were held."""
