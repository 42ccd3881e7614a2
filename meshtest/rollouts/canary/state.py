"""Where a rollout is: the status that Flagger keeps on the Canary, and what it has made of the cluster."""

from __future__ import annotations

import enum
from dataclasses import field, replace
from typing import Any, TypeAlias

from meshtest.lib.dataclass import dataclass
from meshtest.rollouts.canary.spec import TOTAL


class Phase(enum.StrEnum):
    """`status.phase`."""

    NEW = ""
    INITIALIZING = "Initializing"
    INITIALIZED = "Initialized"
    WAITING = "Waiting"
    PROGRESSING = "Progressing"
    WAITING_PROMOTION = "WaitingPromotion"
    PROMOTING = "Promoting"
    FINALISING = "Finalising"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"


BEFORE = frozenset({Phase.NEW, Phase.INITIALIZING})
"""The primary is being made."""
ANALYSED = frozenset({Phase.PROGRESSING, Phase.WAITING_PROMOTION})
"""Checks run."""
PROMOTED = frozenset({Phase.PROMOTING, Phase.FINALISING})
"""The primary has the new version."""
UNDER_WAY = ANALYSED | PROMOTED
"""The canary is scaled up."""
OVER = frozenset({Phase.SUCCEEDED, Phase.FAILED})


Configs: TypeAlias = tuple[tuple[str, str], ...]
"""`configmap/NAME` or `secret/NAME` with the digest of its data, by name."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """What Flagger remembers between ticks, in the Canary's `status`."""

    phase: Phase = Phase.NEW
    weight: int = 0
    """What it reports; not always what the routes say."""
    failed_checks: int = 0
    iterations: int = 0
    applied: str = ""
    """The revision that was seen last (`lastAppliedSpec`)."""
    promoted: str = ""
    """The revision that the primary got last (`lastPromotedSpec`)."""
    configs: Configs | None = None
    """The ConfigMaps and Secrets that the target used (`trackedConfigs`)."""
    cookie: str = ""
    primary_cookie: str = ""
    previous_cookie: str = ""
    """Session affinity: `name=value` of this run, of the primary, of the run before."""


@dataclass(frozen=True)
class Routes:
    """Weights of primary and canary, and whether the canary gets copies."""

    primary: int
    canary: int
    mirrored: bool = False

    def __str__(self) -> str:
        return f"{self.primary}/{self.canary}{' mirrored' if self.mirrored else ''}"


ALL_PRIMARY = Routes(TOTAL, 0)
ALL_CANARY = Routes(0, TOTAL)
MIRRORED = Routes(TOTAL, 0, True)


@dataclass(frozen=True, kw_only=True)
class State:
    """Everything that a tick starts from."""

    status: Status = field(default_factory=Status)
    routes: Routes | None = None
    """None: there is no route yet; give one here if Flagger takes over a route that exists."""
    replicas: int = 1
    """Of the target, which is the canary."""
    primary: str = ""
    """The revision of the primary; empty: there is none yet."""
    primary_replicas: int = 1

    @property
    def phase(self) -> Phase:
        return self.status.phase

    def with_status(self, **changes: Any) -> State:
        return replace(self, status=replace(self.status, **changes))
