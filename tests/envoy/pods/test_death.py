"""What is left when runner, supervisor or both are killed: nothing, at the latest after heal()."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from meshtest_envoy.pods import ledger, procs
from meshtest_envoy.pods.heal import heal
from meshtest_envoy.pods.runtime import make_runtime_dir, roots

from meshtest.errors import ProviderError
from meshtest.lib.wait import until
from tests.conftest import unhurried

from .conftest import PATIENCE, Watched

RUNNER = Path(__file__).with_name("runner.py")


class Run(NamedTuple):
    """A runner with a supervisor and seven processes below it."""

    process: subprocess.Popen[str]
    directory: Path
    supervisor: int
    below: list[int]

    def left(self) -> list[procs.Stat]:
        return [found for pid in (self.supervisor, *self.below) if (found := procs.stat(pid))]


@pytest.fixture
def base() -> Iterator[Path]:
    """A TMPDIR of its own, so that no other session heals what is to be healed here; short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="mt", dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def start(tmp_path: Path, base: Path) -> Iterator[Callable[[], Run]]:
    runs: list[Run] = []

    def start() -> Run:
        process = subprocess.Popen(
            [sys.executable, str(RUNNER), str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(base)},
        )
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        runs.append(Run(process, Path(told["directory"]), told["supervisor"], told["below"]))
        return runs[-1]

    yield start
    for run in runs:
        run.process.kill()
        run.process.wait()
        for pipe in (run.process.stdin, run.process.stdout):
            assert pipe is not None
            pipe.close()
        until(lambda run=run: not run.left(), within=unhurried(2), what=lambda run=run: str(run.left()))  # type: ignore[misc]


def all_gone(run: Run, within: float) -> None:
    until(lambda: not run.left(), within=unhurried(within), what=lambda: f"still there: {run.left()}")


def folder_gone(run: Run, within: float) -> None:
    until(
        lambda: not run.directory.exists(),
        within=unhurried(within),
        what=lambda: f"left: {list(run.directory.iterdir())}",
    )


def test_a_killed_runner_leaves_no_process_and_no_folder(start: Callable[[], Run]) -> None:
    run = start()
    run.process.kill()
    until(
        lambda: not run.left() and not run.directory.exists(),
        within=unhurried(1),
        what=lambda: f"left: {run.left()}, {run.directory if run.directory.exists() else 'no folder'}",
    )


def _is_socket(pid: int, number: str) -> bool:
    """One that the process has closed since is none."""
    try:
        return os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:")
    except FileNotFoundError:
        return False


def test_a_runner_whose_channel_was_inherited_by_another_process_is_still_seen_to_die(start: Callable[[], Run]) -> None:
    run = start()
    channel = [number for number in os.listdir(f"/proc/{run.process.pid}/fd") if _is_socket(run.process.pid, number)]
    pidfd = os.pidfd_open(run.process.pid)
    held = [_pidfd_getfd(pidfd, int(number)) for number in channel]
    try:
        run.process.kill()
        all_gone(run, 1)
    finally:
        for number in (pidfd, *held):
            os.close(number)
    assert held


def test_ctrl_c_is_the_runners_business(start: Callable[[], Run]) -> None:
    run = start()
    os.kill(run.supervisor, signal.SIGINT)
    os.kill(run.supervisor, signal.SIGHUP)
    assert run.process.stdin is not None
    run.process.stdin.close()
    assert run.process.wait(PATIENCE) == 0, "it closed in good order, so the supervisor was there"
    all_gone(run, 1)


def test_sigterm_ends_the_supervisor_in_good_order(start: Callable[[], Run]) -> None:
    run = start()
    os.kill(run.supervisor, signal.SIGTERM)
    all_gone(run, 2)
    folder_gone(run, 1)


def test_a_killed_supervisor_takes_its_children_along_and_the_runner_notices(mesh: Watched) -> None:
    pids = [mesh.ready(f"web-{n}").pid for n in range(3)]
    pids.append(mesh.start("program-0", argv=("sleep", "600"), ports=()).pid)
    os.kill(mesh.supervisor.pid, signal.SIGKILL)
    told = mesh.wait("supervisor", "exited").detail
    assert told["why"] == "the supervisor ended (signal SIGKILL)"
    until(lambda: not any(map(procs.stat, pids)), within=unhurried(1), what=lambda: str([*map(procs.stat, pids)]))
    with pytest.raises(ProviderError, match=r"the supervisor ended \(signal SIGKILL\)"):
        mesh.start("web-3")


