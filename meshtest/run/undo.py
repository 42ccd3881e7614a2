"""What must be put back when a run ends, last thing first."""

from __future__ import annotations

import threading
from collections.abc import Callable

from meshtest.lib.dataclass import dataclass


@dataclass(frozen=True)
class UndoFailed:
    """A thing that could not be put back."""

    name: str
    error: BaseException

    def __str__(self) -> str:
        return f"{self.name}: {type(self.error).__name__}: {self.error}"


class Undo:
    """A stack of named callbacks. Each runs once: early through what `push` returned, or in `unwind`."""

    def __init__(self) -> None:
        self._stack: list[tuple[str, Callable[[], object]]] = []
        self._lock = threading.Lock()

    def push(self, name: str, action: Callable[[], object]) -> Callable[[], None]:
        """Remember how to put something back. The result does it now (then an error is raised as it is)."""
        entry = (name, action)
        with self._lock:
            self._stack.append(entry)

        def now() -> None:
            if self._take(entry):
                action()

        return now

    def _take(self, entry: tuple[str, Callable[[], object]]) -> bool:
        with self._lock:
            for position, other in enumerate(self._stack):
                if other is entry:
                    del self._stack[position]
                    return True
        return False

    @property
    def pending(self) -> list[str]:
        """Names, the next to run first."""
        return [name for name, _ in reversed(self._stack)]

    def unwind(self) -> list[UndoFailed]:
        """Run all that is left; an error keeps none of the others from running."""
        failed = []
        while self._stack:
            name, action = entry = self._stack[-1]
            if not self._take(entry):
                continue
            try:
                action()
            except (Exception, KeyboardInterrupt) as error:
                failed.append(UndoFailed(name, error))
        return failed
