"""A run's keeper (keeper.py) as the endpoint holds it, and what its folder tells of a run.

Not here: which runs begin when (jobs.py).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

from meshtest.errors import MeshtestError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.wait import until
from meshtest.webhook.work import Work

MARK = "MESHTEST_RUN"
"""In the environment of every process of a run: its id."""
OWN = "MESHTEST_WEBHOOK_"
"""Variables with this prefix are the endpoint's own (tokens): no run gets them."""
PROGRAM = Path(__file__).with_name("keeper.py")
TIMEOUT = "timeout"
"""Why a keeper has ended a run by itself."""
PATIENCE = 60.0
"""Seconds for processes that were killed to be gone; it takes milliseconds."""


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What the keeper wrote down."""

    code: int
    """As of subprocess: negative for a signal."""
    why: str = ""
    """Why it was stopped: `timeout`, or what stop() was told. "": it ended by itself."""
    seconds: float = 0.0
    left: int = 0
    """Processes that it left behind; they were killed."""


class Keeper:
    """Started, and told what to do. It ends everything when this process does."""

    def __init__(self, folder: Path, work: Work, *, id: str, timeout: float, grace: float, output: int) -> None:
        """OSError if it cannot be started."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.id = folder, id
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
        words = map(str, (PROGRAM, timeout, grace, output, int(work.end_with), *work.command))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", *words],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**inherited, **work.environment, MARK: id},
            bufsize=0,
            start_new_session=True,
        )
        self._lock = threading.Lock()

    def stop(self, why: str) -> None:
        """The signal of its Work, and SIGKILL after the grace. The first reason is the one that is told."""
        line = f"stop {' '.join(why.split())}\n".encode(errors="replace")
        with self._lock, contextlib.suppress(OSError, ValueError):  # it has ended; wait() says how
            self._process.stdin.write(line)  # type: ignore[union-attr]

    def wait(self) -> tuple[Ended | None, str]:
        """When nothing of the run lives any more; with None, what the keeper has complained about."""
        complaint = self._process.stderr.read().decode(errors="replace")  # type: ignore[union-attr]
        code = self._process.wait()
        with self._lock:
            self._process.stdin.close()  # type: ignore[union-attr]
        self._process.stderr.close()  # type: ignore[union-attr]
        ended = ended_of(self.folder)
        if ended is None:
            kill_marked({self.id})
        return ended, complaint.strip() or f"its keeper ended with {code}"


def ended_of(folder: Path) -> Ended | None:
    """None: it has not ended by itself, or was not begun."""
    try:
        code, seconds, left, why = (folder / "exit").read_text(errors="replace").split(" ", 3)
    except FileNotFoundError:
        return None
    return Ended(code=int(code), why=why, seconds=float(seconds), left=int(left))


def has_begun(folder: Path) -> bool:
    return (folder / "begun").exists()


def wait_for_keeper(folder: Path) -> None:
    """Until no keeper of an earlier endpoint has the run. They end by themselves, as that endpoint is gone."""
    with contextlib.suppress(FileNotFoundError):
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
        try:
            until(lambda: _taken(lock), within=PATIENCE, what=lambda: f"something of the run in {folder} does not end")
        except TimeoutError as error:
            raise MeshtestError(str(error)) from None
        finally:
            os.close(lock)


def _taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def kill_marked(ids: Collection[str]) -> None:
    """SIGKILL for processes of these runs that no keeper has any more, until there is none."""

    def none_left() -> bool:
        left = list(marked(ids))  # what they have forked meanwhile has the mark too
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        return not left

    with contextlib.suppress(TimeoutError):  # one that the kernel does not let go of holds up nobody
        until(none_left, within=PATIENCE, what=str)


def marked(ids: Collection[str]) -> Iterator[int]:
    wanted = {f"{MARK}={id}".encode() for id in ids}
    for name in filter(str.isdigit, os.listdir("/proc") if os.path.isdir("/proc") else []):
        with contextlib.suppress(OSError):
            if not wanted.isdisjoint(Path("/proc", name, "environ").read_bytes().split(b"\0")):
                state = Path("/proc", name, "stat").read_bytes().rpartition(b") ")[2][:1]
                if state not in (b"Z", b"X") and int(name) != os.getpid():
                    yield int(name)
