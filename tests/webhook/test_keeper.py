"""The keeper of a run: begins it once, ends all of it, and says how it ended even if the disk is full."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meshtest.lib.wait import until
from meshtest.webhook.keeping import Keeper, ended_of, has_begun, kill_marked, marked, wait_for_keeper
from meshtest.webhook.work import Work
from tests.webhook.cheap import PATIENCE

Keep = Callable[..., Keeper]


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    made: list[Keeper] = []

    def started(line: str, *, command: tuple[str, ...] = (), name: str = "run", **more: float) -> Keeper:
        work = Work(command or ("/bin/sh", "-c", line), {}, int(more.pop("end_with", signal.SIGTERM)))
        limits = {"timeout": 60.0, "grace": 0.1, **more}
        made.append(Keeper(tmp_path / name, work, id=f"{os.getpid()}-{len(made)}", output=1000, **limits))  # type: ignore[arg-type]
        return made[-1]

    yield started
    for keeper in made:
        if not keeper._process.stderr.closed:  # type: ignore[union-attr]
            keeper._process.kill()
            keeper.wait()


def says(keeper: Keeper, name: str) -> str:
    """Wait for a file in the run's folder; its contents."""
    path = keeper.folder / name
    until(lambda: path.exists() and bool(path.read_text()), within=PATIENCE, what=lambda: f"no {name}")
    return path.read_text().strip()


def gone(pid: str) -> bool:
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_the_end_is_told_with_its_code_and_its_output_is_kept(keep: Keep) -> None:
    keeper = keep("echo out; echo err >&2; exit 7")
    ended, _ = keeper.wait()
    assert ended
    assert (ended.code, ended.why, ended.left) == (7, "", 0)
    assert (keeper.folder / "output.txt").read_text() == "out\nerr\n"


def test_a_signal_is_a_negative_code(keep: Keep) -> None:
    ended, _ = keep("kill -SEGV $$").wait()
    assert ended
    assert ended.code == -signal.SIGSEGV


def test_a_command_that_does_not_exist_ends_with_127_and_its_name(keep: Keep) -> None:
    keeper = keep("", command=("/no/such/program",))
    ended, _ = keeper.wait()
    assert ended
    assert ended.code == 127
    assert (keeper.folder / "output.txt").read_text() == "cannot run /no/such/program: No such file or directory\n"


def test_what_has_left_the_group_the_session_and_the_parent_ends_with_the_run(keep: Keep) -> None:
    keeper = keep("setsid sh -c 'setsid sleep 1000 & echo $! > far' & until test -s far; do sleep 0.01; done")
    ended, _ = keeper.wait()
    assert ended
    assert ended.left >= 1
    assert gone(says(keeper, "far"))


def test_stop_asks_with_the_signal_of_the_work(keep: Keep) -> None:
    trap = "trap 'exit 3' INT; echo $$ > up; while :; do sleep 0.01; done"
    keeper = keep(trap, end_with=signal.SIGINT, grace=PATIENCE)
    says(keeper, "up")
    keeper.stop("rolled back")
    ended, _ = keeper.wait()
    assert ended
    assert (ended.code, ended.why) == (3, "rolled back")


def test_after_the_grace_stop_insists(keep: Keep) -> None:
    keeper = keep("trap '' TERM; echo $$ > up; while :; do sleep 0.01; done", grace=0.05)
    says(keeper, "up")
    keeper.stop("rolled back")
    ended, _ = keeper.wait()
    assert ended
    assert (ended.code, ended.why) == (-9, "rolled back")


def test_when_the_endpoint_is_gone_everything_is_and_no_end_is_told(keep: Keep) -> None:
    keeper = keep("setsid sleep 1000 & echo $! > far; echo $$ > near; wait")
    far, near = says(keeper, "far"), says(keeper, "near")
    keeper._process.stdin.close()  # type: ignore[union-attr]
    wait_for_keeper(keeper.folder)
    assert gone(far)
    assert gone(near)
    assert has_begun(keeper.folder)
    assert ended_of(keeper.folder) is None


def test_a_run_that_has_begun_is_never_begun_again(keep: Keep) -> None:
    keep("echo first >> ../times").wait()
    keep("echo second >> ../times").wait()
    assert (keep("true").folder.parent / "times").read_text() == "first\n"


def test_two_keepers_of_one_run_begin_it_once(keep: Keep) -> None:
    keepers = [keep("echo x >> ../times; sleep 0.05") for _ in range(4)]
    for keeper in keepers:
        keeper.wait()
    assert (keepers[0].folder.parent / "times").read_text() == "x\n"


def test_a_keeper_that_finds_its_endpoint_gone_does_not_begin(keep: Keep, tmp_path: Path) -> None:
    first = keep("echo $$ > up; sleep 1000")
    says(first, "up")
    (first.folder / "begun").unlink()  # as if it had not yet
    second = keep("echo > ../twice")
    second._process.stdin.close()  # type: ignore[union-attr]
    first._process.kill()
    second._process.wait(PATIENCE)
    assert not (tmp_path / "twice").exists()


def test_a_keeper_that_is_killed_takes_its_child_and_the_rest_is_found_by_its_mark(keep: Keep) -> None:
    keeper = keep("setsid sleep 1000 & echo $! > far; echo $$ > near; wait")
    far, near = says(keeper, "far"), says(keeper, "near")
    keeper._process.kill()
    ended, complaint = keeper.wait()
    assert ended is None
    assert complaint == "its keeper ended with -9"
    assert gone(far)
    until(lambda: gone(near), within=PATIENCE, what=str)
    assert not list(marked([keeper.id]))


def test_a_folder_that_cannot_be_written_is_told_and_nothing_begins(keep: Keep, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".exit").mkdir()
    ended, complaint = keep("true").wait()
    assert ended is None
    assert complaint == ".exit: Is a directory"
    assert not has_begun(tmp_path / "run")


def test_sigterm_for_the_keeper_ends_the_run_in_order(keep: Keep) -> None:
    keeper = keep("trap 'exit 4' TERM; echo $$ > up; while :; do sleep 0.01; done", grace=PATIENCE)
    says(keeper, "up")
    keeper._process.terminate()
    ended, _ = keeper.wait()
    assert ended
    assert (ended.code, ended.why) == (4, "its keeper was told to end by SIGTERM")


def test_marks_of_others_are_left_alone(keep: Keep) -> None:
    keeper = keep("echo $$ > up; sleep 1000")
    says(keeper, "up")
    kill_marked({"another"})
    assert list(marked([keeper.id]))
