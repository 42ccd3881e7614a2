"""Remove a folder tree without shutil, whose import costs the supervisor 10 ms.

Not here: where runtime folders are (runtime.py).
"""

from __future__ import annotations

import contextlib
import os


def remove(path: str) -> None:
    """As `rm -rf`; what cannot be removed stays. Links are removed, never followed."""
    for folder, folders, files in os.walk(path, topdown=False):
        for name in files:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))
        for name in folders:
            below = os.path.join(folder, name)
            with contextlib.suppress(OSError):
                (os.unlink if os.path.islink(below) else os.rmdir)(below)
    with contextlib.suppress(OSError):
        os.rmdir(path)


def remove_runtime(path: str) -> None:
    """Remove a runtime folder, and the folder of all runs once it is empty."""
    remove(path)
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(path))
