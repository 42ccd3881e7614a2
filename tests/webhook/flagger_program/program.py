"""A program that is Flagger to an endpoint: its order of hooks (the state machine) and its way to call them (the
client). The cluster is imagined: pods are ready at once, metrics are good.

    python program.py URL FOLDER CANARY SUITE SOAK

Each tick is a line of JSON on stdout. It waits for `FOLDER/CANARY.go` after the first tick that is held back by
confirm-traffic-increase, so that whoever runs it can do something to the endpoint meanwhile.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from meshtest.manifests.reader import read_text
from meshtest.rollouts.canary import Canary, Observations, Phase, State, Target, Tick, drive, reading, tick
from meshtest.rollouts.canary.replies import Reply
from meshtest.rollouts.canary.state import OVER
from meshtest.rollouts.canary.steps import CallHook, Step
from meshtest.webhook.client import Caller

SPEED = 20.0
"""How much faster the pauses between attempts pass."""
BETWEEN = 0.25
"""Seconds between ticks."""


class Flagger:
    """One Canary. `rolls` takes it from one revision to the end of the next."""

    def __init__(self, canary: Canary, folder: Path) -> None:
        self.canary, self._folder = canary, folder
        self._caller = Caller(sleep=lambda seconds: time.sleep(seconds / SPEED))
        self._seen = Observations(target=Target(revision="v1"))
        self._calls: list[dict[str, Any]] = []
        self._held = False
        self.state = State()

    def initialise(self) -> None:
        while self.state.phase is not Phase.INITIALIZED:
            self._tick()

    def roll(self, revision: str) -> None:
        self._seen = Observations(target=Target(revision=revision))
        while self.state.phase not in OVER:
            self._tick()
            time.sleep(BETWEEN)

    def _tick(self) -> None:
        self._calls = []
        ticked = drive(tick(self.canary, self.state, self._seen.target), self._perform)
        self.state = ticked.state
        self._tell(ticked)
        if not self._held and any(c["type"] == "confirm-traffic-increase" and not c["ok"] for c in self._calls):
            self._held = True
            self._wait_for_go()

    def _wait_for_go(self) -> None:
        _say({"held": self.canary.name})
        while not (self._folder / f"{self.canary.name}.go").exists():
            time.sleep(0.01)

    def _perform(self, step: Step) -> Reply:
        return self._call(step) if isinstance(step, CallHook) else self._seen.answer(step)

    def _call(self, step: CallHook) -> Reply:
        hook = step.hook
        exchange = self._caller.call(hook.url, step.payload.as_data(), timeout=hook.timeout, retries=hook.retries)
        self._calls.append({
            "type": hook.type, "name": hook.name, "ok": exchange.ok, "reason": exchange.reason,
            "status": exchange.attempts[-1].status, "attempts": len(exchange.attempts),
            "phase": step.payload.phase, "checksum": step.payload.checksum,
        })  # fmt: skip
        return exchange.answer

    def _tell(self, ticked: Tick) -> None:
        status = ticked.state.status
        row = {
            "phase": status.phase, "weight": status.weight, "routes": str(ticked.state.routes),
            "failed_checks": status.failed_checks, "calls": self._calls, "events": [str(e) for e in ticked.events],
        }  # fmt: skip
        _say(row)


def _say(row: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


def main(url: str, folder: str, name: str, suite: str, soak: str) -> None:
    text = Path(__file__).with_name("canary.yaml").read_text()
    text = text.replace("http://meshtest", url).replace("NAME", name).replace("SUITE", suite).replace("SOAK", soak)
    (document,) = read_text(text, "canary.yaml")
    flagger = Flagger(reading.of(document), Path(folder))
    flagger.initialise()
    flagger.roll("v2")


if __name__ == "__main__":
    main(*sys.argv[1:])
