"""Files that somebody else renews while the endpoint serves: cert-manager its certificate, a Secret's owner its tokens.

They are looked at once a minute, as a mounted Secret changes without a word. What cannot be read then is told, and what
was read before stays in force.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from meshtest.errors import UsageError

LOG = logging.getLogger("meshtest.webhook")
EVERY = 60.0


class Renewed:
    """Files, and what reads them anew; UsageError leaves all as it was."""

    def __init__(self, files: Sequence[Path | None], read: Callable[[], None]) -> None:
        self._files = [file for file in files if file]
        self._read = read
        self._seen = self._stamps()

    def _stamps(self) -> list[tuple[int, int] | None]:
        return list(map(_stamp, self._files))

    def look(self) -> None:
        now = self._stamps()
        if now == self._seen:
            return
        self._seen = now
        names = ", ".join(map(str, self._files))
        try:
            self._read()
        except UsageError as error:
            LOG.error("%s; what was read before stays in force", error)
        else:
            LOG.warning("%s: read anew", names)


def _stamp(file: Path) -> tuple[int, int] | None:
    """Of the file that a link leads to: a mounted Secret is renewed by another link."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


async def watch(renewed: Sequence[Renewed], every: float = EVERY) -> None:
    """Until it is cancelled."""
    while True:
        await asyncio.sleep(every)
        for one in renewed:
            await asyncio.to_thread(one.look)
