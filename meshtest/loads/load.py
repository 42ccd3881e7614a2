"""A load as its runner holds it: start the prober, wait for requests, change the rate, stop.

Not here: sending (prober.py), judging (checks/). The prober's records go straight into the run folder.
"""

from __future__ import annotations

import marshal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from meshtest.errors import HistoryError, LoadError, UsageError
from meshtest.lib.wait import until
from meshtest.lib.words import plural
from meshtest.loads.prober import FAILED
from meshtest.loads.progress import Progress, Summary
from meshtest.loads.spec import LoadSpec
from meshtest.model.record import RECORD
from meshtest.spi.provider import Entrance

__all__ = ["PATIENCE", "Load", "Summary"]

PATIENCE = 10.0
"""Seconds that a prober may be slower than rate and timeout allow before it counts as stuck: the machine is busy."""

_ROOT = str(Path(__file__).resolve().parent.parent)
_BOOT = """
import sys
for name, path in (("meshtest", ""), ("meshtest.loads", "/loads"), ("meshtest.model", "/model")):
    sys.modules[name] = package = type(sys)(name)
    package.__path__ = [sys.argv[1] + path]
from meshtest.loads.prober import main
main()
"""
"""Empty packages in place of the real ones: whatever their __init__ may import one day, the prober stays light."""


