"""A load of the prober as its runner holds it: start it, wait for requests, change the rate, stop.

One process, or several that share one grid: each writes `requests/NAME+k.bin`, all begin at one moment that is agreed
before the first send. Not here: sending (prober.py), one process (process.py), judging (checks/).
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from meshtest.errors import HistoryError, LoadError, UsageError
from meshtest.loads.figures import summary
from meshtest.loads.prober import FAILED, GAVE_UP
from meshtest.loads.process import Process
from meshtest.loads.spec import LoadSpec
from meshtest.model.sends import largest_gap
from meshtest.spi.load import PATIENCE, Place, RecordedLoad, Summary

if TYPE_CHECKING:
    from meshtest.loads.tally import Figures

_AGREE_NS = 5_000_000
"""From the word that all processes are up to the moment they begin: longer than it takes to tell them."""


class Load(RecordedLoad):
    """One load of the prober. Use as a context manager, or start() and stop()."""

    def __init__(self, spec: LoadSpec, place: Place) -> None:
        super().__init__(place)
        self.spec = spec
        self.rate = spec.rate
        self.summary: Summary | None = None
        self._processes: list[Process] = []

    @property
    def pids(self) -> list[int]:
        """Of its processes."""
        return [process.pid for process in self._processes]

    @property
    def pid(self) -> int:
        return self.pids[0]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # ---- beginning

    def start(self) -> None:
        """Returns when the first request is being sent."""
        self.claim()
        targets = [
            target.order(self.place.address, self.place.entrance.port, proxy=self.place.entrance.proxy)
            for target in self.spec.targets
        ]
        orders = [self.spec.order(part, self.place.seed, targets) for part in range(self.spec.processes)]
        self._processes = [Process(order | self._files(part)) for part, order in enumerate(orders)]
        with self._or_killed():
            for process in self._processes:
                process.start()
            if len(self._processes) > 1:
                self._await(b"ready")
                self._tell(b"go %d\n" % (time.monotonic_ns() + _AGREE_NS))
            self._await(b"started")
        self.place.record("load.start", self.name, load=self.name, **self._where(), **self.spec.describe())

    def _files(self, part: int) -> dict[str, str]:
        path = self._part(part)
        return {"records": str(path.absolute()), "names": str(path.with_suffix(".names").absolute())}

    def _part(self, part: int) -> Path:
        return self.records.with_name(f"{self.name}+{part}.bin") if part else self.records

    def _where(self) -> dict[str, Any]:
        entrance = f"{self.place.entrance.address}:{self.place.entrance.port}"
        return {"target": self.spec.authority, "source": self.place.source, "entrance": entrance}

    def _await(self, word: bytes) -> None:
        for process in self._processes:
            if not process.expect(word):
                raise self._died(process)

    @contextmanager
    def _or_killed(self) -> Iterator[None]:
        """A load that does not come up leaves no process behind."""
        try:
            yield
        except BaseException:
            for process in self._processes:
                if process.running:
                    process.kill()
            raise

    # ---- while it runs

    def set_rate(self, rate: float) -> None:
        """From now on, `rate` requests a second."""
        if self.spec.rate is None or not 0 < rate < float("inf"):
            raise UsageError(f"rate {rate!r} for load {self.name!r}: above 0, and of a load that was given a rate")
        ahead = 4 * _AGREE_NS if len(self._processes) > 1 else 0
        self._tell(b"rate %r %d\n" % (float(rate), time.monotonic_ns() + ahead))
        self.rate = rate
        self.place.record("load.rate", self.name, load=self.name, rate=rate)

    @property
    def running(self) -> bool:
        """It sends; if one of several processes has died, it is no longer the load that was asked for."""
        return any(process.running for process in self._processes) and not any(
            process.failed for process in self._processes
        )

    def time_for(self, requests: int) -> float:
        """The longest that so many requests take when all time out."""
        return self.spec.timeout + self.spec.due_in(requests, self.rate)

    def ended(self) -> Exception | None:
        return next((self._died(process) for process in self._processes if process.failed), None)

    def longest(self) -> float:
        """Seconds after which even a load whose every request times out has ended."""
        spec = self.spec
        if spec.requests is None and spec.lasts is None:
            raise UsageError("mesh.load(...).run() needs an end: give requests=N or seconds=S, or use it with `with`")
        return (spec.lasts or spec.due_in(spec.requests or 0, spec.rate)) + spec.timeout + PATIENCE

    # ---- end

    def stop(self) -> Summary:
        """Send no more, wait for the requests under way, and return the figures. Safe to call twice."""
        if self.summary:
            return self.summary
        if not self._processes:
            raise UsageError(f"load {self.name!r} was not started")
        self._tell(b"stop\n")
        parts = [self._figures(process) for process in self._processes]
        gap = None
        if len(parts) > 1:
            gap = largest_gap(self.requests())
        self.summary = summary(parts, asked=self.rate, gap=gap, closed=self.spec.concurrency is not None)
        self._close()
        self.place.record("load.end", self.name, load=self.name, **self.summary.as_data())
        if self.summary.error:
            raise next(self._died(process) for process in self._processes if process.failed)
        return self.summary

    def _figures(self, process: Process) -> Figures:
        try:
            figures = process.end(self.spec.timeout + PATIENCE)
        except subprocess.TimeoutExpired:
            self._kill()
            raise LoadError(f"load {self.name!r} did not stop; its process was killed") from None
        if figures is None:
            raise self._died(process)
        return figures

    def _kill(self) -> None:
        for process in self._processes:
            if process.running:
                process.kill()
        self._close()

    def _cut_short(self, error: str) -> str:
        return f"load {self.name!r}: {error} in {self.records.parent}; recorded up to request {self.finished}"

    def _tell(self, data: bytes) -> None:
        for process in self._processes:
            process.tell(data)

    def _died(self, process: Process) -> LoadError | HistoryError:
        """The others, if there are any, are ended: what is left would be no even load."""
        figures = process.end(PATIENCE)
        words = process.last_words()
        self._kill()
        if figures and process.code == FAILED:
            return HistoryError(self._cut_short(figures["error"]))
        if figures and process.code == GAVE_UP:
            return LoadError(f"load {self.name!r}: {figures['error']}")
        which = f" {process.pid}" if len(self._processes) > 1 else ""
        return LoadError(f"the prober{which} of load {self.name!r} died ({words})")

    def _close(self) -> None:
        for process in self._processes:
            process.close()
