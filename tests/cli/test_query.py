"""`meshtest query`: of a stored run, of a URL, and what is said to bad questions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshtest import Mesh, Settings
from meshtest.run import Run
from meshtest.testing import FakeProvider
from tests.conftest import Ground
from tests.telemetry.conftest import Endpoint, needs_prometheus

pytestmark = needs_prometheus


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.close()


@pytest.fixture
def asked(tmp_path: Path, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Mesh:
    """A mesh whose Prometheus has seen two values, and still runs."""
    monkeypatch.setattr(Mesh, "metrics_url", endpoint.url)
    settings = Settings(reports=tmp_path / "reports", seed=7)
    mesh = Mesh(FakeProvider(), Run("stored", settings, seed=7), settings).open()
    for value in (2, 5):
        endpoint.text = f'calls_total{{version="v1"}} {value}\n'
        assert mesh.query("calls_total") == value
    return mesh


def test_a_stored_run_is_asked_and_stays_as_it_is(asked: Mesh, ground: Ground) -> None:
    asked.close()
    run = asked.run.directory
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    told = ground.meshtest("query", "calls_total", "--run", run, "--json")
    ranged = ground.meshtest("query", "calls_total", "--run", run, "--range=0:3600:1")
    assert told.wait() == 0, told
    (series,) = json.loads(told.out)["series"]
    assert (series["labels"]["version"], series["value"]) == ("v1", 5)
    assert ranged.wait() == 0, ranged
    assert ranged.out.startswith("calls_total{"), ranged
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_a_url_is_asked_and_bad_questions_are_answered_in_a_sentence(asked: Mesh, ground: Ground) -> None:
    url = asked.prometheus.url
    empty = ground.folder / "empty"
    shutil.copytree(asked.run.directory, empty, ignore=shutil.ignore_patterns("prometheus*"))
    good = ground.meshtest("query", "max(calls_total)", "--url", url)
    bad = {
        ("query", "up", "--url", "ftp://x"): "--url: 'ftp://x' is no URL; write http://HOST:PORT",
        ("query", "up", "--url", "http://127.0.0.1:9"): "Prometheus at http://127.0.0.1:9 does not answer",
        ("query", "up", "--run", empty): "has no series of a Prometheus: none was asked while it ran",
        ("query", "up", "--range=1-2", "--run", empty): "--range: '1-2' is not FROM:TO:STEP in seconds",
    }
    missing = ground.meshtest("query", "sum(calls)", "--url", url)
    wrong = ground.meshtest("query", "sum(calls_total", "--url", url)
    programs = {ground.meshtest(*words): message for words, message in bad.items()}
    assert good.wait() == 0, good
    assert good.out == "{} 5\n"
    assert missing.wait() == 5, missing
    assert missing.out == "NO DATA: no series is called calls; did you mean calls_total?\n"
    assert wrong.wait() == 4, wrong
    assert wrong.err == (
        f"meshtest: Prometheus: parse error: unclosed left parenthesis (column 16)\n  sum(calls_total\n  {' ' * 15}^\n"
    )
    for program, message in programs.items():
        assert program.wait() in (3, 4), program
        assert message in program.err, program
        assert "Traceback" not in program.err
    asked.close()
