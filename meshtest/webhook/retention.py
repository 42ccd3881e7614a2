"""Which runs are kept: those that are not over, always; those of the latest revision of each canary, as their verdicts
may still be asked for, until they are too old for that; and of the others the newest."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from meshtest.webhook.runs import StoredRun
from meshtest.webhook.store import Store

DAY = 86_400.0
FOLDER = re.compile(r"\d{6,}-[0-9a-f]{8}")
"""Of a run; nothing else in `runs` is ours to remove."""


class Retention:
    """Of one store."""

    def __init__(
        self, store: Store, folder: Path, *, keep: int, days: float, now: Callable[[], float],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._store, self._folder, self._keep, self._days, self._now = store, folder, keep, days, now
        self._steady, self._origin = steady, now() - steady()
        self._lock = threading.Lock()

    def tidy(self) -> None:
        """Rows first: a crash leaves folders of which nothing is known, and those go the next time."""
        with self._lock:
            self._store.forget([run.id for run in self.surplus()])
            for path in self._unknown():
                shutil.rmtree(path, ignore_errors=True)

    def surplus(self) -> list[StoredRun]:
        runs = self._store.runs()
        latest = {run.key[:2]: run.key.revision for run in runs}
        newest = {run.id for run in runs[-self._keep :]} if self._keep else set()
        return [run for run in runs if run.state.is_over and not self._stays(run, newest, latest)]

    def _stays(self, run: StoredRun, newest: set[str], latest: dict[tuple[str, str], str]) -> bool:
        now = min(self._now(), self._origin + self._steady())  # a clock that is set makes nothing older
        young = now - run.ended < self._days * DAY
        return young and (run.id in newest or latest[run.key[:2]] == run.key.revision)

    def _unknown(self) -> list[Path]:
        try:
            found = list((self._folder / "runs").iterdir())
        except OSError:
            return []
        return [path for path in found if FOLDER.fullmatch(path.name) and self._store.get(path.name) is None]
