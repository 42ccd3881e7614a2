"""Runtime folders: one a run, for sockets, scratch files and the ledger; gone when the run is.

Not here: run folders with what a person should find (reports/), and removal after a crash (heal.py).
"""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from pathlib import Path

from meshtest.errors import ProviderError
from meshtest_envoy.pods import procs
from meshtest_envoy.pods.ledger import Ledger

SOCKET_PATH = 107
"""Longest path of a unix socket (sun_path holds 108 bytes with the closing zero)."""
SOCKET_NAME = 40
"""Room that is kept for the name of a socket below the runtime folder."""


def roots() -> list[Path]:
    """Where runtime folders of this user can be: below $TMPDIR, or below /tmp when that is too long for a socket."""
    wanted = [Path(tempfile.gettempdir()).absolute(), Path("/tmp")]
    fitting = [base / f"meshtest-{os.getuid()}" for base in wanted]
    return list(dict.fromkeys(root for root in fitting if _fits(root)))


def make_runtime_dir() -> Path:
    """A new folder that only this user can enter, with a ledger that names this process as its runner."""
    for root in roots():
        for _ in range(8):
            if (made := _make(root)) is not None:
                Ledger(str(made), (os.getpid(), procs.start_time(os.getpid()))).write()
                return made
    where = " or ".join(str(root) for root in roots())
    raise ProviderError(f"cannot make a runtime folder in {where}; it must belong to this user (set TMPDIR to another)")


def _fits(root: Path) -> bool:
    return len(os.fsencode(root)) + len("/12345678/") + SOCKET_NAME <= SOCKET_PATH


def _make(root: Path) -> Path | None:
    """None when another run removed the empty root meanwhile, or the root is not ours."""
    folder = root / secrets.token_hex(4)
    try:
        root.mkdir(mode=0o700, exist_ok=True)
        if not _is_ours(root):
            return None
        folder.mkdir(mode=0o700)
    except OSError:
        return None
    return folder


def _is_ours(root: Path) -> bool:
    """Anyone can make /tmp/meshtest-1000 before us, or a link of that name."""
    found = root.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022
