"""Who answers the webhooks of a rehearsal, and what is said where nobody was asked."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from meshtest.errors import ProcessFailed, UsageError
from meshtest.mesh.canary.hooks import Hooks
from meshtest.model.rehearsal import Called
from meshtest.rollouts.canary.spec import Hook, HookType
from meshtest.rollouts.canary.state import Phase
from meshtest.rollouts.canary.steps import CallHook, Payload
from tests.conftest import Ground
from tests.webhook.stub_hook import StubHook

LOADTESTER = "http://flagger-loadtester.test"


def asked(url: str, type: str = "rollout", checksum: str = "c1", **fields: Any) -> CallHook:
    hook = Hook(name="acceptance", url=url, type=HookType(type), **fields)
    payload = Payload(
        name="podinfo", namespace="test", phase=Phase.PROGRESSING, checksum=checksum, metadata=hook.metadata
    )
    return CallHook(hook, payload)


def told(hooks: Hooks, step: CallHook) -> Called:
    answer, called = hooks.call(step)
    assert answer.ok is called.ok
    return called


@pytest.mark.parametrize(
    ("type", "url", "metadata", "ok", "why"),
    [
        ("confirm-rollout", f"{LOADTESTER}/gate/approve", {}, True, "flagger-loadtester always says yes here"),
        ("confirm-rollout", f"{LOADTESTER}/gate/halt", {}, False, "flagger-loadtester always says no here"),
        ("confirm-promotion", f"{LOADTESTER}/gate/check", {}, True, "a person is assumed to have opened the gate"),
        ("rollout", f"{LOADTESTER}/gate/check", {}, False, "nobody opens this gate"),
        ("rollback", f"{LOADTESTER}/rollback/check", {}, False, "nobody opens this gate"),
        ("pre-rollout", f"{LOADTESTER}/", {"type": "bash", "cmd": "curl x"}, True, "(bash) is not run here"),
        ("rollout", f"{LOADTESTER}/", {"cmd": "hey http://x"}, True, "yes at once, whatever comes of it"),
        ("pre-rollout", "http://meshtest.test/hooks/pre-rollout/smoke", {}, True, "no suites were given"),
        ("rollback", "http://meshtest.test/hooks/rollback/smoke", {}, False, "no suites were given"),
        ("rollout", "https://qa.example.com/verify", {}, True, "is not allowed (--allow-url)"),
        ("event", "https://chat.example.com/", {}, True, "is not allowed (--allow-url)"),
    ],
)
def test_what_nobody_is_asked_is_assumed_and_says_so(
    tmp_path: Path, type: str, url: str, metadata: dict[str, str], ok: bool, why: str
) -> None:
    called = told(Hooks(tmp_path), asked(url, type, metadata=metadata))
    assert (called.ok, called.answered_by) == (ok, "assumed")
    assert why in called.reason


def test_an_allowed_url_is_called_as_flagger_calls_it(tmp_path: Path) -> None:
    with StubHook({"yes": [{"status": 200}], "no": [{"status": 403, "body": "p99 is 812 ms\n"}]}) as hook:
        hooks = Hooks(tmp_path, allow=[hook.url])
        yes, no = (told(hooks, asked(f"{hook.url}/{name}", metadata={"k": "v"})) for name in ("yes", "no"))
    assert (yes.ok, yes.answered_by, yes.attempts) == (True, "url", 1)
    assert (no.ok, no.reason) == (False, "p99 is 812 ms")
    assert json.loads(hook.heard["yes"][0].body) == {
        "name": "podinfo", "namespace": "test", "phase": "Progressing", "checksum": "c1", "metadata": {"k": "v"},
    }  # fmt: skip


def test_waits_between_attempts_pass_on_the_canarys_clock(tmp_path: Path) -> None:
    waited: list[float] = []
    with StubHook({"x": [{"status": 500}, {"status": 503, "headers": {"Retry-After": "60"}}, {"status": 200}]}) as hook:
        hooks = Hooks(tmp_path, allow=[hook.url], speed=20, sleep=waited.append)
        called = told(hooks, asked(f"{hook.url}/x", retries=2))
    assert (called.ok, called.attempts, waited) == (True, 3, [1 / 20, 60 / 20])


def test_a_time_out_says_how_long_was_really_waited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshtest.mesh.canary.hooks.LEAST", 0.01)
    with StubHook({"x": [{"silent": True}]}) as hook:
        called = told(Hooks(tmp_path, allow=[hook.url], speed=1000), asked(f"{hook.url}/x"))
    assert not called.ok
    assert called.reason.endswith("(after 0.01 s, for 10 s of production)")


def test_a_timeout_that_go_cannot_parse_denies_and_calls_nobody(tmp_path: Path) -> None:
    called = told(Hooks(tmp_path, allow=["http://127.0.0.1:1/"]), asked("http://127.0.0.1:1/", timeout=-1.0))
    assert not called.ok
    assert "invalid duration" in called.reason


def test_an_event_tells_when(tmp_path: Path) -> None:
    with StubHook({"events": [{"status": 200}]}) as hook:
        hooks = Hooks(tmp_path, allow=[hook.url], wall=lambda: 12.5)
        told(hooks, asked(f"{hook.url}/events", "event", metadata={"eventMessage": "New revision"}))
    body = json.loads(hook.heard["events"][0].body)
    assert body["metadata"] == {"eventMessage": "New revision", "timestamp": "12500"}


def test_an_allowed_beginning_ends_at_a_part_of_the_url(tmp_path: Path) -> None:
    hooks = Hooks(tmp_path, allow=["http://127.0.0.1:1"])
    for url in ("http://127.0.0.1:12/", "http://127.0.0.1:1.example.com/", "http://127.0.0.1:1@example.com/"):
        assert told(hooks, asked(url)).answered_by == "assumed"
    with pytest.raises(UsageError, match="write the beginning of a URL"):
        Hooks(tmp_path, allow=["localhost"])


# -- the embedded endpoint

TEST = "def test_verdict():\n    pass\n"


@pytest.fixture
def suites(tmp_path: Path) -> Path:
    folder = tmp_path / "suites"
    (folder / "smoke").mkdir(parents=True)
    (folder / "smoke" / "test_smoke.py").write_text(TEST)
    return folder


@pytest.fixture
def embedded(tmp_path: Path, suites: Path) -> Iterator[Hooks]:
    pytest.importorskip("starlette", reason="pip install 'meshtest[webhook]'")
    with closing(Hooks(tmp_path / "state", suites=suites, approve=False, speed=20)) as hooks:
        yield hooks


def test_suites_and_gates_are_answered_by_an_endpoint_of_its_own(embedded: Hooks) -> None:
    base = "http://meshtest.test/hooks"
    closed = told(embedded, asked(f"{LOADTESTER}/gate/check", "confirm-rollout", metadata={"a": "b"}))
    assert (closed.ok, closed.answered_by) == (False, "embedded")
    assert closed.reason.startswith("Forbidden")
    assert told(embedded, asked(f"{LOADTESTER}/", metadata={"type": "cmd", "cmd": "x"})).answered_by == "assumed"
    assert told(embedded, asked(f"{base}/confirm-promotion/smoke?wait=1200", "confirm-promotion", timeout=1300)).ok
    assert not told(embedded, asked(f"{base}/rollback/smoke", "rollback")).ok
    denied = told(embedded, asked(f"{base}/pre-rollout/other", "pre-rollout"))
    assert "no suite 'other'" in denied.reason


def test_an_endpoint_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    hooks = Hooks(tmp_path / "state", suites=tmp_path / "none")
    with pytest.raises(ProcessFailed, match="there is no suite in it"):
        hooks.call(asked("http://x/hooks/pre-rollout/smoke", "pre-rollout"))


PROGRAM = """
import sys, time
from pathlib import Path
from meshtest.webhook.embedded import Embedded
print(Embedded(Path(sys.argv[1]), Path(sys.argv[2])).url, flush=True)
time.sleep(600)
"""


def test_the_endpoint_dies_with_whoever_started_it(ground: Ground, suites: Path) -> None:
    pytest.importorskip("starlette", reason="pip install 'meshtest[webhook]'")
    program = ground.start(sys.executable, "-c", PROGRAM, suites, ground.folder / "state")
    program.says("http://")
    assert len(ground.processes()) == 2
    program.signal(signal.SIGKILL)
    program.wait()
    ground.nothing_left()
