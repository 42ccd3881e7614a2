"""Wait for a condition with a deadline; never sleep and hope."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(
    condition: Callable[[], bool],
    *,
    within: float,
    what: Callable[[], str],
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
    every: float = 0.002,
) -> None:
    """Return when condition() is true; TimeoutError(what()) after `within` seconds. Tests pass the clock in."""
    deadline = now() + within
    while not condition():
        if now() >= deadline:
            raise TimeoutError(what())
        pause(every)
