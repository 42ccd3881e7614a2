"""Workers of pytest-xdist: one whose controller was killed ends with it, and so all that it has started.

By itself it would go on for up to 15 s: execnet waits 5 s, interrupts, waits 10 s, and gives up.
"""

from __future__ import annotations

import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with_controller() -> None:
    """Linux sends SIGTERM when the parent is gone; elsewhere it takes as long as execnet does."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
