"""An endpoint's queue that is killed again and again, and what a witness says about it afterwards.

Three logs, each line one `write`, so that a SIGKILL leaves whole ones:

    told     by the queue's program, after the call returned: `accepted ID KEY`, `verdict ID STATE`, `gate NAME open`
    began    by each run's own child, as its first act: `ID KEY`
    (/proc)  by the kernel: what still runs and carries the mark of the trial

Lost: accepted, and not in the store at the end, or without an end; a verdict or gate told, and another one found.
Twice: a run that began twice, or a key with two runs, of which nobody had asked for the second.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from meshtest.webhook.jobs import Jobs, Limits
from meshtest.webhook.runs import RunKey, RunState, StoredRun
from meshtest.webhook.store import Gate, Store
from meshtest.webhook.suites import Suite
from meshtest.webhook.work import Work

SUITE = Suite(name="cheap", path=Path())
CHILD = """
printf '%s %s\\n' "$MESHTEST_RUN" "$KEY" >> "$BEGAN"
setsid sleep 60 &                                       # leaves the group and the session: an orphan if not found
sleep "$SECONDS_LONG"
exit "$CODE"
"""


class Count(NamedTuple):
    """What must be 0, and how much was tried."""

    accepted: int
    ended: int
    interrupted: int
    verdicts: int
    lost: int
    twice: int
    gates: int
    gates_lost: int


def work_in(folder: Path, seconds: float = 0.1) -> Callable[[Suite, StoredRun, Path], Work]:
    """Of a run, a shell that tells of its beginning, leaves a process behind, and passes or fails by its number."""

    def work(suite: Suite, run: StoredRun, _: Path) -> Work:
        key = run.key.revision
        more = {"KEY": key, "CODE": str(int(key) % 2), "SECONDS_LONG": str(seconds), "BEGAN": str(folder / "began")}
        return Work(("/bin/sh", "-c", CHILD), more)

    return work


def serve(folder: Path, concurrent: int, *, last: bool) -> None:
    """Until it is killed: keep runs waiting, touch gates. With `last`, nothing new, and end when all has ended."""
    store = Store(folder / "state")
    jobs = Jobs(
        store, {SUITE.name: SUITE}, folder / "state", Limits(workers=concurrent, queue=2 * concurrent, keep=10**6),
        work=work_in(folder),
    )  # fmt: skip
    jobs.subscribe(lambda run: tell(folder, f"verdict {run.id} {run.state}") if run.state.is_over else None)
    jobs.start()
    tell(folder, "serving")
    for number in _numbers(folder) if not last else ():
        run = jobs.submit(SUITE, RunKey("shop", "checkout", str(number), SUITE.name), {})
        tell(folder, f"accepted {run.id} {number}")
        gate = store.set_gate(
            Gate(kind="gate", namespace="shop", name=f"g{number % 7}", open=True, checksum=str(number))
        )
        tell(folder, f"gate {gate.name} {gate.checksum}")
        _leave_room(jobs, store, concurrent)
    for run in store.runs():
        jobs.wait(run.id, 60)
    jobs.close()
    store.close()


def _numbers(folder: Path) -> Iterator[int]:
    """Each once, over all lives of the program; one that was accepted without being told is asked for again."""
    number = max((int(words[2]) for words in told(folder) if words[0] == "accepted"), default=-1) + 1
    while True:
        yield number
        number += 1


def _leave_room(jobs: Jobs, store: Store, waiting_at_most: int) -> None:
    waiting = [run for run in store.runs() if run.state is RunState.QUEUED]
    if len(waiting) > waiting_at_most:
        jobs.wait(waiting[0].id, 60)


def tell(folder: Path, text: str) -> None:
    file = os.open(folder / "told", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(file, f"{text}\n".encode())
    os.close(file)


def told(folder: Path) -> list[list[str]]:
    path = folder / "told"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def witness(folder: Path) -> Count:
    store = Store(folder / "state")
    try:
        return _count(folder, store)
    finally:
        store.close()


def _count(folder: Path, store: Store) -> Count:
    words = told(folder)
    accepted = {line[1] for line in words if line[0] == "accepted"}
    verdicts = {line[1]: line[2] for line in words if line[0] == "verdict"}
    runs = {run.id: run for run in store.runs()}
    lost = [id for id in accepted if id not in runs or not runs[id].state.is_over]
    lost += [id for id, state in verdicts.items() if id not in runs or runs[id].state != state]
    began = Counter(line.split()[0] for line in (folder / "began").read_text().splitlines())
    lost += [id for id, run in runs.items() if run.state in (RunState.PASSED, RunState.FAILED) and not began[id]]
    twice = [id for id, times in began.items() if times > 1]
    twice += [key for key, times in Counter(run.key for run in runs.values()).items() if times > 1]
    gates = [(line[1], int(line[2])) for line in words if line[0] == "gate"]
    latest = dict(gates)  # a gate that was set, and killed before it was told, is later still
    gates_lost = [name for name, number in latest.items() if int(_checksum(store, name)) < number]
    interrupted = sum(run.state is RunState.INTERRUPTED for run in runs.values())
    return Count(
        len(accepted), len(runs), interrupted, len(verdicts), len(lost), len(twice), len(gates), len(gates_lost)
    )


def _checksum(store: Store, name: str) -> str:
    gate = store.gate("gate", "shop", name)
    return gate.checksum if gate else "-1"


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]), last=sys.argv[3:] == ["last"])
