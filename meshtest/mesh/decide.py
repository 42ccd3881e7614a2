"""Look at a running load until a check is decided: what a rollout does that stops early."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from meshtest.errors import UsageError
from meshtest.mesh.view import View
from meshtest.model.verdict import Finding, Outcome
from meshtest.spi.check import Check

LEAST_PAUSE = 0.02
"""Seconds between two looks, ..."""
PART = 0.2
"""... or so that looking takes no more of the time than this: a look reads all that was recorded."""


class Watched(Protocol):
    """What is needed of a load."""

    @property
    def here(self) -> View: ...
    @property
    def sending(self) -> bool: ...


def until_decided(
    load: Watched,
    check: Check,
    *,
    requests: int | None = None,
    seconds: float | None = None,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Finding:
    """What the check says at its first PASS or FAIL; else at the limit, or when the load has ended."""
    if not getattr(check, "sequential", False):
        raise UsageError(
            f"until(decided={check.name}): this check is for one look at its end; looked at until it passes, it would "
            "pass by chance. Sequential checks are canary and split_sequential"
        )
    if (requests is None) == (seconds is None):
        raise UsageError("until(decided=...) needs a limit: either requests=N or seconds=S")
    began = now()
    while True:
        looked = now()
        over = not load.sending  # asked before looking, so that nothing that came before the end is missed
        view = load.here
        finding = check.judge(view.history)
        reached = len(view) >= requests if requests is not None else now() - began >= (seconds or 0.0)
        if finding.outcome is not Outcome.UNKNOWN or reached or over:
            return finding
        pause(max(LEAST_PAUSE, (now() - looked) * (1 - PART) / PART))
