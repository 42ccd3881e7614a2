"""Supervisor and Envoy start before there is a run; whatever comes then, they end with the provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from meshtest_envoy.ground import Ground
from meshtest_envoy.pods import procs
from meshtest_envoy.provider import EnvoyProvider

from meshtest.errors import HistoryError, ProcessFailed
from meshtest.mesh import Mesh, new_provider, open_mesh
from meshtest.model.topology import Topology
from meshtest.run import Run
from meshtest.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(reports=tmp_path / "reports")


def ground_of(provider: object) -> Ground:
    assert isinstance(provider, EnvoyProvider)
    assert provider._ground is not None
    return provider._ground


def envoy_of(mesh: Mesh) -> int:
    assert isinstance(mesh.provider, EnvoyProvider)
    return mesh.provider.envoy_pid


def gone(ground: Ground) -> bool:
    return not ground.runtime.exists() and procs.start_time(ground.supervisor.pid) == 0


def test_open_goes_on_with_what_was_started(settings: Settings) -> None:
    with open_mesh("early", settings) as mesh:
        ground = ground_of(mesh.provider)
        assert procs.start_time(envoy_of(mesh)) > 0
    assert gone(ground)


def test_a_mesh_that_is_never_opened_leaves_nothing(settings: Settings) -> None:
    mesh = open_mesh("early", settings)
    ground = ground_of(mesh.provider)
    assert not gone(ground)
    mesh.close()
    assert gone(ground)


def test_a_run_that_cannot_be_made_leaves_nothing(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Ground] = []

    class Noted(Ground):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr("meshtest_envoy.provider.Ground", Noted)
    settings.reports.write_text("a file in the way")
    with pytest.raises(HistoryError, match="cannot make a run folder"):
        open_mesh("early", settings)
    assert gone(made[0])


def test_what_keeps_it_from_starting_is_said_when_it_is_opened(tmp_path: Path) -> None:
    settings = Settings(reports=tmp_path / "reports", envoy="/nowhere/envoy")
    provider = new_provider(settings, early=True)
    with Run("early", settings) as run, pytest.raises(ProcessFailed, match="no Envoy at /nowhere/envoy"):
        Mesh(provider, run, settings).open()


def test_a_provider_that_was_closed_can_be_opened_again(settings: Settings) -> None:
    provider = new_provider(settings, early=True)
    provider.close()
    with open_mesh("early", settings, provider=provider) as mesh:
        assert procs.start_time(envoy_of(mesh)) > 0
    provider.close()


def test_after_so_many_runs_an_envoy_makes_way_for_a_new_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("meshtest_envoy.provider.RUNS", 2)
    provider, seen = new_provider(settings), []
    for _ in range(3):
        with open_mesh("again", settings, provider=provider) as mesh:
            seen.append(envoy_of(mesh))
            mesh.provider.apply(Topology())
        assert (mesh.run.directory / "envoy.log").is_file()
        assert [pid for pid in seen if procs.start_time(pid)] == seen[-1:] * (len(seen) != 2)
    provider.close()
    assert seen[0] == seen[1] != seen[2]
