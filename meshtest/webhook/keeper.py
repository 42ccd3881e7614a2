"""The parent of all that a run starts: a program of its own, `python -I -S keeper.py`, standard library only.

    endpoint ── stdin: `stop WHY`, or its end: the endpoint is gone ──► keeper ──► child, in a session of its own
                                                                          │
    its working folder: lock        held as long as anything of the run lives
                        begun       made by O_EXCL before the child is: whoever finds it never starts the run again
                        output.txt  the child's stdout and stderr, within a limit
                        exit        how it ended: whole, or not there at all

It is a subreaper: what leaves the child's group or session is still its descendant. When stdin ends, or the child has,
all of them get SIGKILL. With `begun` and no `exit` the run was cut; without `begun` it has never begun. Both are on the
disk before anything that follows from them.

Not here: which command, what its end means (work.py, verdicts.py); how the endpoint holds it (keeping.py).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CANNOT = 73
"""Exit code of the keeper itself: the run could not begin, or its end could not be written; stderr says why."""
RESERVED = 4096
"""Bytes of `exit` that are taken before the run begins, so that a disk that it fills can still hold its end."""
LONGEST = 500
"""Characters of why it was stopped."""
PATIENCE = 0.01
"""Seconds between looks for descendants that a look has missed, because they changed parents meanwhile."""


def _prctl(option: int, argument: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, argument, 0, 0, 0)


class Order:
    """What to run, and within which limits: the words of the command line."""

    def __init__(self, timeout: str, grace: str, output: str, end_with: str, *command: str) -> None:
        self.timeout, self.grace = float(timeout), float(grace)
        self.output, self.end_with = int(output), int(end_with)
        self.command = command


def main(order: Order) -> int:
    for number in (signal.SIGINT, signal.SIGHUP):  # they are the endpoint's, who will say so on stdin
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # until there is a child to pass it on to
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    lock = os.open("lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # another keeper of this run has it only until it sees that its endpoint is gone
    if _endpoint_is_gone() or os.path.exists("begun"):
        return 0
    reserved = _begin()
    if ended := Run(order).watched():
        _write_exit(reserved, ended)
    return 0


def _endpoint_is_gone() -> bool:
    poll = select.poll()
    poll.register(0, 0)  # no event but POLLHUP: nobody can write to it any more
    return bool(poll.poll(0))


def _begin() -> int:
    """The marker, and the room for `exit`, as a file descriptor."""
    reserved = os.open(".exit", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    if os.write(reserved, b" " * RESERVED) < RESERVED:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    begun = os.open("begun", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    for file in (reserved, begun):
        os.fsync(file)
    os.close(begun)
    _sync_folders()
    return reserved


def _write_exit(reserved: int, ended: str) -> None:
    text = ended.encode(errors="replace")[:RESERVED]
    os.pwrite(reserved, text, 0)
    os.ftruncate(reserved, len(text))
    os.fsync(reserved)
    os.rename(".exit", "exit")
    _sync_folders()


def _sync_folders() -> None:
    """The run's, and the one that it lies in."""
    for name in (".", ".."):
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(folder)
        os.close(folder)


