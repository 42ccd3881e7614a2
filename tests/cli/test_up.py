"""`meshtest up`, and the commands that act on it from another terminal."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import urllib.request
from typing import Any

import pytest

from tests.conftest import Ground, Program, run_folder_events, spare_port

from .conftest import Up


def told(program: Program) -> list[dict[str, Any]]:
    """What a command printed with --json."""
    assert program.wait() == 0, program
    return [json.loads(line) for line in program.out.splitlines()]


def asked(url: str) -> tuple[int, dict[str, Any]]:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {}


class TestUp:
    def test_another_terminal_shifts_breaks_and_loads(self, ground: Ground, up: Up) -> None:
        program, description = up()
        url = description["ingress"]["80"]
        assert asked(url)[1]["version"] == "v1"
        assert description["services"] == {"web": {"v1": 100}}

        (shifted,) = told(ground.meshtest("shift", "web", "v2=100", "--json"))
        assert shifted["shares"] == {"v2": 100}
        assert asked(url)[1]["version"] == "v2", "in force when the command returns"

        (broken,) = told(ground.meshtest("fault", "web", "--abort", "418", "--json"))
        assert broken["fault"]["abort"] == 418
        assert asked(url)[0] == 418
        again = ground.meshtest("fault", "web", "--abort", "418")
        assert again.wait() == 4
        assert "'web' has a fault already; end it first: meshtest fault web --off" in again.err
        (mended,) = told(ground.meshtest("fault", "web", "--off", "--json"))
        assert sum(mended["evidence"].values()) == 1
        assert asked(url)[0] == 200

        *_, last = told(ground.meshtest("load", "http://web/", "--seconds=0.3", "--rps=200", "--json"))
        assert (last["done"], last["requests"], last["failed"], last["versions"]) == (True, 60, 0, {"web/v2": 60})

        plain = ground.meshtest("load", f"{url}/", "--seconds=0.1", "--source=ingress")
        assert plain.wait() == 0, plain
        assert plain.out.splitlines()[-1].startswith("10 requests, 0 failed; served by web/v2 10; p50 ")

        shaped = ["--stage=ramp 50 150 0.2", "--stage=burst 5", "--fault-header=x-fault=0.5", "--users=3", "--poisson"]
        *_, last = told(ground.meshtest("load", "http://web/a", "http://web/b", "--weights=3,1", *shaped, "--json"))
        assert last["requests"] > 5
        assert last["failed"] == 0

        if shutil.which("prometheus"):
            query = 'sum(istio_requests_total{reporter="source"})'
            (counted,) = told(ground.meshtest("query", query, "--json"))
            assert counted["series"][0]["value"] >= 60, "what ran so far, of the mesh that is up"

        program.signal(signal.SIGINT)
        assert program.wait() == 0, program
        ground.nothing_left()
        (run,) = ground.runs()
        assert run_folder_events(run)[-1]["kind"] == "run.end"

    def test_mistakes_in_another_terminal_change_nothing(self, ground: Ground, up: Up) -> None:
        program, _ = up()
        for words, message in {
            ("shift", "wep", "v2=1"): "no service 'wep'; there are: web (did you mean 'web'?)",
            ("shift", "web", "v9=1"): "v9",
            ("shift", "web", "v2"): "weight 'v2': write NAME=VALUE",
            ("shift", "web", "v2=half"): "weights are whole percentages, as in v2=20, not v2=half",
            ("shift", "web", "v1=60", "v2=50"): "the shares add up to 110 %, more than 100",
            ("fault", "web"): 'a fault needs delay="800ms" or abort=503',
            ("fault", "web", "--off"): "no fault is in force for 'web'; there are: none",
            ("load", "GET nowhere"): "nowhere",
            ("load",): "say what to send: a request, as http://web/path, or --locustfile FILE",
            ("load", "http://web/", "--rps=0"): "rate is 0.0; it must be above 0",
            ("load", "http://web/", "--body=@no-such-file"): "No such file or directory",
            ("load", "http://web/", "--stage=jump 3"): "stage 'jump 3': write `hold RATE SECONDS`",
            ("load", "http://web/", "--source=nobody"): "no workload 'nobody'; there are: web-v1, web-v2",
        }.items():
            asking = ground.meshtest(*words)
            assert asking.wait() == 4, asking
            assert message in asking.err, asking
            assert "Traceback" not in asking.err
        assert program.process.poll() is None
        (shares,) = {json.dumps(e["data"]["shares"]) for e in _changes(ground)}
        assert shares == '{"web": {"v1": 100.0}}'
        program.signal(signal.SIGTERM)
        assert program.wait() in (0, 2), program
        ground.nothing_left()

    def test_of_two_one_must_be_chosen(self, ground: Ground, up: Up) -> None:
        first, one = up()
        second, two = up()
        assert one["ingress"]["80"] != two["ingress"]["80"]
        asking = ground.meshtest("shift", "web", "v2=100")
        assert asking.wait() == 4
        pids = sorted([first.pid, second.pid], key=str)
        assert f"several meshes are up; choose one with --pid: {pids[0]}, {pids[1]}" in asking.err
        chosen = ground.meshtest("shift", "web", "v2=100", "--pid", second.pid)
        assert chosen.wait() == 0, chosen
        assert chosen.out.startswith("web: v2 100 % (in force after ")
        assert asked(one["ingress"]["80"])[1]["version"] == "v1"
        assert asked(two["ingress"]["80"])[1]["version"] == "v2"
        for program in (first, second):
            program.interrupt()
        assert [first.wait(), second.wait()] == [0, 0]

    def test_without_any_that_is_said(self, ground: Ground) -> None:
        asking = ground.meshtest("shift", "web", "v2=100")
        assert asking.wait() == 4
        assert asking.err == "meshtest: no mesh is up; start one in another terminal: meshtest up FILES\n"

    def test_one_that_was_killed_is_not_mistaken_for_one_that_is_up(self, ground: Ground, up: Up) -> None:
        program, _ = up()
        program.signal(signal.SIGKILL)
        program.wait()
        asking = ground.meshtest("shift", "web", "v2=100")
        assert asking.wait() == 4
        assert "no mesh is up" in asking.err
        ground.nothing_left()

    def test_it_can_be_taken_down_while_it_comes_up(self, ground: Ground, up: Up) -> None:
        ground.write("web.yaml", "")
        program = ground.meshtest("up", "web.yaml")
        program.signal(signal.SIGTERM)
        assert program.wait() in (2, 4, -signal.SIGTERM), program


class TestPorts:
    def test_a_gateway_gets_the_port_that_was_asked_for(self, ground: Ground, up: Up) -> None:
        port = spare_port()
        program, description = up(f"--port=80={port}")
        assert description["ingress"] == {"80": f"http://127.0.0.1:{port}"}
        assert asked(f"http://127.0.0.1:{port}/")[0] == 200
        program.signal(signal.SIGINT)
        assert program.wait() == 0

    def test_one_that_is_taken_is_named(self, ground: Ground, up: Up, listener: socket.socket) -> None:
        port = listener.getsockname()[1]
        program = ground.meshtest("up", "web.yaml", f"--port=80={port}")
        assert program.wait() == 3, program
        assert str(port) in program.err
        assert "Address already in use" in program.err or "in use" in program.err
        assert "choose another" in program.err
        ground.nothing_left()

    @pytest.mark.parametrize("words", ["80", "80=x", "80=99999", "=80"])
    def test_one_that_is_none_is_bad_input(self, ground: Ground, up: Up, words: str) -> None:
        program = ground.meshtest("up", "web.yaml", f"--port={words}")
        assert program.wait() == 4, program
        assert "Traceback" not in program.err


def test_plain_lines_say_where_to_go(ground: Ground, up: Up) -> None:
    program = ground.meshtest("up", "web.yaml")
    program.says("Ctrl-C takes all down")
    lines = program.out.splitlines()
    assert lines[0].startswith("1 services, 2 pods (2 stand-ins) up in ") or lines[0].startswith("1 service, 2 pods")
    assert any(line.startswith("  gateway port 80     curl http://127.0.0.1:") for line in lines)
    assert any("curl -x http://127.0.0.1:" in line and line.endswith("http://web/") for line in lines)
    assert "\033" not in program.out
    program.interrupt()
    assert program.wait() == 0, program
    assert program.err == ""


def _changes(ground: Ground) -> list[dict[str, Any]]:
    (run,) = ground.runs()
    return [e for e in run_folder_events(run) if e["kind"] == "config.apply"]
