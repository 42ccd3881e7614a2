"""What k6 is told to run: the user's script inside our wrapper, and what k6 itself says of it before it runs."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.spi.provider import Entrance

WRAPPER = Path(__file__).with_name("wrapper.js")
PATIENCE = 60.0
"""Seconds that k6 may take to look at a script."""
MOST_VUS = 256
"""An index has 8 bits for who sent the request; see model/record.py PART_BITS."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """A k6 script and how it reaches the mesh."""

    path: Path
    load: str
    entrance: Entrance
    binary: str
    reuse: bool = False
    env: Mapping[str, str]
    """For k6 itself (K6_VUS ...) and the script (__ENV)."""

    @property
    def text(self) -> str:
        """Read by k6 from its stdin, with the script's folder as working directory, so that open() finds its files.

        All hosts lead to the entrance: by the option `hosts`, or as HTTP proxy, as the workloads of a mesh reach it."""
        options: dict[str, Any] = {"noConnectionReuse": not self.reuse, "noVUConnectionReuse": not self.reuse}
        options["hosts"] = {} if self.entrance.proxy else {"*": f"{self.entrance.address}:{self.entrance.port}"}
        user = json.dumps(str(self.path))
        return (
            f"import {json.dumps(str(WRAPPER))};\n"
            f"import * as user from {user};\n"
            f"export * from {user};\n"
            "export default user.default;\n"
            f"export const options = Object.assign({{}}, user.options, {json.dumps(options)});\n"
        )

    @property
    def environment(self) -> dict[str, str]:
        proxies = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")
        kept = (name for name in os.environ if name.lower() not in proxies and not name.startswith("K6_"))
        ours = {name: os.environ[name] for name in kept}
        if self.entrance.proxy:
            address = f"http://{self.entrance.address}:{self.entrance.port}"
            ours |= {"HTTP_PROXY": address, "HTTPS_PROXY": address}
        csv = {"K6_CSV_TIME_FORMAT": "unix_nano", "K6_CSV_SAVE_INTERVAL": "20ms"}
        return {**ours, "K6_NO_USAGE_REPORT": "true", **csv, "MESHTEST_LOAD": self.load, **self.env}

    def inspected(self) -> Plan:
        """UsageError with k6's own words, file and line, if it cannot be run."""
        command = [self.binary, "inspect", "--execution-requirements", "--log-format", "json", "-"]
        try:
            done = subprocess.run(
                command, input=self.text, capture_output=True, text=True, cwd=self.path.parent, env=self.environment,
                timeout=PATIENCE, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise UsageError(f"{self.path}: k6 did not finish reading it in {PATIENCE:g} s") from None
        if done.returncode:
            raise UsageError(f"{self.path}: k6 cannot run it: {said(done.stderr) or done.stderr.strip()}")
        told = json.loads(done.stdout)
        plan = Plan(vus=int(told["maxVUs"]), longest=_seconds(told["totalDuration"]), executors=_executors(told))
        if plan.vus > MOST_VUS:
            raise UsageError(f"{self.path}: {plan.vus} virtual users; at most {MOST_VUS} in one load (make several)")
        return plan


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What k6 makes of the script's options."""

    vus: int
    longest: float
    """Seconds until it has surely ended, setup() and teardown() left out."""
    executors: tuple[str, ...]

    @property
    def arrivals(self) -> bool:
        """Iterations are started at a rate, not when a user is free."""
        return any(name.endswith("arrival-rate") for name in self.executors)


def _executors(told: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(scenario.get("executor", "")) for scenario in (told.get("scenarios") or {}).values())


def _seconds(text: str) -> float:
    """Of Go's durations: `1h2m3.5s`, `250ms`."""
    seconds, number = 0.0, ""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    text = text.removesuffix("ms") + "x" if text.endswith("ms") else text
    for character in text:
        if character.isdigit() or character == ".":
            number += character
        else:
            seconds += float(number) * units.get(character, 0.001)
            number = ""
    return seconds


def said(log: str) -> str:
    """The last error in k6's log (JSON a line), with file and line."""
    found = ""
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("level") in ("error", "fatal"):
            found = str(entry.get("msg") or entry.get("error") or "")
    return " ".join(found.replace("file://", "").split())
