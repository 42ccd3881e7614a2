"""The queue: joins, order, limits, cancel, rerun, the orderly end and what is found after a disorderly one."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshtest.errors import UsageError
from meshtest.lib.wait import until
from meshtest.webhook.jobs import Draining, Limits, ParametersDiffer, QueueFull
from meshtest.webhook.runs import RunState, StoredRun
from tests.webhook.cheap import PATIENCE, Queue, judged, key

FOREVER = "echo $$ > pid; exec sleep 1000"
AGAIN = judged("smoke", rerun_interrupted=True)


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    made = Queue(tmp_path / "state")
    yield made
    made.close()


def begun(queue: Queue, run: StoredRun) -> Path:
    """Wait until its child runs; its folder."""
    folder = queue.folder / run.folder
    until(lambda: (folder / "pid").exists(), within=PATIENCE, what=lambda: f"{run.id} has not begun")
    return folder


# ---- verdicts


@pytest.mark.parametrize(
    ("line", "state", "reason"),
    [
        ("echo score 97", RunState.PASSED, "score 97"),
        ("echo p99 doubled; exit 1", RunState.FAILED, "p99 doubled"),
        ("echo too few samples; exit 3", RunState.UNKNOWN, "too few samples"),
        ("kill -9 $$", RunState.UNKNOWN, "ended by SIGKILL"),
        ("exit 1", RunState.FAILED, "ended with 1, without a word"),
    ],
)
def test_the_exit_code_is_the_verdict_and_the_last_line_its_reason(
    queue: Queue, line: str, state: RunState, reason: str
) -> None:
    run = queue.run(queue(line))
    assert (run.state, run.reason) == (state, reason)


def test_a_run_over_its_time_proves_nothing_and_leaves_nothing(queue: Queue) -> None:
    jobs = queue("setsid sleep 1000 & exec sleep 1000", judged("smoke", timeout=0.1))
    run = queue.run(jobs)
    assert (run.state, run.reason) == (RunState.UNKNOWN, "not over after 0.1 s, so nothing is proven")


def test_a_suite_that_cannot_be_started_proves_nothing(queue: Queue) -> None:
    jobs = queue(start=False)
    jobs._work = lambda *_: (_ for _ in ()).throw(UsageError("no such program"))
    jobs.start()
    assert queue.run(jobs).reason == "it could not be started: no such program"


def test_the_run_knows_for_whom_it_is(queue: Queue) -> None:
    variables = "$MESHTEST_NAMESPACE $MESHTEST_CANARY $MESHTEST_CHECKSUM $MESHTEST_PHASE $MESHTEST_PARAM_BASE_URL"
    jobs = queue(f'echo "{variables}"')
    run = jobs.submit(judged("smoke"), key(revision="after:abc"), {"base-url": "x;$(id)"}, phase="Waiting")
    assert jobs.wait(run.id, PATIENCE).reason == "shop checkout abc Waiting x;$(id)"


def test_the_endpoint_s_own_secrets_do_not_reach_a_run(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHTEST_WEBHOOK_TOKEN", "hunter2")
    assert queue.run(queue('echo "<$MESHTEST_WEBHOOK_TOKEN>"')).reason == "<>"


# ---- joining


def test_calls_with_one_key_join_one_run_also_when_it_is_over(queue: Queue) -> None:
    jobs = queue("echo x >> ../../times")
    first = queue.run(jobs)
    assert jobs.submit(judged("smoke"), key(), {}) == first == jobs.find(key())
    assert queue.run(jobs, revision="def").id != first.id
    assert (queue.folder / "times").read_text() == "x\nx\n"


def test_many_callers_at_once_start_one_run(queue: Queue) -> None:
    jobs, ids = queue("true"), []
    threads = [
        threading.Thread(target=lambda: ids.append(jobs.submit(judged("smoke"), key(), {}).id)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1


def test_other_parameters_are_another_question_and_get_no_old_answer(queue: Queue) -> None:
    jobs = queue("true", start=False)
    jobs.submit(judged("smoke"), key(), {"path": "/a"})
    with pytest.raises(ParametersDiffer, match=r"started with other parameters \(path=/a\)"):
        jobs.submit(judged("smoke"), key(), {"path": "/b"})


def test_a_retired_verdict_answers_no_more(queue: Queue) -> None:
    jobs = queue("true")
    first = queue.run(jobs)
    jobs.retire("shop", "checkout")
    assert jobs.find(key()) is None
    assert queue.run(jobs).id != first.id


def test_what_is_no_text_is_refused(queue: Queue) -> None:
    with pytest.raises(UsageError, match="must be printable"):
        queue(start=False).submit(judged("smoke"), key(revision="a\0b"), {})


def test_only_suites_of_the_list_run(queue: Queue) -> None:
    with pytest.raises(UsageError, match="no suite 'other'"):
        queue(start=False).submit(judged("other"), key("other"), {})


# ---- the queue


def test_a_full_queue_accepts_none_but_joins_still(queue: Queue) -> None:
    jobs = queue(start=False, limits=Limits(queue=2))
    for revision in "ab":
        jobs.submit(judged("smoke"), key(revision=revision), {})
    with pytest.raises(QueueFull, match="2 runs wait already"):
        jobs.submit(judged("smoke"), key(revision="c"), {})
    assert jobs.submit(judged("smoke"), key(revision="a"), {}).state is RunState.QUEUED
    assert jobs.find(key(revision="c")) is None


def test_runs_begin_in_the_order_of_their_acceptance_whatever_the_clock_does(queue: Queue) -> None:
    clock = iter(range(10_000, 0, -1))
    jobs = queue(
        "echo $MESHTEST_CHECKSUM >> ../../order", start=False, limits=Limits(workers=1), now=lambda: next(clock)
    )
    ids = [jobs.submit(judged("smoke"), key(revision=revision), {}).id for revision in "abc"]
    jobs.start()
    assert {jobs.wait(id, PATIENCE).state for id in ids} == {RunState.PASSED}
    assert (queue.folder / "order").read_text().split() == ["a", "b", "c"]


def test_at_most_so_many_run_at_once(queue: Queue) -> None:
    jobs = queue(FOREVER, limits=Limits(workers=2, grace=0.2))
    runs = [jobs.submit(judged("smoke"), key(revision=revision), {}) for revision in "abc"]
    for run in runs[:2]:
        begun(queue, run)
    assert [jobs.wait(run.id, 0).state for run in runs] == [RunState.RUNNING, RunState.RUNNING, RunState.QUEUED]


def test_who_listens_hears_of_each_state(queue: Queue) -> None:
    jobs, heard = queue(start=False), list[RunState]()
    jobs.subscribe(lambda run: heard.append(run.state))
    jobs.start()
    queue.run(jobs)
    until(lambda: len(heard) == 3, within=PATIENCE, what=lambda: str(heard))
    assert heard == [RunState.QUEUED, RunState.RUNNING, RunState.PASSED]


def test_a_listener_leaves(queue: Queue) -> None:
    jobs, heard = queue(), list[StoredRun]()
    jobs.subscribe(heard.append)()
    queue.run(jobs)
    assert not heard


def test_old_runs_go_with_their_folders_but_not_those_of_the_latest_revision(queue: Queue) -> None:
    jobs = queue(limits=Limits(keep=0))
    old, new = queue.run(jobs, revision="a"), queue.run(jobs, revision="b")
    until(lambda: jobs.get(old.id) is None, within=PATIENCE, what=lambda: "kept")
    until(lambda: not (queue.folder / old.folder).exists(), within=PATIENCE, what=lambda: "kept")
    assert jobs.get(new.id) == new


# ---- cancel and rerun


def test_cancel_ends_what_runs_and_what_waits(queue: Queue) -> None:
    jobs = queue(FOREVER, limits=Limits(workers=1, grace=0.2))
    runs = [jobs.submit(judged("smoke"), key(revision=revision), {}) for revision in "ab"]
    other = jobs.submit(judged("smoke"), key(canary="other"), {})
    begun(queue, runs[0])
    assert len(jobs.cancel("shop", "checkout", None, "rolled back")) == 2
    over = [jobs.wait(run.id, PATIENCE) for run in runs]
    assert {(run.state, run.reason) for run in over} == {(RunState.CANCELLED, "rolled back")}
    begun(queue, other)  # the others are not touched


def test_cancel_of_one_revision_leaves_the_next_alone(queue: Queue) -> None:
    jobs = queue(start=False)
    jobs.submit(judged("smoke"), key(revision="a"), {})
    jobs.submit(judged("smoke"), key(revision="b"), {})
    jobs.cancel("shop", "checkout", "a", "superseded")
    assert [run.state for run in queue.store().runs()] == [RunState.CANCELLED, RunState.QUEUED]


def test_a_run_that_passes_while_it_is_cancelled_has_not_passed(queue: Queue) -> None:
    jobs = queue("trap 'exit 0' TERM; echo > pid; while :; do sleep 0.01; done")
    run = jobs.submit(judged("smoke"), key(), {})
    begun(queue, run)
    jobs.cancel("shop", "checkout", None, "over")
    assert jobs.wait(run.id, PATIENCE).state is RunState.CANCELLED


def test_a_cancelled_run_is_no_answer_the_next_call_begins_anew(queue: Queue) -> None:
    jobs = queue(start=False)
    first = jobs.submit(judged("smoke"), key(), {})
    jobs.cancel("shop", "checkout", None, "rolled back")
    second = jobs.submit(judged("smoke"), key(), {})
    assert (second.state, second.attempt) == (RunState.QUEUED, 2)
    assert second.id != first.id


def test_a_person_runs_it_again_and_the_new_verdict_counts(queue: Queue) -> None:
    jobs = queue("test -e ../../repaired")
    first = queue.run(jobs)
    assert first.state is RunState.FAILED
    (queue.folder / "repaired").touch()
    second = jobs.rerun(first.id)
    assert jobs.wait(second.id, PATIENCE).state is RunState.PASSED
    assert jobs.find(key()) == jobs.get(second.id)
    with pytest.raises(UsageError, match=f"run {first.id} has been run again already, as {second.id}"):
        jobs.rerun(first.id)


def test_what_runs_is_not_run_again(queue: Queue) -> None:
    jobs = queue(start=False)
    run = jobs.submit(judged("smoke"), key(), {})
    with pytest.raises(UsageError, match="is queued; only one that is over can be run again"):
        jobs.rerun(run.id)
    with pytest.raises(UsageError, match="no run 'x'"):
        jobs.rerun("x")


# ---- the end, and the next beginning


def test_a_drain_lets_finish_what_runs_and_leaves_the_rest_for_the_next(queue: Queue) -> None:
    jobs = queue("echo > pid; until test -e ../../go; do sleep 0.01; done", limits=Limits(workers=1))
    runs = [jobs.submit(judged("smoke"), key(revision=revision), {}) for revision in "ab"]
    begun(queue, runs[0])
    assert jobs.drain(0) == 1
    with pytest.raises(Draining):
        jobs.submit(judged("smoke"), key(revision="c"), {})
    assert jobs.submit(judged("smoke"), key(revision="a"), {}).state is RunState.RUNNING
    (queue.folder / "go").touch()
    assert jobs.drain(PATIENCE) == 0
    queue.close()
    jobs = queue()
    assert [jobs.wait(run.id, PATIENCE).state for run in runs] == [RunState.PASSED, RunState.PASSED]


@pytest.mark.parametrize(("suite", "attempts"), [(judged("smoke"), 1), (AGAIN, 3)])
def test_a_run_that_the_end_cuts_is_held_or_repeated_but_not_for_ever(
    queue: Queue, suite: object, attempts: int
) -> None:
    jobs = queue(FOREVER, AGAIN)
    jobs.submit(judged("smoke"), key(), {})
    for _ in range(attempts):
        begun(queue, queue.store().runs()[-1])
        queue.close()
        queue(FOREVER, suite)  # type: ignore[arg-type]
    runs = queue.store().runs()
    assert [run.state for run in runs] == [RunState.INTERRUPTED] * attempts
    assert "a person may run it again" in runs[-1].reason


STATES = [
    (RunState.QUEUED, (), RunState.PASSED),
    (RunState.RUNNING, (), RunState.PASSED),
    (RunState.RUNNING, ("begun",), RunState.INTERRUPTED),
    (RunState.QUEUED, ("begun",), RunState.INTERRUPTED),
    (RunState.RUNNING, ("begun", "exit"), RunState.FAILED),
]


@pytest.mark.parametrize(("state", "files", "then"), STATES)
def test_after_a_crash_the_folder_of_a_run_tells_what_became_of_it(
    queue: Queue, state: RunState, files: tuple[str, ...], then: RunState
) -> None:
    run = queue(start=False).submit(judged("smoke"), key(), {})
    if state is RunState.RUNNING:
        queue.store().begin(run.id)
    folder = queue.folder / run.folder
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).write_text("1 0.5 0 ")
    queue.close()
    assert queue().wait(run.id, PATIENCE).state is then


def test_what_was_to_be_cancelled_is_cancelled_after_a_crash(queue: Queue) -> None:
    run = queue(start=False).submit(judged("smoke"), key(), {})
    queue.store().begin(run.id)
    queue.store().cancel(run.id, "rolled back")
    queue.close()
    assert queue().wait(run.id, 0).state is RunState.CANCELLED


def test_a_suite_that_is_gone_holds_the_run_with_its_reason(queue: Queue) -> None:
    run = queue(start=False).submit(judged("smoke"), key(), {})
    queue.close()
    assert queue("true", judged("other")).wait(run.id, PATIENCE).reason == "there is no suite 'smoke' any more"


def test_a_verdict_waits_for_the_disk(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshtest.webhook.jobs.RETRY", 0.01)
    jobs = queue("echo > pid; until test -e ../../go; do sleep 0.01; done")
    run = jobs.submit(judged("smoke"), key(), {})
    begun(queue, run)
    database = queue.store()._database
    database.execute("PRAGMA query_only = ON")
    (queue.folder / "go").touch()
    until(lambda: bool(queue.store().trouble), within=PATIENCE, what=lambda: "no trouble")
    assert "cannot be written" in queue.store().trouble
    assert jobs.wait(run.id, 0).state is RunState.RUNNING
    database.execute("PRAGMA query_only = OFF")
    assert jobs.wait(run.id, PATIENCE).state is RunState.PASSED
    assert not queue.store().trouble


def test_a_run_that_the_machine_does_not_let_begin_begins_later(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("meshtest.webhook.jobs.RETRY", 0.01)
    jobs = queue("echo begun once", start=False)
    run = jobs.submit(judged("smoke"), key(), {})
    (queue.folder / run.folder / ".exit").mkdir(parents=True)  # no file can be made of it, as on a full disk
    jobs.start()
    until(lambda: "waits: its keeper could not begin" in caplog.text, within=PATIENCE, what=lambda: caplog.text)
    (queue.folder / run.folder / ".exit").rmdir()
    over = jobs.wait(run.id, PATIENCE)
    assert (over.state, over.reason) == (RunState.PASSED, "begun once")
    assert caplog.text.count("waits: ") == 1, "however often it was tried"


def test_a_run_that_cannot_begin_can_be_cancelled(
    queue: Queue, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_process_left(*_: object, **__: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("meshtest.webhook.jobs.RETRY", 0.01)
    monkeypatch.setattr("meshtest.webhook.jobs.Keeper", no_process_left)
    jobs = queue()
    run = jobs.submit(judged("smoke"), key(), {})
    until(lambda: "temporarily unavailable" in caplog.text, within=PATIENCE, what=lambda: caplog.text)
    jobs.cancel_run(run.id, "over")
    assert jobs.wait(run.id, PATIENCE).state is RunState.CANCELLED


def test_the_output_of_a_run_is_kept_within_its_limit(queue: Queue) -> None:
    jobs = queue("seq 1 20000; echo the end", limits=Limits(output=2000))
    run = queue.run(jobs)
    kept = (queue.folder / run.folder / "output.txt").read_bytes()
    assert run.reason == "the end"
    assert kept.startswith(b"1\n2\n3\n")
    assert b" bytes are left out ..." in kept
    assert len(kept) < 2100
    assert os.path.getsize(queue.folder / run.folder / "exit") < 200
