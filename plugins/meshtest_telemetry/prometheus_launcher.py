"""Become a program that dies with its runner: `python -I -S prometheus_launcher.py RUNNER PROGRAM ARGUMENT...`

The kernel sends SIGKILL when the thread that started us ends (Linux); it stays asked for across exec. On other systems
this does nothing, and only a runner that ends in order takes the program with it. Standard library only, as it is run
without site-packages.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(runner: int, command: list[str]) -> None:
    """Does not return."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != runner:  # it has ended before the kernel was asked
        os._exit(0)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