class Load:
    """One load on one entrance. Use as a context manager, or start() and stop()."""

    def __init__(
        self,
        spec: LoadSpec,
        entrance: Entrance,
        directory: Path,
        *,
        start_ns: int = 0,
        record: Callable[..., None] = lambda *_, **__: None,
    ) -> None:
        """`directory` is the run folder, `start_ns` its second 0 on CLOCK_MONOTONIC, `record` writes an event."""
        self.spec = spec
        self.entrance = entrance
        self.rate = spec.rate
        self.summary: Summary | None = None
        self._start_ns = start_ns
        self._record = record
        self._records = directory / "requests" / f"{spec.name}.bin"
        self._progress = Progress(self._records)
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def pid(self) -> int:
        """Of the prober."""
        assert self._process
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when the first request is being sent."""
        if self._records.exists() or self._process:
            raise UsageError(f"a load named {self.name!r} has run already; give each load of a run its own name")
        self._records.parent.mkdir(parents=True, exist_ok=True)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _BOOT, _ROOT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            start_new_session=True,  # Ctrl-C is for the runner, which then stops us in order
        )
        order = marshal.dumps(self._order())
        self._tell(len(order).to_bytes(4, "little") + order)
        assert self._process.stdout
        if not self._process.stdout.readline().startswith(b"started"):
            raise self._died()
        self._record("load.start", self.name, load=self.name, **self._where(), **self.spec.describe())

    def _where(self) -> dict[str, Any]:
        return {"target": self.spec.authority, "entrance": f"{self.entrance.address}:{self.entrance.port}"}

    def _order(self) -> dict[str, Any]:
        spec = self.spec
        before, after = spec.wire(proxy=self.entrance.proxy)
        return {
            "address": _resolved(self.entrance.address),
            "port": self.entrance.port,
            "before": before,
            "after": after,
            "head_only": spec.method == "HEAD",
            "rate": spec.rate,
            "concurrency": spec.concurrency,
            "requests": spec.requests,
            "seconds": spec.seconds,
            "lanes": [int(lane) for lane in spec.lanes],
            "connections": spec.connections,
            "timeout": spec.timeout,
            "records": str(self._records.absolute()),
            "names": str(self._records.with_suffix(".names").absolute()),
        }

    def set_rate(self, rate: float) -> None:
        """From now on, `rate` requests a second."""
        if self.spec.rate is None or not rate > 0:
            raise UsageError(f"rate {rate!r} for load {self.name!r}: above 0, and of a load that was given a rate")
        self._tell(b"rate %r\n" % float(rate))
        self.rate = rate
        self._record("load.rate", self.name, load=self.name, rate=rate)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def finished(self) -> int:
        """Requests that have ended so far, well or badly."""
        return self._records.stat().st_size // RECORD.size if self._records.exists() else 0

    def wait(self, requests: int | None = None, seconds: float | None = None, after: float | None = None) -> int:
        """Block until so many requests, or those of so many seconds, whose sending began after `after` are finished.

        `after` is a second of the run, by default now. Returns how many there are. LoadError: the load ended before
        that, or is stuck.
        """
        start = time.monotonic_ns() if after is None else self._start_ns + round(after * 1e9)
        if seconds is not None:
            requests = max(requests or 0, self._wait_seconds(start, seconds))
        if requests is None:
            raise UsageError("wait for a number of requests, or of seconds")
        wanted = requests
        within = self._time_for(wanted) + PATIENCE
        try:
            until(lambda: self._reached(start, wanted), within=within, what=str)
        except TimeoutError:
            text = f"{self._progress.count(start)} of {wanted} requests finished in {within:.1f} s"
            raise LoadError(f"load {self.name!r} is stuck: {text}") from None
        return self._progress.count(start)

    def _reached(self, start: int, wanted: int) -> bool:
        running = self.running  # asked before looking, so that nothing written before the end is missed
        self._progress.look()
        count = self._progress.count(start)
        if count >= wanted:
            return True
        if not running:
            raise self._ended(count, wanted)
        return False

    def _wait_seconds(self, start: int, seconds: float) -> int:
        """Let the time pass; then at least one request must have ended."""
        end = start + round(seconds * 1e9)
        until(lambda: time.monotonic_ns() >= end or not self.running, within=seconds + PATIENCE, what=lambda: "")
        return 1

    def _time_for(self, requests: int) -> float:
        """The longest that so many requests take when all time out."""
        spec = self.spec
        at_a_time = spec.concurrency or 1
        return spec.timeout + (requests / self.rate if self.rate else requests * spec.timeout / at_a_time)

    def _ended(self, count: int, wanted: int) -> Exception:
        assert self._process
        if self._process.returncode != 0:
            return self._died()
        return LoadError(f"load {self.name!r} ended after {count} of the {plural(wanted, 'request')} waited for")

    def stop(self) -> Summary:
        """Send no more, wait for the requests under way, and return the figures. Safe to call twice."""
        if self.summary:
            return self.summary
        if not self._process:
            raise UsageError(f"load {self.name!r} was not started")
        try:
            self._tell(b"stop\n")
            out, _ = self._process.communicate(timeout=self.spec.timeout + PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            self._close()
            raise LoadError(f"load {self.name!r} did not stop; its process was killed") from None
        if self._process.returncode not in (0, FAILED) or not out:
            raise self._died()
        self.summary = Summary.parse(out.decode())
        self._close()
        self._record("load.end", self.name, load=self.name, **self.summary.as_data())
        if self.summary.error:
            raise HistoryError(self._cut_short(self.summary.error))
        return self.summary

    def _cut_short(self, error: str) -> str:
        return f"load {self.name!r}: {error} in {self._records.parent}; recorded up to request {self.finished}"

    def _tell(self, data: bytes) -> None:
        assert self._process
        assert self._process.stdin
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            return  # it has ended; whoever asks next hears why

    def _died(self) -> LoadError | HistoryError:
        assert self._process
        assert self._stderr
        out, _ = self._process.communicate()
        code = self._process.returncode
        self._stderr.seek(0)
        text = self._stderr.read().decode(errors="replace").strip()
        self._close()
        if code == FAILED and out:
            return HistoryError(self._cut_short(Summary.parse(out.decode()).error))
        return LoadError(f"the prober of load {self.name!r} died (exit code {code}): {text or 'it said nothing'}")

    def _close(self) -> None:
        assert self._process
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream:
                _close_quietly(stream)


def _close_quietly(stream: IO[bytes]) -> None:
    try:
        stream.close()
    except BrokenPipeError:
        return


def _resolved(address: str) -> str:
    """An IP address; the prober does not look names up."""
    try:
        return str(socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)[0][4][0])
    except OSError as error:
        raise UsageError(f"address {address!r}: {error}") from None
