"""The prober as its runner holds it: start it, wait for requests, change the rate, stop.

Not here: sending (prober.py), judging (checks/). The prober's records go straight into the run folder.
"""

from __future__ import annotations

import json
import marshal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from meshtest.errors import HistoryError, LoadError, UsageError
from meshtest.loads.prober import FAILED
from meshtest.loads.spec import LoadSpec
from meshtest.model.request import Fate
from meshtest.spi.load import PATIENCE, Place, RecordedLoad, Summary

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


class Load(RecordedLoad):
    """One load of the prober. Use as a context manager, or start() and stop()."""

    def __init__(self, spec: LoadSpec, place: Place) -> None:
        super().__init__(place)
        self.spec = spec
        self.rate = spec.rate
        self.summary: Summary | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None

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
        self.claim()
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
        self.place.record("load.start", self.name, load=self.name, **self._where(), **self.spec.describe())

    def _where(self) -> dict[str, Any]:
        return {"target": self.spec.authority, "entrance": f"{self.place.entrance.address}:{self.place.entrance.port}"}

    def _order(self) -> dict[str, Any]:
        spec = self.spec
        before, after = spec.wire(proxy=self.place.entrance.proxy)
        return {
            "address": _resolved(self.place.entrance.address),
            "port": self.place.entrance.port,
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
            "records": str(self.records.absolute()),
            "names": str(self.records.with_suffix(".names").absolute()),
        }

    def set_rate(self, rate: float) -> None:
        """From now on, `rate` requests a second."""
        if self.spec.rate is None or not rate > 0:
            raise UsageError(f"rate {rate!r} for load {self.name!r}: above 0, and of a load that was given a rate")
        self._tell(b"rate %r\n" % float(rate))
        self.rate = rate
        self.place.record("load.rate", self.name, load=self.name, rate=rate)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def time_for(self, requests: int) -> float:
        """The longest that so many requests take when all time out."""
        spec = self.spec
        at_a_time = spec.concurrency or 1
        return spec.timeout + (requests / self.rate if self.rate else requests * spec.timeout / at_a_time)

    def ended(self) -> Exception | None:
        assert self._process
        return None if self._process.returncode == 0 else self._died()

    def longest(self) -> float:
        """Seconds after which even a load whose every request times out has ended."""
        spec = self.spec
        if spec.requests is None and spec.seconds is None:
            raise UsageError("mesh.load(...).run() needs an end: give requests=N or seconds=S, or use it with `with`")
        rate = spec.rate or (spec.concurrency or 1) / spec.timeout
        return (spec.seconds or (spec.requests or 0) / rate) + spec.timeout + PATIENCE

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
        self.summary = _summary(out.decode())
        self._close()
        self.place.record("load.end", self.name, load=self.name, **self.summary.as_data())
        if self.summary.error:
            raise HistoryError(self._cut_short(self.summary.error))
        return self.summary

    def _cut_short(self, error: str) -> str:
        return f"load {self.name!r}: {error} in {self.records.parent}; recorded up to request {self.finished}"

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
            return HistoryError(self._cut_short(_summary(out.decode()).error))
        return LoadError(f"the prober of load {self.name!r} died (exit code {code}): {text or 'it said nothing'}")

    def _close(self) -> None:
        assert self._process
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream:
                _close_quietly(stream)


def _summary(text: str) -> Summary:
    """From the prober's last line."""
    data = json.loads(text)
    return Summary(**data | {"fates": {Fate(i): count for i, count in enumerate(data["fates"]) if count}})


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