class Run:
    """The child from its start to the end of everything that came of it."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._inbox = b""
        self._told = True
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._stop("its keeper was told to end by SIGTERM"))
        output, self._write = os.pipe()
        self._output = Output(output, order.output)
        self._began = time.monotonic()
        self._kill_at: float | None = None
        self._why = ""
        self._status: int | None = None

    def watched(self) -> str:
        """How it ended; "" if the endpoint has gone: nobody knows then how it would have."""
        self._child = _started(self._order, self._write)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        os.close(self._write)
        while self._status is None and self._told:
            self._wait()
            self._reap()
        left = end_descendants()
        self._output.finish()
        if self._status is None:
            return ""
        code = os.waitstatus_to_exitcode(self._status)
        return f"{code} {time.monotonic() - self._began:.3f} {left} {self._why}"

    def _wait(self) -> None:
        poll = select.poll()
        for file in (0, self._woken, *([self._output.file] if self._output.open else [])):
            poll.register(file, select.POLLIN)
        ready = {file for file, _ in poll.poll(self._until_deadline())}
        if self._output.file in ready:
            self._output.read()
        if self._woken in ready:
            os.read(self._woken, 4096)
        if 0 in ready:
            self._listen()
        self._look_at_the_clock()

    def _listen(self) -> None:
        part = os.read(0, 65536)
        self._told = bool(part)
        *lines, self._inbox = (self._inbox + part).split(b"\n")
        for line in lines:
            self._stop(line.decode(errors="replace").removeprefix("stop "))

    def _until_deadline(self) -> float:
        """Milliseconds."""
        deadline = self._began + self._order.timeout if self._kill_at is None else self._kill_at
        return max(0.0, deadline - time.monotonic()) * 1000 + 1

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None and now >= self._kill_at:
            self._kill_at = now + 3600
            _signal_group(self._child, signal.SIGKILL)
        elif self._kill_at is None and now >= self._began + self._order.timeout:
            self._stop("timeout")

    def _stop(self, why: str) -> None:
        """The order's signal now, SIGKILL after the grace; the first reason is the one that is told."""
        if self._kill_at is None and self._status is None:
            self._why = why[:LONGEST]
            self._kill_at = time.monotonic() + self._order.grace
            _signal_group(self._child, self._order.end_with)

    def _reap(self) -> None:
        while self._status is None:
            pid, status = os.waitpid(-1, os.WNOHANG)  # the child is not reaped yet: there is somebody to wait for
            if pid == 0:
                return
            if pid == self._child:
                self._status = status


def _started(order: Order, output: int) -> int:
    """The child, in a session of its own."""
    keeper = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            _become(order, output, keeper)
        except OSError as error:
            os.write(2, f"cannot run {order.command[0]}: {error.strerror}\n".encode())
        finally:
            os._exit(127)
    return child


def _become(order: Order, output: int, keeper: int) -> None:
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        os._exit(127)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.execvpe(order.command[0], order.command, os.environ)


class Output:
    """Of a flood, the first and the last half of the limit are kept."""

    def __init__(self, file: int, limit: int) -> None:
        self.file, self.open = file, True
        self._half = max(1, limit // 2)
        self._head = self._half
        self._tail = bytearray()  # as bytes, each part of a flood would copy all of it
        self._left_out = 0
        self._kept = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def read(self) -> int:
        part = os.read(self.file, 65536)
        self.open = bool(part)
        head, rest = part[: self._head], part[self._head :]
        self._head -= len(head)
        self._put(head)
        self._tail += rest
        if len(self._tail) > 2 * self._half:
            self._shorten()
        return len(part)

    def finish(self) -> None:
        """What is in the pipe; everyone who could write to it is dead, or cannot be killed."""
        os.set_blocking(self.file, False)
        try:
            while self.read():
                pass
        except BlockingIOError:
            pass
        self._shorten()
        gap = f"\n... {self._left_out} bytes are left out ...\n".encode() if self._left_out else b""
        self._put(gap + self._tail)

    def _shorten(self) -> None:
        self._left_out += max(0, len(self._tail) - self._half)
        del self._tail[: -self._half]

    def _put(self, data: bytes) -> None:
        try:
            os.write(self._kept, data)
        except OSError:  # a full disk costs the output, not the verdict
            self._head = 0


def end_descendants() -> int:
    """SIGKILL for every process that has come of this one, until none is left; how many there were."""
    ended = misses = 0
    while misses < 10:  # then they are not ours to kill (another user's): nothing more can be done
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            break
        if killed := sum(map(_killed, _descendants(os.getpid()))):
            ended += killed
            os.waitpid(-1, 0)
        else:
            misses += 1
            time.sleep(PATIENCE)
    return ended


def _descendants(of: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    state, parent = file.read().rpartition(b") ")[2].split(None, 2)[:2]
            except OSError:
                continue
            if state not in (b"Z", b"X"):
                children.setdefault(int(parent), []).append(int(name))
    found, todo = [], [of]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return False
    return True


def _signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except ProcessLookupError:  # it has not made its session yet; it is not reaped, so the number is still its own
        os.kill(leader, number)


if __name__ == "__main__":
    try:
        sys.exit(main(Order(*sys.argv[1:])))
    except OSError as error:
        sys.stderr.write(f"{error.filename or 'the folder of the run'}: {error.strerror}\n")
        sys.exit(CANNOT)
