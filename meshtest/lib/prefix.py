"""The part of a growing file that is there now: small ones read, large ones mapped, so that no copy is made.

Not here: what is in it. Files of a run only grow; one that somebody else cuts while it is mapped ends the process that
looks at the missing part (SIGBUS), as it does for every program that maps files.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path

MAPPED = 1 << 20
"""Bytes from which mapping is worth it: below, a read is quicker, and no file stays open."""


def prefix(path: Path, most: int | None = None) -> bytes | memoryview:
    """The first `most` bytes, or fewer if there are not so many; by default all that are there now."""
    with path.open("rb") as file:
        there = os.fstat(file.fileno()).st_size
        size = there if most is None else min(there, most)
        if size < MAPPED:
            return file.read(size)
        return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))
