"""A load of Locust as its runner holds it: the engine "locust" of mesh.load(locustfile=...). Imports no Locust."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import meshtest
from meshtest.errors import HistoryError, LoadError, UsageError
from meshtest.model.record import NOT_SENT
from meshtest.model.request import Fate
from meshtest.model.sends import largest_gap
from meshtest.spi.child import Child
from meshtest.spi.load import PATIENCE, Place, RecordedLoad, Summary
from meshtest_locust.options import Options

SATURATED = 0.9
"""Share of a core from which on Locust's own times are the times of its queue."""
_BEGIN = 30.0
"""Seconds to the first request, beyond the time the workers have: import, self-test, what users do before."""
_SPARE = 5.0
"""Seconds that Locust itself may take to end beyond the users' stop timeout."""
_ROOTS = [str(Path(file).resolve().parents[1]) for file in (meshtest.__file__, __file__) if file]


class LocustLoad(RecordedLoad):
    """Users of a locustfile, in a process of their own."""

    def __init__(self, place: Place, **options: Any) -> None:
        super().__init__(place)
        if importlib.util.find_spec("locust") is None:
            raise UsageError("mesh.load(locustfile=...) needs Locust: pip install 'meshtest[locust]'")
        self.options = Options.of(options)
        self.summary: Summary | None = None
        self.log = place.directory / f"{place.name}.locust.log"
        """What Locust and the locustfile print."""
        self._child: Child | None = None
        self._ear: threading.Thread | None = None
        self._heard = threading.Condition()
        self._said: dict[str, Any] = {}
        """What the child has said, by kind; of each kind the last."""

    # ---- beginning

    def start(self) -> None:
        """Returns when the first request is being sent."""
        self.claim()
        with self.log.open("wb") as log:
            command = [sys.executable, "-P", "-m", "meshtest_locust.child"]
            self._child = child = Child(command, log=log, environment=self._environment())
        self._ear = threading.Thread(target=self._listen, args=(child.out,), name=self.name, daemon=True)
        self._ear.start()
        try:
            order = json.dumps(self._order()).encode()
            child.tell(len(order).to_bytes(4, "little") + order)
            self._await_first()
        except BaseException:
            self._kill()
            raise
        self.place.record("load.start", self.name, load=self.name, source=self.place.source, **self._described())

    def _environment(self) -> dict[str, str]:
        """No proxy but the mesh's: what a shell has set for the world outside would lead around it."""
        given = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        path = os.pathsep.join(dict.fromkeys([*filter(None, [given.get("PYTHONPATH")]), *_ROOTS]))
        return {**given, "NO_PROXY": "*", "PYTHONPATH": path, **self.options.environment}

    def _order(self) -> dict[str, Any]:
        options, entrance = self.options, self.place.entrance
        return {
            "load": self.name,
            "timeout": self.place.timeout,
            "sampled": self.place.sampled,
            "entrance": [self.place.address, entrance.port],
            "records": str(self.records.absolute()),
            "folder": str(options.files[0].parent),
            "arguments": options.command_line,
            "worker_arguments": options.worker_line,
            "distributed": options.distributed,
            "processes": options.processes,
            "expect_workers": options.expect_workers,
            "workers_within": options.workers_within,
            "seconds": options.seconds,
            "requests": options.requests,
            "stop_timeout": options.stop_timeout,
        }

    def _await_first(self) -> None:
        within = _BEGIN + (self.options.workers_within if self.options.distributed else 0.0)
        with self._heard:
            self._heard.wait_for(lambda: self._said.keys() & {"began", "error", "end", "gone"}, within)
        if "began" in self._said:
            return
        raise self._trouble() or LoadError(
            f"load {self.name!r}: no user sent a request within {within:g} s; {self._last_words()}"
        )

    def _described(self) -> dict[str, Any]:
        options, entrance = self.options, self.place.entrance
        users = {"users": options.users or 1, "spawn_rate": options.spawn_rate, "seconds": options.seconds}
        workers = {"processes": options.processes, "expect_workers": options.expect_workers}
        return {
            "engine": "locust",
            "open_loop": False,
            "entrance": f"{entrance.address}:{entrance.port}",
            "locustfile": [str(file) for file in options.files],
            **{name: value for name, value in {**users, **workers}.items() if value},
            "web_ui": self.web_url,
            "self_test": self._said["tested"],
        }

    @property
    def web_url(self) -> str:
        """Of Locust's web UI; "" without one."""
        return "" if self.options.web_port is None else f"http://127.0.0.1:{self.options.web_port}"

    # ---- what the child says

    def _listen(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            for kind, data in _parsed(line):
                self._hear(kind, data)
        self._hear("gone", True)

    def _hear(self, kind: str, data: Any) -> None:
        if kind == "event":
            self.place.record(data["kind"], data["subject"], **data["data"])
        if kind == "waiting":
            self._announce(**data)
        with self._heard:
            self._said[kind] = data
            self._heard.notify_all()

    def _announce(self, port: int, workers: int) -> None:
        """To whoever is to start the workers."""
        host = self.options.address[0]
        host = socket.gethostname() if host in ("*", "0.0.0.0", "::") else host
        command = f"python -m meshtest_locust.worker --master {host}:{port}"
        self.place.record("load.waiting", self.name, load=self.name, workers=workers, command=command)
        sys.stderr.write(f"load {self.name}: waiting for {workers} workers; start each with: {command}\n")

    def _trouble(self) -> Exception | None:
        """What went wrong, in one sentence."""
        said = self._said.get("error")
        if unwritable := self._said.get("unwritable"):
            return HistoryError(
                f"load {self.name!r}: {unwritable} in {self.records.parent}; recorded up to request {self.finished}"
            )
        if said is None:
            ended = "end" in self._said or "gone" not in self._said
            return None if ended else LoadError(f"the process of load {self.name!r} died; {self._last_words()}")
        text = said.get("text", "")
        if said["kind"] == "raised":
            return UsageError(f"the locustfile of load {self.name!r} cannot be used: {text}")
        if said["kind"] == "said":
            return UsageError(f"load {self.name!r}: Locust refused to start; {self._last_words()}")
        if said["kind"] == "deserted":
            return LoadError(f"load {self.name!r}: {text}; {self._last_words()}")
        if said["kind"] == "workers":
            command = f"python -m meshtest_locust.worker --master HOST:{said['port']}"
            return LoadError(f"load {self.name!r}: {text}; start them with {command}")
        return LoadError(f"load {self.name!r} would not be honest and was not started: {text}")

    def _last_words(self) -> str:
        """The last error in Locust's log, else its last line."""
        lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
        lines = [line.strip() for line in lines if line.strip()]
        errors = [found[1] for line in lines if (found := re.search(r"(?:/ERROR/[\w.]+: |error: )(.+)", line))]
        words = (errors or lines)[-1:]
        return f"Locust said: {words[0]} (see {self.log})" if words else f"Locust said nothing in {self.log}"

    # ---- running

    @property
    def pid(self) -> int:
        """Of Locust: the only process, or the master."""
        assert self._child
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def time_for(self, requests: int) -> float:
        """The longest that so many requests take when all time out."""
        return (requests / (self.options.users or 1) + 1) * self.place.timeout

    def ended(self) -> Exception | None:
        self._join()
        return self._trouble()

    def longest(self) -> float:
        options = self.options
        if options.seconds is None and options.requests is None:
            raise UsageError("mesh.load(...).run() needs an end: give requests=N or seconds=S, or use it with `with`")
        runs = options.seconds or self.time_for(options.requests or 0)
        return runs + options.stop_timeout + _SPARE + PATIENCE

    # ---- ending

    def stop(self) -> Summary:
        """Users finish their task, at most for the stop timeout; then everything has ended. Safe to call twice."""
        if self.summary:
            return self.summary
        if not self._child:
            raise UsageError(f"load {self.name!r} was not started")
        self._child.tell(b"stop\n")
        try:
            self._child.wait(self.options.stop_timeout + _SPARE + PATIENCE)
        except subprocess.TimeoutExpired:
            self._kill()
            raise LoadError(f"load {self.name!r} did not stop; its processes were killed") from None
        self._join()
        trouble = self._trouble()
        end = self._said.get("end", {})
        self.summary = summary = self._summed(str(trouble or ""), end.get("cpu", ()))
        more = {name: end[name] for name in ("exit_code", "unseen") if end.get(name)}
        self.place.record("load.end", self.name, load=self.name, **summary.as_data(), **more)
        if trouble:
            raise trouble
        return summary

    def _summed(self, error: str, cpu: list[float]) -> Summary:
        requests = self.requests()
        fates = Counter(requests.fates)
        seconds = (requests.intended[-1] - requests.intended[0]) / 1e9 if len(requests) > 1 else 0.0
        return Summary(
            sent=len(requests) - fates[NOT_SENT],
            fates={Fate(fate): count for fate, count in sorted(fates.items())},
            max_gap=largest_gap(requests),
            rate=(len(requests) - 1) / seconds if seconds else 0.0,
            error=error,
            saturated=_saturated(cpu),
        )

    def _join(self) -> None:
        """All that the child said has been heard."""
        assert self._child
        assert self._ear
        self._child.wait()
        self._ear.join(_SPARE)
        self._child.close()

    def _kill(self) -> None:
        """Its workers notice by themselves."""
        assert self._child
        self._child.kill()
        self._join()


def _parsed(line: bytes) -> list[tuple[str, Any]]:
    """The child says one thing in a line; of an event, its kind is among the data."""
    said: Mapping[str, Any] = json.loads(line)
    if "event" in said:
        return [("event", {"kind": said["event"], "subject": said["subject"], "data": said["data"]})]
    return list(said.items())


def _saturated(cpu: list[float]) -> str:
    most = max(cpu, default=0.0)
    if most < SATURATED:
        return ""
    return f"a process of Locust used {most:.0%} of a core: the times it measured are those of its own queue"
