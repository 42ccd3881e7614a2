"""What is durable: runs and gates over restarts, one endpoint at a time, and one sentence where that cannot be."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from meshtest.errors import UsageError
from meshtest.webhook.runs import RunState
from meshtest.webhook.store import Gate, Store, StoreError
from tests.webhook.cheap import key

Open = Callable[[], Store]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """A store of the same folder, after the one before was closed."""
    open_now: list[Store] = []

    def again() -> Store:
        while open_now:
            open_now.pop().close()
        open_now.append(Store(tmp_path / "state"))
        return open_now[-1]

    yield again
    for store in open_now:
        store.close()


def gate(open: bool = True, **more: str) -> Gate:
    return Gate(kind="gate", namespace="shop", name="checkout", open=open, **more)  # type: ignore[arg-type]


def test_a_run_is_as_it_was_after_a_restart(opened: Open) -> None:
    store = opened()
    run, _ = store.accept(key(), {"url": "http://x"}, phase="Progressing")
    store.begin(run.id)
    before = store.settle(run.id, RunState.FAILED, "p99 doubled")
    store = opened()
    assert store.get(run.id) == before == store.find(key())
    assert store.accept(key(), {"url": "http://x"}) == (before, False)


def test_a_verdict_is_final(opened: Open) -> None:
    store = opened()
    run, _ = store.accept(key(), {})
    store.settle(run.id, RunState.FAILED, "first")
    assert store.settle(run.id, RunState.PASSED, "second").reason == "first"
    assert store.cancel(run.id, "late").state is RunState.FAILED
    assert not store.begin(run.id)


def test_runs_are_numbered_in_order_and_named_so_that_nobody_guesses(opened: Open) -> None:
    store = opened()
    runs = [store.accept(key(revision=str(number)), {})[0] for number in range(3)]
    assert [run.id[:7] for run in runs] == ["000001-", "000002-", "000003-"]
    assert [run.folder for run in runs] == [f"runs/{run.id}" for run in runs]


def test_gates_and_who_touched_them_survive(opened: Open) -> None:
    store = opened()
    assert store.gate("gate", "shop", "checkout") is None
    store.set_gate(gate(checksum="abc", who="ann"))
    store.set_gate(gate(open=False, who="bob", reason="lunch"))
    store = opened()
    found = store.gate("gate", "shop", "checkout")
    assert found
    assert (found.open, found.who, found.reason) == (False, "bob", "lunch")
    assert [(one.who, one.open) for one in store.audit()] == [("bob", False), ("ann", True)]
    assert store.gate("rollback", "shop", "checkout") is None
    assert store.gates() == [found]


def test_two_endpoints_on_one_folder_are_refused(opened: Open, tmp_path: Path) -> None:
    opened()
    with pytest.raises(UsageError, match=r"another endpoint \(process \d+\) has the state folder .*: one at a time"):
        Store(tmp_path / "state")


def test_a_state_of_a_later_version_is_not_touched(opened: Open, tmp_path: Path) -> None:
    opened().close()
    path = tmp_path / "state" / "state.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9")
    database.close()
    with pytest.raises(UsageError, match=r"later version of meshtest \(its schema is 9, this one knows 1\)"):
        Store(tmp_path / "state")


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"not a database, but long enough " * 99, "file is not a database"), (None, "another program's database")],
)
def test_a_file_that_is_not_ours_is_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "state.sqlite"
    if content:
        path.write_bytes(content)
    else:
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE theirs (x)")
        database.close()
    with pytest.raises(UsageError, match=message):
        Store(tmp_path)


def test_a_damaged_state_is_told_before_anything_is_served_from_it(opened: Open, tmp_path: Path) -> None:
    store = opened()
    for number in range(20):
        store.accept(key(revision=str(number)), {"padding": "x" * 1000})
    store.close()
    path = tmp_path / "state" / "state.sqlite"
    content = path.read_bytes()
    path.write_bytes(content[:-4096] + b"\xff" * 4096)
    with pytest.raises(
        UsageError, match=r"state\.sqlite cannot be used: it is damaged \(.*; free some room, restore it"
    ):
        Store(tmp_path / "state")


def test_trouble_is_told_once_and_so_is_its_end(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "meshtest.webhook")
    store = opened()
    store._database.execute("PRAGMA query_only = ON")
    for _ in range(3):
        assert not store.can_write()
    assert "cannot be written: attempt to write a readonly database" in store.trouble
    store._database.execute("PRAGMA query_only = OFF")
    assert [store.can_write() for _ in range(3)] == [True, True, True]
    first, second = (record.getMessage() for record in caplog.records)
    assert first == f"{first.partition(';')[0]}; no run is accepted, and verdicts wait, until it can be"
    assert second.endswith("can be written again")


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"the state folder .*/file/state cannot be written: Not a directory"):
        Store(tmp_path / "file" / "state")


def test_on_a_full_disk_nothing_is_accepted_and_what_was_stays(opened: Open) -> None:
    store = opened()
    store.accept(key(), {})
    store._database.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StoreError, match=r"cannot be written: database or disk is full"):
        store.accept(key(revision="big"), {"padding": "x" * 100_000})
    assert store.find(key(revision="big")) is None
    known = store.runs()
    assert opened().runs() == known


def test_what_cannot_be_written_leaves_the_store_usable(opened: Open) -> None:
    store = opened()
    with pytest.raises(UnicodeEncodeError):
        store.set_gate(gate(reason="\ud800"))
    assert store.gate("gate", "shop", "checkout") is None
    assert store.set_gate(gate()).open


def test_what_is_forgotten_is_over_and_gone(opened: Open) -> None:
    store = opened()
    over, live = (store.accept(key(revision=revision), {})[0] for revision in "ab")
    store.settle(over.id, RunState.PASSED, "")
    store.forget([over.id, live.id])
    assert [run.id for run in opened().runs()] == [live.id]