def test_a_supervisor_that_cannot_start_says_why(mesh: Watched) -> None:
    stderr = mesh.supervisor.directory / "supervisor.log"
    stderr.write_text("Traceback: no such module\n")
    os.kill(mesh.supervisor.pid, signal.SIGKILL)
    with pytest.raises(ProviderError, match="Traceback: no such module"):
        mesh.supervisor.ping()


def test_when_both_are_killed_heal_finishes(start: Callable[[], Run]) -> None:
    run = start()
    os.kill(run.supervisor, signal.SIGSTOP)  # so that it cannot see the death of its runner
    run.process.kill()
    run.process.wait()  # heal() leaves the run alone as long as its runner is seen
    os.kill(run.supervisor, signal.SIGKILL)
    until(
        lambda: len(run.left()) == 2,
        within=unhurried(1),
        what=lambda: f"worker and daemon should be left: {run.left()}",
    )
    left = sorted(one.pid for one in run.left())
    said = heal(run.directory.parent)
    assert not run.left()
    assert not run.directory.exists()
    (killed,) = [sentence for sentence in said if str(run.directory) in sentence and "killed" in sentence]
    assert sorted(map(int, killed.partition("2 pids ")[2].split(", "))) == left
    assert heal(run.directory.parent) == []


def test_a_hanging_supervisor_of_a_dead_runner_is_ended_by_heal(start: Callable[[], Run]) -> None:
    run = start()
    os.kill(run.supervisor, signal.SIGSTOP)
    run.process.kill()
    run.process.wait()
    said = heal(run.directory.parent)
    all_gone(run, 0.5)
    assert any(f"removed {run.directory}" in sentence for sentence in said)


def test_heal_leaves_living_runs_and_strangers_alone(start: Callable[[], Run], tmp_path: Path) -> None:
    run = start()
    assert heal(run.directory.parent) == []
    assert len(run.left()) == 8
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        noted = ledger.Ledger(str(_folder(tmp_path)), (stranger.pid, 1))
        noted._children = {stranger.pid: 1}  # the pid was given out again: another start time
        noted.write()
        assert heal(tmp_path) == [f"removed {tmp_path / 'run'}"]
        assert procs.stat(stranger.pid) is not None
    finally:
        stranger.kill()
        stranger.wait()


def test_pids_of_another_boot_mean_nothing(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        start_time = procs.start_time(stranger.pid)
        entries = {"boot": "other", "runner": [1, 1], "supervisor": [1, 1], "children": {stranger.pid: start_time}}
        (folder / ledger.NAME).write_text(json.dumps(entries))
        assert heal(tmp_path) == [f"removed {folder}"]
        assert procs.stat(stranger.pid) is not None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_folder_without_a_ledger_is_removed_once_it_is_old(tmp_path: Path) -> None:
    folder = _folder(tmp_path)
    assert heal(tmp_path) == []
    os.utime(folder, (1, 1))
    assert heal(tmp_path) == [f"removed {folder}"]
    assert heal(tmp_path / "nowhere") == []


def test_a_new_runtime_folder_is_private_short_and_named_in_its_ledger(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(base))
    folder = make_runtime_dir()
    try:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert len(str(folder / ("s" * 40))) < 108
        entries = ledger.read(str(folder))
        assert entries is not None
        assert entries.runner == (os.getpid(), procs.start_time(os.getpid()))
        assert folder.parent in roots()
        assert heal(folder.parent) == [], "its runner lives"
    finally:
        (folder / ledger.NAME).unlink()
        folder.rmdir()


def test_a_long_tmpdir_or_one_of_somebody_else_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("x" * 80)))
    assert roots() == [Path(f"/tmp/meshtest-{os.getuid()}")]
    open_to_all = tmp_path / f"meshtest-{os.getuid()}"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    monkeypatch.setattr("meshtest_envoy.pods.runtime.roots", lambda: [open_to_all])
    with pytest.raises(ProviderError, match="it must belong to this user"):
        make_runtime_dir()


def _folder(root: Path) -> Path:
    folder = root / "run"
    folder.mkdir()
    return folder


def _pidfd_getfd(pidfd: int, number: int) -> int:
    import ctypes

    found = int(ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, number, 0))
    assert found >= 0, os.strerror(ctypes.get_errno())
    return found
