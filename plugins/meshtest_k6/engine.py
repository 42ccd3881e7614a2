"""`mesh.load(k6="script.js", vus=10, seconds=30)` as the runner holds it."""

from __future__ import annotations

import json
import math
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import meshtest
from meshtest.errors import HistoryError, LoadError, UsageError
from meshtest.lib.words import nearest, plural
from meshtest.model.request import Fate
from meshtest.spi.child import Child
from meshtest.spi.load import PATIENCE, Place, RecordedLoad, Summary
from meshtest_k6 import selftest
from meshtest_k6.binary import find
from meshtest_k6.script import MOST_VUS, Plan, Script, said

OPTIONS = ("k6", "vus", "seconds", "iterations", "rps", "env", "connection_reuse")
FIRST = 60.0
"""Seconds until the script must have made its first request: setup() may take its time."""
REQUEST = 60.0
"""k6's own limit for a request, unless the script says otherwise."""
THRESHOLDS, ABORTED = 99, 105
"""Exit codes of k6 that are no trouble: the user's thresholds were crossed; we stopped it."""
_GRACE = 50.0
_PATHS = [str(Path(package).resolve().parent.parent) for package in (__file__, str(meshtest.__file__))]
_BOOT = "import sys; sys.path[:0] = sys.argv[1:]; from meshtest_k6.bridge import main; main()"


def engine(place: Place, **options: Any) -> K6Load:
    """A load that has not begun. `k6` is the script; `vus`, `seconds`, `iterations` and `rps` (at most) override its
    options, as k6's own K6_* variables do (those of our own environment are not passed on); `env` is its `__ENV`.

    `connection_reuse=True` lets k6 keep connections; then Go hides some resets, and the load says it is not honest.
    """
    unknown = next((name for name in options if name not in OPTIONS), None)
    if unknown:
        hint = nearest(unknown, OPTIONS)
        meant = f" (did you mean {hint!r}?)" if hint else ""
        raise UsageError(f"mesh.load(k6=...) has no option {unknown!r}{meant}; it has: {', '.join(OPTIONS)}")
    path = _script(options.get("k6"))
    reuse = bool(options.get("connection_reuse", False))
    script = Script(
        path=path, load=place.name, entrance=place.entrance, binary=find(), reuse=reuse, env=_environment(options)
    )
    plan = script.inspected()
    if not reuse:
        selftest.honest(script.binary)
    return K6Load(place, script, plan)


def _script(named: Any) -> Path:
    if not isinstance(named, str | Path) or not str(named):
        raise UsageError(f"k6={named!r}: the path of a k6 script")
    path = Path(named).resolve()
    if not path.is_file():
        raise UsageError(f"k6={str(named)!r}: there is no such file (looked for {path})")
    return path


def _environment(options: Mapping[str, Any]) -> dict[str, str]:
    """K6_* override what the script says."""
    numbers = {"vus": "K6_VUS", "iterations": "K6_ITERATIONS", "rps": "K6_RPS", "seconds": "K6_DURATION"}
    found = {}
    for name, variable in numbers.items():
        value = options.get(name)
        if value is None:
            continue
        whole = name in ("vus", "iterations")
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not 0 < value < math.inf:
            raise UsageError(f"{name}={value!r}: a {'whole number' if whole else 'number'} above 0")
        found[variable] = f"{round(value * 1000)}ms" if name == "seconds" else str(math.ceil(value))
    if (options.get("vus") or 0) > MOST_VUS:
        raise UsageError(f"vus={options['vus']}: at most {MOST_VUS} in one load (make several)")
    env = options.get("env") or {}
    if not isinstance(env, Mapping):
        raise UsageError(f"env={env!r}: a mapping of names to values, as the script finds them in __ENV")
    return {**{str(name): str(value) for name, value in env.items()}, **found}


