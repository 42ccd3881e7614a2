"""Fork, and what a child does first: lead a session, die with its parent, default signals, only its own files.

Not here: who is noted and reaped (children.py), what a child is for (containers.py, zygote.py).
"""

from __future__ import annotations

import gc
import os
import signal
import traceback
from collections.abc import Callable, Iterable
from typing import NoReturn

from meshtest_envoy.pods import linux

_HANDLED = (
    signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ,
)  # fmt: skip
"""Signals whose handling differs from the default in the supervisor. Doing all 64 would make each fork write
to 0.5 MiB of shared pages."""


def fork(output: int, keep: Iterable[int], name: str, body: Callable[[], int]) -> int:
    """The pid of a child that lives for body(); see live()."""
    parent = os.getpid()
    # A signal between the fork and the child's own signal set-up would be told to the parent's loop.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    try:
        pid = os.fork()
        if pid == 0:
            live(parent, output, keep, name, body)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def live(parent: int, output: int, keep: Iterable[int], name: str, body: Callable[[], int]) -> NoReturn:
    """The life of a forked child; nothing of its creator's Python stack is ever returned to. It holds only the files
    `keep`, and the result of body() is its exit code. SIGTERM waits until body() unblocks it, so that it is never met
    by a process that has not said yet what to do about it."""
    code = 70  # EX_SOFTWARE
    try:
        gc.freeze()  # objects of the parent must not be finalised here: they would close our files
        os.setsid()
        linux.die_with(parent)
        linux.set_name(name)
        _default_signals()
        _only_files(output, keep)
        code = body()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _default_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in _HANDLED:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, (signal.SIGTERM,))


def _only_files(output: int, keep: Iterable[int]) -> None:
    """Input from /dev/null, output to the log, and `keep`; everything else is closed."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    start = 3
    for number in sorted(keep):
        os.closerange(start, number)
        start = number + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))
