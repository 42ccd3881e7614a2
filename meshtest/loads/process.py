"""One process of a load of the prober: told its order, and heard out. Not here: what it does (prober.py), a load made
of several (load.py).
"""

from __future__ import annotations

import json
import marshal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.loads.prober import FAILED, GAVE_UP
from meshtest.spi.child import Child

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
        self._child: Child | None = None
        self._figures: Figures | None = None
        self._said = b""
        self._words = ""

    def start(self) -> None:
        self._child = Child([sys.executable, "-I", "-S", "-c", _BOOT, _ROOT])
        self.tell(len(self._order).to_bytes(4, "little") + self._order)

    @property
    def child(self) -> Child:
        assert self._child, "not started"
        return self._child

    @property
    def pid(self) -> int:
        return self.child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    @property
    def code(self) -> int | None:
        """With which it has ended."""
        return self._child.code if self._child else None

    @property
    def failed(self) -> bool:
        """It has ended, and not in order."""
        return self.code not in (None, 0)

    def expect(self, word: bytes) -> bool:
        """Block until it says something: True if that begins with `word`, False if it is something else, or dead."""
        self._said = self.child.out.readline()
        return self._said.startswith(word)

    def tell(self, data: bytes) -> None:
        self.child.tell(data)

    def kill(self) -> None:
        self.child.kill()

    def end(self, timeout: float) -> Figures | None:
        """Wait for it and return its figures; None if it died without any. TimeoutExpired if it does not end."""
        if self._figures is None and not self.child.out.closed:
            said = self.child.rest(timeout) or self._said
            if self.code in (0, FAILED, GAVE_UP) and said:
                self._figures = json.loads(said.splitlines()[-1])
        return self._figures

    def last_words(self) -> str:
        """Of one that has died."""
        if not self._words:
            complaint = self.child.complaint()
            self._words = f"exit code {self.code}: {complaint or 'it said nothing'}"
        return self._words

    def close(self) -> None:
        if not self.running:
            self.last_words()
        self.child.close()
