"""`meshtest webhook call` and `check`: what they print of a hook, and how they exit."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshtest.cli import main
from meshtest.cli.webhook_call import TYPES, type_of
from tests.conftest import deaf
from tests.webhook.stub_hook import Step, StubHook

SCRIPTS: dict[str, list[Step]] = {
    "yes": [{"status": 202}],
    "no": [{"status": 403, "body": "p99 is 812 ms\nsee the report\n"}],
    "no-content": [{"raw": "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"}],
    "broken": [{"status": 500, "body": "p99 is 812 ms"}],
    "moved": [{"status": 302, "headers": {"Location": "/yes"}}],
    "every": [{"status": 403, "body": "not today"}],
    "html": [{"status": 403, "body": "<html>Forbidden</html>"}],
    "empty": [{"status": 403}],
    "flips": [{"status": 200}, *[{"status": 409, "body": "already running"}] * 99],
    "closes": [{"close": True}],
}


@pytest.fixture(scope="module")
def hook() -> Iterator[StubHook]:
    with StubHook(SCRIPTS) as made:
        yield made


def run(*words: str) -> int:
    try:
        return main(["webhook", *words])
    except SystemExit as end:
        return int(end.code or 0)


def test_a_yes_says_what_flagger_does_next(hook: StubHook, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "--type",
        "confirm-rollout",
        "--name",
        "web",
        "--namespace",
        "shop",
        "--checksum",
        "c9",
        "--metadata",
        "k=v",
    )
    assert run("call", f"{hook.url}/yes", *words) == 0
    assert "yes: the new revision is started" in capsys.readouterr().out
    assert json.loads(hook.heard["yes"][-1].body) == {
        "name": "web", "namespace": "shop", "checksum": "c9", "phase": "Waiting", "metadata": {"k": "v"},
    }  # fmt: skip


def test_a_no_shows_the_text_of_the_event(hook: StubHook, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("call", f"{hook.url}/no", "--phase", "") == 1
    out = capsys.readouterr().out
    assert "no: a failed check" in out
    assert "Flagger's event says: p99 is 812 ms" in out
    assert json.loads(hook.heard["no"][-1].body)["phase"] == ""


def test_a_body_that_is_lost_is_said_to_be(hook: StubHook, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("call", f"{hook.url}/broken") == 1
    out = capsys.readouterr().out
    assert "giving up after 1 attempt(s)" in out
    assert "[FL18]" in out


def test_nobody_there_is_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    with deaf() as port:
        assert run("call", f"http://127.0.0.1:{port}/") == 3
    assert "connection refused" in capsys.readouterr().out


def test_a_token_is_the_password_of_the_url_and_is_not_shown(
    hook: StubHook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("s3cret/token\n")
    assert run("call", f"{hook.url}/yes", "--token-file", str(tmp_path / "token"), "--json") == 0
    sent = hook.heard["yes"][-1].headers["Authorization"]
    assert base64.b64decode(sent.removeprefix("Basic ")) == b"flagger:s3cret/token"
    out = capsys.readouterr().out
    assert json.loads(out)["attempts"][0]["status"] == 202
    assert "s3cret" not in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["call", "podinfo.test/gate"], "write http://HOST:PORT/PATH"),
        (["call", "http://x:port/"], "Port could not be cast"),
        (["call", "http://x/", "--timeout", "soon"], "--timeout 'soon': begin like 10s"),
        (["call", "http://x/", "--metadata", "k"], "write NAME=VALUE"),
        (["call", "http://x/", "--retries", "-1"], "--retries: a number from 0 on"),
        (["call", "http://x/", "--token-file", "/nowhere"], "--token-file /nowhere"),
        (["call", "http://a:b@x/", "--token-file", "/dev/null"], "either --token-file or a user"),
        (["call", "http://x/", "--token-file", "/dev/null"], "it is empty"),
        (["call", "http://x/", "--type", "skip"], "invalid choice: 'skip'"),
        (["check", "ftp://x/"], "write http://HOST:PORT/PATH"),
    ],
)
def test_bad_input_is_one_message(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 4
    assert says in capsys.readouterr().err


def checked(hook: StubHook, case: str, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = run("check", f"{hook.url}/{case}", *words)
    return code, capsys.readouterr().out


def test_a_check_says_that_it_is_real_and_calls_as_every_type(
    hook: StubHook, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = checked(hook, "every", capsys)
    assert code == 0
    assert out.startswith("This really calls http://127.0.0.1")
    phases = [json.loads(one.body)["phase"] for one in hook.heard["every"][: len(TYPES)]]
    assert phases == ["Waiting", *["Progressing"] * 4, "Succeeded", *["Progressing"] * 2]
    assert all(f"as {type}" in out for type in TYPES)
    assert {"GET", "POST"} == {one.method for one in hook.heard["every"]}
    assert "nothing is wrong" in out


@pytest.mark.parametrize(
    ("case", "code", "says"),
    [
        ("no-content", 1, "204 is a no to Flagger; say 200, 201 or 202 [FL17]"),
        ("broken", 1, "takes the hook for broken"),
        ("moved", 0, "arrives as GET"),
        ("html", 0, "the reason is HTML"),
        ("empty", 0, "Flagger's event gives no reason"),
        ("yes", 0, "a hook that says yes to this says yes to anybody"),
        ("flips", 0, "the same call got 200, then 409"),
    ],
)
def test_a_check_names_what_is_wrong(
    hook: StubHook, case: str, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, out = checked(hook, case, capsys, "--type", "pre-rollout")
    assert says in out
    assert found == code


def test_a_rollback_hook_that_always_says_yes_is_an_error(hook: StubHook, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = checked(hook, "yes", capsys, "--type", "rollback", "--well-formed")
    assert code == 1
    assert "rolls every canary back" in out


def test_nobody_there_is_trouble_for_a_check(hook: StubHook, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = checked(hook, "closes", capsys, "--type", "rollout", "--json")
    assert code == 3
    (case,) = json.loads(out)["cases"]
    assert case["findings"][0]["weight"] == "error"


def test_a_dry_run_sends_nothing(hook: StubHook, capsys: pytest.CaptureFixture[str]) -> None:
    code, out = checked(hook, "never", capsys, "--dry-run")
    assert code == 0
    assert "as rollback" in out
    assert "never" not in hook.heard


@pytest.mark.parametrize(
    ("url", "type"),
    [
        ("http://h/hooks/post-rollout/acceptance?wait=5", "post-rollout"),
        ("http://h/hooks/nothing/acceptance", "pre-rollout"),
        ("http://h/hooks", "pre-rollout"),
        ("http://h/gate/approve", "pre-rollout"),
    ],
)
def test_the_type_is_that_of_the_address(url: str, type: str) -> None:
    assert type_of(url) == type
