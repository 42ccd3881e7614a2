"""Envoy's log, run by run: one Envoy serves many runs, and each run folder gets its part."""

from __future__ import annotations

from pathlib import Path


class LogSlice:
    """A file that grows; `copy_to` takes what was added since the last time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def copy_to(self, target: Path) -> None:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self._offset)
            new = file.read()
            self._offset = file.tell()
        with target.open("ab") as part:  # what comes after the run's end is its too
            part.write(new)
