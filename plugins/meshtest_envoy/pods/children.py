"""Child processes of the supervisor: exec, signal, reap. Every child leads its own session and dies with us.

 fork ─► setsid, parent-death signal, default signals, only its own files ─► the stand-in's loop          (stand-in)
           (forks.py)                                                   └─► wait for the ledger ─► exec   (program)

When a child ends, its process group is killed before its pid is free again; so are orphans that left the group but
carry the mark of its container. Not here: when to start and stop what (kubelet.py).
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Mapping
from typing import NamedTuple

from meshtest_envoy.pods import environment, forks, procs
from meshtest_envoy.pods.ledger import Ledger

WHOLE_GROUP = frozenset((signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT))
"""Signals that no process can handle concern all processes of a container, as the freezer and the OOM killer do."""

Start = Callable[[int], int]
"""start(output) -> pid of a new child of this process that writes to the file `output`."""


class Exit(NamedTuple):
    """How a process ended: a code, or the number of the signal."""

    code: int | None
    signal: int | None


class CannotRun(Exception):
    """The program is not there or not executable; the text says so."""


class Process:
    """One running child; `exited` is done when it and its process group are gone."""

    __slots__ = ("container", "exited", "name", "pid")

    def __init__(self, name: str, pid: int, container: str, exited: asyncio.Future[Exit]) -> None:
        self.name, self.pid, self.container, self.exited = name, pid, container, exited

    def signal(self, signum: int) -> None:
        """To the first process, as Kubernetes does; to the group where no process could handle it."""
        if self.exited.done():
            return
        # A fork of a moment ago does not lead its group yet: then it is the process alone.
        if signum not in WHOLE_GROUP or not procs.end(self.pid, signum, group=True):
            procs.end(self.pid, signum)


class Children:
    """All children. Needs a running loop in the main thread, and is its only user of SIGCHLD."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ledger: Ledger, directory: str) -> None:
        self._loop = loop
        self._ledger = ledger
        self._directory = directory
        self._running: dict[int, Process] = {}
        self._started = 0
        loop.add_signal_handler(signal.SIGCHLD, self.reap)

    @property
    def running(self) -> list[Process]:
        return list(self._running.values())

    async def start(self, name: str, log: str, start: Start) -> Process:
        """Make a child that needs no mark, since it has no children itself."""
        return await self._outside_of_tasks(lambda: self._start(name, "", log, start))

    async def execute(self, name: str, argv: list[str], env: Mapping[str, str], log: str) -> Process:
        """Run a program; CannotRun if the kernel does not."""
        self._started += 1
        container = f"{name}.{self._started}"
        marks = {environment.MARK: self._directory, environment.CONTAINER: container}
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        body = _Exec(argv, {**env, **marks}, theirs)
        with ours:
            with theirs:
                process = await self._outside_of_tasks(
                    lambda: self._start(
                        name, container, log, lambda output: forks.fork(output, [theirs.fileno()], name, body)
                    )
                )
            ours.send(b"!")
            if problem := await self._loop.sock_recv(ours, 16):
                await process.exited
                raise CannotRun(_cannot_run(argv, int(problem)))
        return process

    async def _outside_of_tasks(self, action: Callable[[], Process]) -> Process:
        """Fork in a plain callback: a child forked inside a task would believe that this task runs in it."""
        made: asyncio.Future[Process] = self._loop.create_future()

        def run() -> None:
            if made.cancelled():
                return
            try:
                made.set_result(action())
            except OSError as error:
                made.set_exception(CannotRun(f"cannot start a process: {error}"))

        self._loop.call_soon(run)
        return await made

    def _start(self, name: str, container: str, log: str, start: Start) -> Process:
        output = _open_log(log)
        try:
            pid = start(output)
        finally:
            os.close(output)
        self._running[pid] = Process(name, pid, container, self._loop.create_future())
        self._ledger.add(pid)
        return self._running[pid]

    def reap(self) -> None:
        """Take note of everyone who ended, adopted orphans too."""
        while (found := _ended()) is not None:
            # Not reaped yet, so the number of the group cannot be anyone else's.
            process = self._running.pop(found.si_pid, None)
            if process is not None:
                procs.end(found.si_pid, signal.SIGKILL, group=True)
            os.waitpid(found.si_pid, 0)
            if process is not None:
                self._gone(process, found)

    def _gone(self, process: Process, found: os.waitid_result) -> None:
        self._ledger.drop(process.pid)
        if process.container:
            self._kill_orphans_of(process)
        exited = found.si_code == os.CLD_EXITED
        result = Exit(found.si_status, None) if exited else Exit(None, found.si_status)
        if not process.exited.done():
            process.exited.set_result(result)

    def _kill_orphans_of(self, process: Process) -> None:
        """A container's processes do not outlive its first one; a daemon in a session of its own would."""
        everyone = procs.everyone()
        mark = f"{environment.CONTAINER}={process.container}"
        for one in everyone:
            adopted = one.parent == os.getpid() and one.pid not in self._running
            if adopted and procs.has_variable(one.pid, mark):
                for below in (one, *procs.descendants(one.pid, everyone)):
                    procs.end(below.pid, signal.SIGKILL)

    def kill_all(self) -> None:
        """SIGKILL to everyone below us, whatever session they moved to; call until `nobody_left()`."""
        for process in self.running:
            procs.end(process.pid, signal.SIGKILL, group=True)
        for one in procs.descendants(os.getpid(), procs.everyone()):
            procs.end(one.pid, signal.SIGKILL)

    def nobody_left(self) -> bool:
        """No child, of ours or adopted, exists any more."""
        self.reap()
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return True
        return False


class _Exec:
    """Body of a fork that becomes a program once the parent has noted it in the ledger."""

    def __init__(self, argv: list[str], env: dict[str, str], gate: socket.socket) -> None:
        self._argv, self._env, self._gate = argv, env, gate

    def __call__(self) -> int:
        if self._gate.recv(1):
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            try:
                os.execvpe(self._argv[0], self._argv, self._env)
            except OSError as error:
                self._gate.send(str(error.errno).encode())
        return 127


def _cannot_run(argv: list[str], number: int) -> str:
    found = "no such file" if number == 2 else os.strerror(number).lower()
    return f"cannot run {argv!r}: {found}; give a program that is installed on this machine (looked in PATH)"


def _open_log(path: str) -> int:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def _ended() -> os.waitid_result | None:
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
