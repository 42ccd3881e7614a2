"""An external program with Flagger's order and manner of calls drives the endpoint through whole rollouts: a promotion
and a rollback at the same time; and both again with the endpoint killed, and started anew, in the middle.

    a person approves ─ pre-rollout starts the suite ─ confirm-traffic-increase holds it ─┬─ passed: promoted
                                                                       SIGKILL, restart ─┴─ failed: rolled back
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import urllib.request
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from meshtest.webhook.client import Caller
from tests.conftest import PATIENCE, Ground, Program, spare_port

pytest.importorskip("starlette", reason="pip install 'meshtest[webhook]'")

MORE = os.environ.get("MESHTEST_MORE")
"""Also undisturbed, which leads to the same and costs as much again."""
PLAIN = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
"""The suites are plain; without plugins their six starts cost a third less."""
PROGRAM = Path(__file__).parent / "flagger_program" / "program.py"
WAITS = """
import time
from pathlib import Path


def test_verdict():
    with Path(__file__).with_name("begun").open("a") as log:
        log.write("begun\\n")
    while not (verdict := Path(__file__).with_name("verdict")).exists():
        time.sleep(0.01)
    with Path(__file__).with_name("ended").open("a") as log:
        log.write("ended\\n")
    assert verdict.read_text() == "good", "p99 is 812 ms, over 500 ms"
"""


class Endpoint:
    """`meshtest webhook serve` with three suites, each of which runs until it is told its verdict."""

    def __init__(self, ground: Ground) -> None:
        self._ground, self._port = ground, spare_port()
        self.url = f"http://127.0.0.1:{self._port}"
        for name in ("acceptance", "broken", "soak"):
            ground.write(f"suites/{name}/test_{name}.py", WAITS)
            ground.write(f"suites/{name}/suite.yaml", "interrupted: rerun\n")
        self._program = self.start()

    def start(self) -> Program:
        words = ("--suites", "suites", "--state", "state", "--listen", f"127.0.0.1:{self._port}", "--drain", "0")
        self._program = self._ground.meshtest("webhook", "serve", *words, env=PLAIN)
        return self._program

    def ready(self) -> None:
        self._program.says("listening on")

    def kill(self) -> None:
        self._program.signal(signal.SIGKILL)
        self._program.wait()

    def meet(self) -> None:
        """In its absence: somebody calls, and is cut off."""
        with socket.create_server(("127.0.0.1", self._port)) as absent:
            absent.settimeout(PATIENCE)
            absent.accept()[0].close()

    def stop(self) -> None:
        self._program.signal(signal.SIGTERM)
        assert self._program.wait() == 0, self._program

    def tell(self, suite: str, verdict: str) -> None:
        self._ground.write(f"suites/{suite}/verdict", verdict)

    def count(self, suite: str, word: str) -> int:
        path = self._ground.folder / "suites" / suite / word
        return len(path.read_text().splitlines()) if path.exists() else 0

    def approve(self, canary: str) -> None:
        """A person opens the gate."""
        assert Caller().call(f"{self.url}/gate/open", {"name": canary, "namespace": "test"}, retries=8).ok

    def runs(self, canary: str) -> Mapping[str, str]:
        """The state of each suite's latest run."""
        with urllib.request.urlopen(f"{self.url}/runs?canary={canary}", timeout=60) as reply:
            return {run["suite"]: run["state"] for run in reversed(json.load(reply)["runs"])}

    def settle(self, canary: str, **wanted: str) -> None:
        """What is cancelled may take a moment to end."""
        self._program.until(lambda: self.runs(canary) == wanted, f"{wanted}")


