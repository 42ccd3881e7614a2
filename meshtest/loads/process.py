"""One process of a load, as its runner holds it: started, told things, and heard out.

Not here: what it does (prober.py), a load made of several (load.py).
"""

from __future__ import annotations

import json
import marshal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from meshtest.loads.prober import FAILED, GAVE_UP

if TYPE_CHECKING:
    from meshtest.loads.tally import Figures

_ROOT = str(Path(__file__).resolve().parent.parent)
_BOOT = """
import sys
for name in ("meshtest", "meshtest.loads", "meshtest.model", "meshtest.spi"):
    sys.modules[name] = package = type(sys)(name)
    package.__path__ = [sys.argv[1] + name.removeprefix("meshtest").replace(".", "/")]
from meshtest.loads.prober import main
main()
"""
"""Empty packages in place of the real ones: whatever their __init__ may import one day, the prober stays light."""


class Process:
    """A prober. `start` does not wait for it, so that several can come up at the same time."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        self._order = marshal.dumps(dict(order))
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self._figures: Figures | None = None
        self._said = b""
        self._words = ""

    def start(self) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BOOT, _ROOT],
            bufsize=0,  # communicate() does not know what a buffer holds
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,  # Ctrl-C is for the runner, which then stops us in order
        )
        self.tell(len(self._order).to_bytes(4, "little") + self._order)

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def code(self) -> int | None:
        """With which it has ended."""
        return self._process.poll() if self._process else None

    @property
    def failed(self) -> bool:
        """It has ended, and not in order."""
        return self.code not in (None, 0)

    def expect(self, word: bytes) -> bool:
        """Block until it says something: True if that begins with `word`, False if it is something else, or dead."""
        assert self._process
        assert self._process.stdout
        self._said = self._process.stdout.readline()
        return self._said.startswith(word)

    def tell(self, data: bytes) -> None:
        assert self._process
        assert self._process.stdin
        try:
            while data:
                data = data[self._process.stdin.write(data) or 0 :]
        except (BrokenPipeError, ValueError):
            return  # it has ended; whoever asks next hears why

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def end(self, timeout: float) -> Figures | None:
        """Wait for it and return its figures; None if it died without any. TimeoutExpired if it does not end."""
        assert self._process
        if self._figures is None and self._process.stdout and not self._process.stdout.closed:
            out, _ = self._process.communicate(timeout=timeout)
            out = out or self._said
            if self._process.returncode in (0, FAILED, GAVE_UP) and out:
                self._figures = json.loads(out.splitlines()[-1])
        return self._figures

    def last_words(self) -> str:
        """Of one that has died."""
        assert self._process
        assert self._stderr
        if not self._words:
            code = self._process.wait()
            self._stderr.seek(0)
            text = self._stderr.read().decode(errors="replace").strip()
            self._words = f"exit code {code}: {text or 'it said nothing'}"
        return self._words

    def close(self) -> None:
        assert self._process
        if not self.running:
            self.last_words()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream:
                _close_quietly(stream)


def _close_quietly(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except BrokenPipeError:
        return
