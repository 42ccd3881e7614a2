"""meshtest rehearse: a line a tick, the end as data, and exit codes."""

from __future__ import annotations

import json
import signal
from dataclasses import replace

import pytest

from meshtest.cli import main
from meshtest.cli.rehearse import exit_code
from meshtest.model.rehearsal import Ending, Rehearsal
from meshtest.model.verdict import Finding, Outcome, Verdict
from tests.conftest import Ground

CANARY = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: %s, namespace: test}
spec:
  provider: istio
  progressDeadlineSeconds: 36000
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: %s}
  service: {port: 9898}
  analysis:
    interval: 10s
    threshold: 2
    stepWeight: 50
    maxWeight: 50
    webhooks: [{name: gate, type: %s, url: "http://tester.test/gate/halt"}]
"""


def canary(name: str = "web", hook: str = "post-rollout") -> str:
    return CANARY % (name, name, hook)


def test_the_end_is_data_and_a_code(ground: Ground) -> None:
    ground.write("canary.yaml", canary())
    program = ground.meshtest("rehearse", "canary.yaml", "--to=v2", "--speed=100", "--json")
    assert program.wait() == 0, program
    told = json.loads(program.out)
    assert told["ending"] == "promoted"
    assert told["sentence"].startswith("web.test: v2 was promoted after ")
    assert told["users"]["findings"][0]["check"] == "canary_users"
    assert any("no Deployment web.test" in note for note in told["notes"])
    assert told["ticks"][-1]["hooks"][0]["ok"] is False, "the gate is asked, and nothing follows from it"
    (run,) = ground.runs()
    assert json.loads((run / "rehearsal.json").read_text())["ticks"] == told["ticks"]


def test_ctrl_c_says_how_far_it_came_and_leaves_nothing(ground: Ground) -> None:
    ground.write("canary.yaml", canary())
    program = ground.meshtest("rehearse", "canary.yaml", "--to=v2", "--speed=1")
    program.says("50/50")
    program.signal(signal.SIGINT)
    assert program.wait() == 2, program
    assert program.out.startswith("web.test: canary on istio, every 10s, here every 10s\n\ntick   after  phase ")
    assert "   1      0s  Progressing       100/0                  New revision detected! Scaling up\n" in program.out
    said = " ".join(program.out.split())
    assert "web.test: v2 is not finished after " in said
    assert ": it was interrupted; " in said
    assert program.err == "meshtest: interrupted; everything that was started has been ended\n"
    ground.nothing_left()


@pytest.mark.parametrize(
    ("ending", "requests", "users", "code"),
    [
        ("promoted", 100, Outcome.PASS, 0),
        ("promoted", 100, Outcome.UNKNOWN, 0),
        ("promoted", 100, Outcome.FAIL, 1),
        ("promoted", 0, Outcome.UNKNOWN, 5),
        ("rolled back", 100, Outcome.PASS, 1),
        ("not finished", 100, Outcome.PASS, 5),
    ],
)
def test_codes(ending: Ending, requests: int, users: Outcome, code: int) -> None:
    told = Rehearsal(
        canary="web.test", strategy="canary", provider="istio", revision="v2", ending=ending, speed=20, interval=60,
        requests=requests,
    )  # fmt: skip
    verdict = Verdict((Finding(check="canary_users", outcome=users, sentence="", figures={}),))
    assert exit_code(told, verdict) == code
    if ending == "rolled back":
        assert exit_code(replace(told, unproven="late"), verdict) == 5


TWO = canary("web") + "---" + canary("shop")


@pytest.mark.parametrize(
    ("text", "words", "why"),
    [
        ("kind: [", ["--to=v2"], "canary.yaml:2"),
        (canary().replace("stepWeight", "stepWait"), ["--to=v2"], "stepWait"),
        (canary().replace("provider: istio", "provider: nginx"), ["--to=v2"], "provider 'nginx' is not rehearsed"),
        ("apiVersion: v1\nkind: Namespace\nmetadata: {name: x}", ["--to=v2"], "hold no Canary of flagger.app"),
        (TWO, ["--to=v2"], "2 Canaries: web.test, shop.test; choose one with --canary NAME"),
        (TWO, ["--to=v2", "--canary=shpo"], "no Canary 'shpo'; there are: web.test, shop.test"),
        (canary(), ["--to=v2", "--traffic=often"], "write `[METHOD] URL-or-path"),
        (canary(), ["--to=v2", "--fault=abort=now"], "abort=now is no number"),
        (canary(), ["--to=v2", "--speed=0.5"], "speed is 0.5; 1 is real time"),
        (canary(), ["--to=v2", "--speed=9999"], "leaves 1 ms for a tick"),
        (canary(), [], "what is rolled out?"),
        (canary(), ["--image=v2"], "write NAME=VALUE"),
        (canary(), ["--image=side=v2"], "no container 'side' in the target; it has: web"),
        (canary(), ["--annotate=errors"], "write KEY=VALUE"),
        (canary(), ["--to=v2", "--then=1=v3"], "no number of a later tick"),
        (canary(), ["--to=v2", "--assume-metric=x"], "write NAME=VALUE"),
    ],
)
def test_bad_input_is_told_before_anything_starts(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    text: str, words: list[str], why: str,
) -> None:  # fmt: skip
    ground.write("canary.yaml", text)
    monkeypatch.chdir(ground.folder)
    assert main(["rehearse", "canary.yaml", *words]) == 4
    said = capsys.readouterr()
    assert why in said.err
    assert said.out == ""
    assert not ground.runs()