class Rollout:
    """The program, at one Canary."""

    def __init__(self, ground: Ground, url: str, canary: str, *suites: str) -> None:
        self._folder, self._canary = ground.folder, canary
        self.program = ground.start(sys.executable, PROGRAM, url, ground.folder, canary, *suites)

    def held(self) -> None:
        self.program.says('"held"')

    def go(self) -> None:
        (self._folder / f"{self._canary}.go").touch()

    def end(self) -> list[dict[str, Any]]:
        """Its ticks."""
        assert self.program.wait() == 0, self.program
        return [row for row in map(json.loads, self.program.out.splitlines()) if "held" not in row]


def statuses(ticks: list[dict[str, Any]], name: str) -> list[int]:
    """Of one hook, without repetitions."""
    return [status for status, _ in groupby(c["status"] for tick in ticks for c in tick["calls"] if c["name"] == name)]


def calls(ticks: list[dict[str, Any]], type: str) -> list[dict[str, Any]]:
    return [call for tick in ticks for call in tick["calls"] if call["type"] == type]


@pytest.mark.parametrize("killed", [False, True][not MORE :], ids=["undisturbed", "killed in the middle"][not MORE :])
def test_flagger_drives_a_whole_promotion_and_a_whole_rollback(ground: Ground, killed: bool) -> None:
    endpoint = Endpoint(ground)
    endpoint.ready()
    good = Rollout(ground, endpoint.url, "good", "acceptance", "soak")
    bad = Rollout(ground, endpoint.url, "bad", "broken", "broken")
    for rollout, canary in ((good, "good"), (bad, "bad")):
        rollout.program.says('"Waiting"')
        endpoint.approve(canary)
    good.held()
    bad.held()
    if killed:
        good.program.until(lambda: endpoint.count("acceptance", "begun"), "the suite runs")
        endpoint.kill()
    for rollout in (good, bad):
        rollout.go()
    if killed:
        endpoint.meet()
        endpoint.start()
        endpoint.ready()
    endpoint.tell("acceptance", "good")
    endpoint.tell("broken", "bad")
    promoted, rolled_back = good.end(), bad.end()
    _check_promotion(promoted)
    _check_rollback(rolled_back)
    endpoint.settle("good", acceptance="passed", soak="cancelled")
    endpoint.settle("bad", broken="failed")
    assert (endpoint.count("acceptance", "ended"), endpoint.count("broken", "ended")) == (1, 1)
    assert any(call["attempts"] > 1 for tick in (*promoted, *rolled_back) for call in tick["calls"]) is killed
    endpoint.stop()


def _check_promotion(ticks: list[dict[str, Any]]) -> None:
    assert ticks[-1]["phase"] == "Succeeded"
    assert [routes for routes, _ in groupby(tick["routes"] for tick in ticks)] == ["100/0", "50/50", "100/0"]
    assert {tick["failed_checks"] for tick in ticks} == {0}
    assert statuses(ticks, "approved") == [403, 200]
    assert statuses(ticks, "start") in ([202], [202, 200])
    assert statuses(ticks, "soak") == [202]
    assert statuses(ticks, "hold") == [403, 200]
    assert statuses(ticks, "verdict") == [200]
    assert statuses(ticks, "promote") == [200]
    assert statuses(ticks, "give-up") == [403]
    assert statuses(ticks, "end") == [200]
    held = next(call for call in calls(ticks, "confirm-traffic-increase") if not call["ok"])
    assert held["reason"].startswith("suite acceptance is ")


def _check_rollback(ticks: list[dict[str, Any]]) -> None:
    assert ticks[-1]["phase"] == "Failed"
    assert {tick["routes"] for tick in ticks} == {"100/0"}, "no user has met it"
    assert statuses(ticks, "approved") == [403, 200]
    assert statuses(ticks, "start") in ([202], [202, 412]), "the suite may fail between two hooks of a tick"
    assert statuses(ticks, "give-up") == [403, 200]
    assert statuses(ticks, "hold") in ([403], [403, 412])
    assert statuses(ticks, "end") == [200]
    assert "Warning Rolling back bad.test manual webhook invoked" in ticks[-1]["events"]
