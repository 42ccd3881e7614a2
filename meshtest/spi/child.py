"""A process that a load runs in, as its runner holds it: started, told things, heard out, closed.

It is told by its stdin, and the end of that means that the runner has died: whatever it is, it ends then too.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO


class Child:
    """Running from the moment it is made. Complaints go to `log`, else into a file that `complaint` reads."""

    def __init__(
        self, command: Sequence[str], *, log: IO[bytes] | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._complaints = None if log else tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            command,
            bufsize=0,  # communicate() does not know what a buffer holds
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log or self._complaints,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the runner, which then stops us in order
        )
        assert self._process.stdin
        assert self._process.stdout
        self._in: IO[bytes] = self._process.stdin
        self.out: IO[bytes] = self._process.stdout
        """What it says, unbuffered."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """With which it has ended."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        return self.code is None

    def tell(self, data: bytes) -> None:
        try:
            while data:
                data = data[self._in.write(data) or 0 :]
        except (BrokenPipeError, ValueError):
            return  # it has ended; whoever asks next hears why

    def rest(self, timeout: float) -> bytes:
        """All that it has yet to say, once it has ended; subprocess.TimeoutExpired if it does not in time."""
        return self._process.communicate(timeout=timeout)[0]

    def wait(self, timeout: float | None = None) -> int:
        return self._process.wait(timeout)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def complaint(self) -> str:
        """What a process that has ended wrote to stderr, if that went to no log."""
        self.wait()
        if not self._complaints or self._complaints.closed:
            return ""
        self._complaints.seek(0)
        return self._complaints.read().decode(errors="replace").strip()

    def close(self) -> None:
        for stream in (self._in, self.out, self._complaints):
            if stream:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
