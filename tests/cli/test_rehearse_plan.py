"""`meshtest rehearse --plan`, as people and programs read it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from meshtest.cli import FAILED, OK, rehearse_plan
from meshtest.cli.rehearse_power import rate_of
from meshtest.errors import UsageError
from meshtest.lib.figures import chance, clock

CANARY = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: podinfo, namespace: test}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: podinfo}
  service: {port: 9898}
  analysis:
    interval: 1m
    threshold: 5
    maxWeight: 50
    stepWeight: %s
    metrics:
    - {name: request-success-rate, interval: 1m, thresholdRange: {min: 99}}
    webhooks:
    - {name: gate, type: confirm-rollout, url: "http://tester/gate"}
    - {name: smoke, type: pre-rollout, url: "http://tester/", timeout: 30s, retries: 2}
"""


def plan(folder: Path, *words: str, step: int = 10) -> int:
    (folder / "canary.yaml").write_text(CANARY % step)
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="+")
    parser.add_argument("--traffic")
    parser.add_argument("--json", action="store_true")
    rehearse_plan.arguments(parser)
    return rehearse_plan.go(parser.parse_args([str(folder / "canary.yaml"), *words]))


def test_it_reads_at_a_glance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(tmp_path, "--traffic", "GET / 1rps") == OK
    shown = capsys.readouterr().out
    for part in (
        "podinfo.test",
        "     1      0s  Progressing       100/0           confirm-rollout: gate\n",
        "     7      6m  Promoting         50/50           ",
        "promoted after 8 intervals, 8m (9m from apply)",
        "hook     smoke (pre-rollout): 1 x, tick 2; a call takes 1m33s at worst",
        "      3 %       65 %         35 %       10.3   4.6 of 154 requests",
        "NOT ENOUGH: it takes about",
        "FL02",
    ):
        assert part in shown


def test_without_traffic_it_says_how_to_give_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan(tmp_path)
    assert "--traffic 'GET / 50rps'" in capsys.readouterr().out


def test_json_is_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(tmp_path, "--json", "--traffic", "50rps", "--bad", "2%") == OK
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["happy"]["intervals"], found["bad"]["ending"]) == (8, "rolled back")
    assert found["power"]["false_promotion"]["of"] == 0.02
    assert found["power"]["enough"] is True


def test_a_canary_that_never_ends_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan(tmp_path, step=0) == FAILED
    shown = capsys.readouterr().out
    assert "NEVER ENDS: from tick 2 on it stays Progressing at 100/0" in shown
    assert "FL10" in shown


def test_files_without_a_canary_are_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "service.yaml").write_text("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n")
    with pytest.raises(UsageError, match=r"no Canary .* \(Service\)"):
        rehearse_plan.go(argparse.Namespace(files=[str(tmp_path / "service.yaml")]))


@pytest.mark.parametrize("text", ["GET /", "fast", "GET / 0rps", "GET / 50 rpm"])
def test_traffic_without_a_rate_is_a_mistake(text: str) -> None:
    with pytest.raises(UsageError, match="50rps"):
        rate_of(text)


@pytest.mark.parametrize(("text", "rps"), [("GET / 50rps", 50), ("2.5/s", 2.5), ("POST /a b 3 rps", 3)])
def test_traffic_ends_with_its_rate(text: str, rps: float) -> None:
    assert rate_of(text) == rps


@pytest.mark.parametrize("words", [("--bad", "3 apples"), ("--good", "120%")])
def test_a_share_that_is_none_is_a_mistake(tmp_path: Path, words: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match=words[0]):
        plan(tmp_path, "--traffic", "1rps", *words)


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0s"), (0.5, "0.5s"), (60, "1m"), (90, "1m30s"), (3600, "1h"), (3661, "1h1m1s")]
)
def test_durations_are_as_flagger_writes_them(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0 %"), (1e-7, "< 0.01 %"), (0.654, "65 %"), (0.9955, "99.55 %"), (1 - 1e-7, "> 99.99 %")]
)
def test_a_chance_is_never_rounded_to_a_certainty(value: float, shown: str) -> None:
    assert chance(value) == shown


@pytest.mark.parametrize(("value", "shown"), [(0, "< 0.15 %"), (0.0005, "< 0.15 %"), (0.05, "5 %"), (1, "> 99.85 %")])
def test_what_2000_runs_did_not_show_may_yet_be(value: float, shown: str) -> None:
    assert chance(value, 2000) == shown