class K6Load(RecordedLoad):
    """One load by k6."""

    def __init__(self, place: Place, script: Script, plan: Plan) -> None:
        super().__init__(place)
        self.script, self.plan = script, plan
        self.log = place.directory / f"k6-{place.name}.log"
        self.summary: Summary | None = None
        self._child: Child | None = None
        self._stopped = False
        self._rest = b""

    def start(self) -> None:
        """Returns when the first request has come back: k6 tells of none before."""
        self.claim()
        self._child = Child([sys.executable, "-I", "-c", _BOOT, *_PATHS])
        try:
            self._child.tell(json.dumps(self._order()).encode() + b"\n")
            if not self._first():
                raise self._silent()
        except BaseException:
            self._end()
            raise
        self.place.record("load.start", self.name, load=self.name, source=self.place.source, **self._described())

    def _order(self) -> dict[str, Any]:
        script = self.script
        return {
            "binary": script.binary, "script": script.text, "folder": str(script.path.parent), "reuse": script.reuse,
            "environment": script.environment, "log": str(self.log.absolute()),
            "records": str(self.records.with_suffix("").absolute()),
        }  # fmt: skip

    def _described(self) -> dict[str, Any]:
        entrance = self.place.entrance
        return {
            "engine": "k6", "script": str(self.script.path), "entrance": f"{entrance.address}:{entrance.port}",
            "vus": self.plan.vus, "executors": list(self.plan.executors), "open_loop": False,
            "arrivals": self.plan.arrivals, "honest": not self.script.reuse,
        }  # fmt: skip

    def _first(self) -> bool:
        """Whether a request came back before k6 ended."""
        assert self._child
        deadline = time.monotonic() + FIRST
        while time.monotonic() < deadline:
            if select.select([self._child.out], [], [], 0.5)[0]:
                line = self._child.out.readline()
                self._rest = b"" if line.startswith(b"started") else line
                return not self._rest and bool(line)
        return False

    def _silent(self) -> LoadError:
        """It ended, or goes on, without a request."""
        going = self.running and not self._rest
        self._end()
        why = said(self._logged())
        if going:
            return LoadError(f"load {self.name!r}: {self.script.path} made no request in {FIRST:g} s{_because(why)}")
        return LoadError(f"load {self.name!r}: k6 ended without a request{_because(why)}")

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.running

    def time_for(self, requests: int) -> float:
        """A script says neither how long it thinks nor what it waits for."""
        return REQUEST + requests

    def longest(self) -> float:
        return self.plan.longest + 2 * REQUEST + PATIENCE  # setup() and teardown()

    def ended(self) -> Exception | None:
        assert self._child
        return None if self._child.code == 0 else self._died()

    def stop(self) -> Summary:
        """As Ctrl-C in k6: users are stopped, and requests under way at that moment are cut and leave no record. A
        script that ends by itself (`seconds`, `iterations`) cuts none."""
        if self.summary:
            return self.summary
        if not self._child:
            raise UsageError(f"load {self.name!r} was not started")
        self._stopped = self.running
        self._child.tell(b"stop\n")
        try:
            out = self._child.rest(_GRACE)
        except subprocess.TimeoutExpired:
            self._end()
            raise LoadError(f"load {self.name!r} did not stop; k6 was killed") from None
        if not out.strip():
            raise self._died()
        self.summary = self._summary(json.loads(out))
        self._child.close()
        self.place.record("load.end", self.name, load=self.name, **self.summary.as_data())
        if self.summary.error:
            raise HistoryError(f"load {self.name!r}: {self.summary.error}; recorded up to request {self.finished}")
        return self.summary

    def _summary(self, told: Mapping[str, Any]) -> Summary:
        code, dropped = int(told["code"]), int(told["dropped"])
        error = str(told["error"])
        if code not in (0, THRESHOLDS) and not (self._stopped and code == ABORTED) and not error:
            error = f"k6 ended with exit code {code}{_because(said(self._logged()))}"
        if code == THRESHOLDS:
            self.place.record("note", self.name, text=f"k6: thresholds of {self.script.path.name} were crossed")
        if told["others"]:
            what = plural(int(told["others"]), "call")
            self.place.record("note", self.name, text=f"k6: {what} by gRPC or WebSocket left no records")
        busy = f"k6 dropped {plural(dropped, 'iteration')}: all its users were busy" if dropped else ""
        return Summary(
            sent=told["sent"], fates={Fate(i): n for i, n in enumerate(told["fates"]) if n}, max_gap=told["max_gap"],
            rate=told["rate"], error=error, saturated=busy,
        )  # fmt: skip

    def _logged(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def _died(self) -> LoadError:
        assert self._child
        text = self._child.complaint() or said(self._logged())
        self._child.close()
        return LoadError(f"load {self.name!r}: the process around k6 died{_because(text)}")

    def _end(self) -> None:
        """k6 dies with the process around it."""
        assert self._child
        self._child.kill()
        self._child.close()


def _because(text: str) -> str:
    return f": {text}" if text else ""
