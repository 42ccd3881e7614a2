"""Open files: so many connections are held that runs, reports and the state always find one left.

A process may have 1,024 of them, where nobody has raised that (`ulimit -n`); without a limit of our own, silent
connections would take all, and no run could begin. Not here: how one connection too many is refused (protocol.py).
"""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from typing import Any

from meshtest.errors import UsageError
from meshtest.webhook import trouble

LOG = logging.getLogger("meshtest.webhook")
CONNECTIONS = 1000
FEWEST = 16
RESERVED = 64
"""For the state, the log, reports that are read in threads; and for a run its keeper's two pipes and what it reads."""
EACH_RUN = 4
QUIET = 60.0
"""Seconds in which the same trouble is told once."""


def connections(workers: int) -> int:
    """How many may be held, once the limit of open files was raised as far as that takes and the system allows."""
    others = RESERVED + EACH_RUN * workers
    allowed = _raised(CONNECTIONS + others)
    if allowed < FEWEST + others:
        raise UsageError(
            f"only {allowed} files may be open (ulimit -n), and with --workers {workers} the endpoint needs "
            f"{FEWEST + others}: raise the limit"
        )
    return min(CONNECTIONS, allowed - others)


def _raised(wanted: int) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


class Complaints:
    """Of the event loop, which has nobody else to tell that it could not accept a connection."""

    def __init__(self) -> None:
        self._told = -QUIET

    def __call__(self, loop: asyncio.AbstractEventLoop, about: dict[str, Any]) -> None:
        error = about.get("exception")
        if not (isinstance(error, OSError) and trouble.passes(error)):
            LOG.error("%s", about.get("message"), exc_info=error)
        elif time.monotonic() - self._told >= QUIET:
            self._told = time.monotonic()
            LOG.error("no connection can be accepted: %s; this is tried again each second", error)
