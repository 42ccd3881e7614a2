"""explain and features: what they print, what they return."""

from __future__ import annotations

import json
import os
import signal

import pytest

from meshtest.cli import main
from tests.cli.conftest import WEB, Up
from tests.conftest import Ground


def test_explain_reads_files_and_starts_nothing(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    path = ground.write("web.yaml", WEB)
    assert main(["explain", "-f", str(path), "ingress", "shop.example", "GET", "/a"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("gateway ingress port 80: GET http://shop.example/a\n")
    assert f"{path}:38" in said
    assert "100 % to web.default.svc.cluster.local subset v1: web-v1 (v1, 1)" in said


def test_explain_asks_the_mesh_that_is_up_and_knows_of_its_shift(up: Up, ground: Ground) -> None:
    mesh, _ = up()
    assert ground.meshtest("shift", "web", "v2=30").wait() == 0
    program = ground.meshtest("explain", "-", "web", "--json")
    assert program.wait() == 0, program
    answers = json.loads(program.out)["answers"]
    assert [(a["percent"], a["versions"]) for a in answers] == [(70.0, ["v1"]), (30.0, ["v2"])]
    mesh.interrupt()
    assert mesh.wait() == 0


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["nobody", "web"], "no workload 'nobody'; there are: web-v1, web-v2"),
        (["-", "web", "GET", "a"], "path 'a': a path begins with /"),
        (["-", "web", "-H", "x"], "header 'x': write it as in -H 'end-user: jason'"),
        (["ingress/81", "web"], "no gateway port 81; choose ingress/PORT among 80"),
    ],
)
def test_bad_input_is_one_sentence(
    ground: Ground, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    path = ground.write("web.yaml", WEB)
    assert main(["explain", "-f", str(path), *words]) == 4
    assert capsys.readouterr().err == f"meshtest: {complaint}\n"


def test_features_says_what_each_provider_declares(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["features", "--json"]) == 0
    assert "weights" in json.loads(capsys.readouterr().out)["envoy"]
    assert main(["features"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["feature", "envoy"]
    assert ["weights", "yes"] in [row.split() for row in rows]


def test_send_compares_what_happens_with_what_was_foretold(ground: Ground) -> None:
    ground.write("web.yaml", WEB)
    program = ground.meshtest("explain", "-f", "web.yaml", "ingress", "shop.example", "GET", "/a", "--send")
    assert program.wait() == 0, program
    assert program.out.splitlines()[-1].split() == ["sent", "200", "by", "web", "v1:", "as", "foretold"]


def test_what_is_foretold_wrongly_fails(up: Up, ground: Ground) -> None:
    ground.write("pyproject.toml", "[tool.meshtest]\nrequest_timeout = 1\n")  # that is waited for in full
    mesh, told = up()
    (pod,) = [pod for pod in told["pods"] if pod["version"] == "v1"]
    os.kill(pod["pid"], signal.SIGSTOP)  # the manifests know nothing of a pod that hangs
    try:
        program = ground.meshtest("explain", "-", "web", "--send", "--json")
        assert program.wait() == 1, program
        assert json.loads(program.out)["differs"] is True
    finally:
        os.kill(pod["pid"], signal.SIGCONT)
        mesh.interrupt()
        mesh.wait()
