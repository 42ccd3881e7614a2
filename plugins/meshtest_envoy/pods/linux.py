"""What only Linux has: the three prctl calls that tie a process to its parent, and a fork on behalf of the parent.

On other systems the calls do nothing: there the control channel alone ends the children, so a SIGKILL of the supervisor
itself leaves them to heal().
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 1, 15, 36

_CLONE_PARENT = 0x8000
_CLONE = {"x86_64": 56, "aarch64": 220, "riscv64": 220}
"""Number of the system call; neither libc has a function that forks with flags."""

CAN_FORK_SIBLINGS = sys.platform == "linux" and sys.maxsize > 2**32 and os.uname().machine in _CLONE

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_locked = ctypes.PyDLL(None)
"""The same, but the interpreter lock is kept during a call, as os.fork() does."""


def die_with(parent: int) -> None:
    """SIGKILL for this process when the thread that forked it ends; it ends at once if that happened already."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def adopt_orphans() -> None:
    """Descendants whose parent died become children of this process, not of init."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def set_name(name: str) -> None:
    """What `ps -o comm` and `top` show; the kernel keeps 15 bytes."""
    _prctl(PR_SET_NAME, ctypes.create_string_buffer(name.encode()[:15]))


def fork_sibling() -> int:
    """Like os.fork(), but the new process is a child of our own parent, who alone can wait for it; -1 if that fails.

    Like os.fork(), it must not be called while other threads run: locks they hold would stay held in the child.
    """
    ctypes.pythonapi.PyOS_BeforeFork()
    pid = int(_locked.syscall(_CLONE[os.uname().machine], _CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0))
    if pid == 0:
        ctypes.pythonapi.PyOS_AfterFork_Child()
    else:
        ctypes.pythonapi.PyOS_AfterFork_Parent()
    return pid


def _prctl(option: int, argument: object) -> None:
    if _libc is not None:
        _libc.prctl(option, argument, 0, 0, 0)
