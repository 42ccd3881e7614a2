"""Runs, verdicts and gates, durable: what a call has returned survives a SIGKILL and a power cut.

STATE/                      one endpoint at a time: it holds a lock on the file `lock`
    state.sqlite            WAL, synchronous=FULL; all reads are from memory, which follows each commit
    runs/ID/                a run's own folder: see keeper.py

Not here: what starts runs (jobs.py), when a gate expires (gates.py). The folder must be on a local disk: SQLite's WAL
needs shared memory.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from meshtest.errors import MeshtestError, UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.webhook.runs import RunKey, RunState, StoredRun

if TYPE_CHECKING:
    import sqlite3

LOG = logging.getLogger("meshtest.webhook")
SCHEMA = 1
APPLICATION = 0x6D657368
"""`PRAGMA application_id`, so that another program's database is not taken for ours."""
AUDITED = 10_000
"""Changes of gates that are kept."""

TABLES = """
CREATE TABLE runs (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    namespace TEXT NOT NULL, canary TEXT NOT NULL, revision TEXT NOT NULL, suite TEXT NOT NULL,
    parameters TEXT NOT NULL, phase TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    accepted REAL NOT NULL, began REAL NOT NULL, ended REAL NOT NULL, folder TEXT NOT NULL,
    attempt INTEGER NOT NULL, cancelling TEXT NOT NULL, current INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_current_run_a_key ON runs (namespace, canary, revision, suite) WHERE current;
CREATE TABLE gates (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, open INTEGER NOT NULL, checksum TEXT NOT NULL,
    who TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (kind, namespace, name)
) STRICT;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
    open INTEGER NOT NULL, checksum TEXT NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL
) STRICT;
"""


class StoreError(MeshtestError):
    """The state cannot be written: a full disk, mostly. Nothing was accepted; ask again later."""


class QueueFull(MeshtestError):
    """So many runs wait already that no other is accepted."""


class ParametersDiffer(MeshtestError):
    """A run of the key was accepted with other parameters: its verdict would answer another question."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """As somebody left it. That it has never been touched is no Gate but None."""

    kind: str
    """`gate` or `rollback`; they know nothing of each other."""
    namespace: str
    name: str
    open: bool
    checksum: str = ""
    """Of the revision it is bound to; "": of none yet."""
    who: str = ""
    """Who opened or closed it, as far as the endpoint knows."""
    reason: str = ""
    at: float = 0.0
    """Seconds since the epoch; set by the store."""


class Store:
    """Thread-safe. One writes at a time; reads never wait for the disk."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.time) -> None:
        self.folder = Path(folder)
        self._now = now
        self._lock = threading.RLock()
        self.trouble = ""
        """Why nothing can be written just now; "" if all is well."""
        self._holding = _only_one(self.folder)
        try:
            self._database = _opened(self.folder / "state.sqlite")
            self._load()
        except BaseException:
            self._holding.close()
            raise

    def _load(self) -> None:
        runs = map(_run, self._database.execute("SELECT * FROM runs ORDER BY number"))
        self._runs = {run.id: run for run in runs}
        self._current = {run.key: run.id for run in self._runs.values() if run.current}
        gates = map(_gate, self._database.execute("SELECT * FROM gates"))
        self._gates = {(gate.kind, gate.namespace, gate.name): gate for gate in gates}

    def close(self) -> None:
        with self._lock:
            self._database.close()
            self._holding.close()

    # ---- gates

    def gate(self, kind: str, namespace: str, name: str) -> Gate | None:
        return self._gates.get((kind, namespace, name))

    def gates(self) -> list[Gate]:
        return list(self._gates.values())

    def set_gate(self, gate: Gate) -> Gate:
        """As stored, with its time. Durable when it returns, and in the audit."""
        gate = replace(gate, at=self._now())
        row = _gate_row(gate)
        with self._writing() as database:
            database.execute(f"REPLACE INTO gates VALUES ({_marks(row)})", row)
            database.execute(f"INSERT INTO audit VALUES (NULL, {_marks(row)})", row)
            database.execute("DELETE FROM audit WHERE number <= (SELECT max(number) FROM audit) - ?", [AUDITED])
        self._gates[gate.kind, gate.namespace, gate.name] = gate
        return gate

    def audit(self, limit: int = 100) -> list[Gate]:
        """What was done to gates, the latest first."""
        with self._lock:
            return [_gate(row[1:]) for row in self._database.execute(_LATEST, [limit])]

    # ---- runs

    def get(self, id: str) -> StoredRun | None:
        return self._runs.get(id)

    def __getitem__(self, id: str) -> StoredRun:
        return self._runs[id]

    def find(self, key: RunKey) -> StoredRun | None:
        """The run that calls with this key join."""
        return self._runs.get(self._current.get(key, ""))

    def runs(self) -> list[StoredRun]:
        """All that are kept, the oldest first."""
        return list(self._runs.values())  # one step of the interpreter: whoever reads never waits for who writes

    def accept(
        self, key: RunKey, parameters: Mapping[str, str], *, phase: str = "", queue: int = 100
    ) -> tuple[StoredRun, bool]:
        """The run of that key, and whether it is new. A cancelled one is no answer: another takes its place.

        QueueFull at `queue` waiting runs; ParametersDiffer.
        """
        with self._lock:
            known = self.find(key)
            if known and known.state is not RunState.CANCELLED and not known.cancelling:
                if dict(known.parameters) != dict(parameters):
                    raise ParametersDiffer(_differs(known))
                return known, False
            if known and not known.state.is_over:
                return known, False  # it is ending; what asks again then gets a new one
            if self._waiting() >= queue:
                raise QueueFull(f"{queue} runs wait already; none is accepted until one has begun")
            return self._insert(key, parameters, phase, known), True

    def again(self, id: str) -> StoredRun:
        """A new run in place of one that is over. UsageError if it is not, or is not the latest of its key."""
        with self._lock:
            known = self._runs.get(id)
            if known is None:
                raise UsageError(f"no run {id!r}")
            if not known.state.is_over:
                raise UsageError(f"run {id} is {known.state}; only one that is over can be run again")
            if self.find(known.key) not in (None, known):
                raise UsageError(f"run {id} has been run again already, as {self._current[known.key]}")
            return self._insert(known.key, known.parameters, known.phase, known)

    def begin(self, id: str) -> bool:
        """It runs from now on. False: it has been cancelled meanwhile."""
        with self._lock:
            if self._runs[id].state is not RunState.QUEUED:
                return False
            self._update(replace(self._runs[id], state=RunState.RUNNING, began=self._now()))
            return True

    def requeue(self, id: str) -> None:
        """It has not begun after all."""
        with self._lock:
            self._update(replace(self._runs[id], state=RunState.QUEUED, began=0.0))

    def settle(self, id: str, state: RunState, reason: str) -> StoredRun:
        """Its end. What was to be cancelled is CANCELLED, whatever it came to; what is over stays as it is."""
        with self._lock:
            run = self._runs[id]
            if run.state.is_over:
                return run
            if run.cancelling:
                state, reason = RunState.CANCELLED, run.cancelling
            return self._update(replace(run, state=state, reason=reason, ended=self._now()))

    def cancel(self, id: str, reason: str) -> StoredRun:
        """One that waits is CANCELLED at once; one that runs, when it has ended."""
        with self._lock:
            run = self._runs[id]
            if run.state is RunState.QUEUED:
                return self.settle(id, RunState.CANCELLED, reason)
            if run.state is RunState.RUNNING and not run.cancelling:
                return self._update(replace(run, cancelling=reason))
            return run

    def retire(self, id: str) -> StoredRun:
        """Calls with its key no longer join it: the next one begins anew."""
        with self._lock:
            return self._update(replace(self._runs[id], current=False))

    def forget(self, ids: Iterable[str]) -> None:
        """Runs that are over leave the store."""
        with self._lock:
            gone = [run for run in map(self._runs.__getitem__, ids) if run.state.is_over]
            if not gone:
                return
            with self._writing() as database:
                database.executemany("DELETE FROM runs WHERE id = ?", [[run.id] for run in gone])
            for run in gone:
                del self._runs[run.id]
                if self._current.get(run.key) == run.id:
                    del self._current[run.key]

    def _waiting(self) -> int:
        return sum(run.state is RunState.QUEUED for run in self._runs.values())

    def _insert(self, key: RunKey, parameters: Mapping[str, str], phase: str, before: StoredRun | None) -> StoredRun:
        number = max((run.number for run in self._runs.values()), default=0) + 1
        id = f"{number:06d}-{secrets.token_hex(4)}"
        run = StoredRun(
            id=id, key=key, parameters=dict(parameters), phase=phase, accepted=self._now(), folder=f"runs/{id}",
            number=number, attempt=before.attempt + 1 if before else 1,
        )  # fmt: skip
        row = _run_row(run)
        with self._writing() as database:
            if before:
                database.execute("UPDATE runs SET current = 0 WHERE id = ?", [before.id])
            database.execute(f"INSERT INTO runs VALUES ({_marks(row)})", row)
        if before:
            self._runs[before.id] = replace(before, current=False)
        self._runs[run.id] = run
        self._current[run.key] = run.id
        return run

    def _update(self, run: StoredRun) -> StoredRun:
        values = (str(run.state), run.reason, run.began, run.ended, run.cancelling, int(run.current), run.id)
        with self._writing() as database:
            database.execute(_UPDATE, values)
        self._runs[run.id] = run
        if not run.current and self._current.get(run.key) == run.id:
            del self._current[run.key]
        return run

    def can_write(self) -> bool:
        """Tries it: whether trouble is over is not known otherwise, if nobody asks for anything."""
        with contextlib.suppress(StoreError), self._writing() as database:
            database.execute(f"PRAGMA user_version = {SCHEMA}")
        return not self.trouble

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction. StoreError: nothing of it has happened."""
        import sqlite3

        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                yield self._database
                self._database.execute("COMMIT")
            except BaseException as error:
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise StoreError(
                        self._in_trouble(f"the state in {self.folder} cannot be written: {error}")
                    ) from None
                raise
            self._in_trouble("")

    def _in_trouble(self, why: str) -> str:
        """Told once, however often it is tried meanwhile."""
        if why and not self.trouble:
            LOG.error("%s; no run is accepted, and verdicts wait, until it can be", why)
        elif self.trouble and not why:
            LOG.warning("the state in %s can be written again", self.folder)
        self.trouble = why
        return why


_UPDATE = "UPDATE runs SET state = ?, reason = ?, began = ?, ended = ?, cancelling = ?, current = ? WHERE id = ?"
_LATEST = "SELECT * FROM audit ORDER BY number DESC LIMIT ?"


def _only_one(folder: Path) -> IO[str]:
    """A lock that is held until the process ends, however it ends."""
    try:
        (folder / "runs").mkdir(parents=True, exist_ok=True)
        _synced(folder)  # or a power cut could take the folder of the first run, and with it that it has begun
        file = (folder / "lock").open("a+", encoding="ascii", errors="replace")
    except OSError as error:
        raise UsageError(f"the state folder {folder} cannot be written: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        with file:
            who = file.read(20).strip()
        raise UsageError(
            f"another endpoint (process {who or 'unknown'}) has the state folder {folder}: one at a time; stop it, or "
            "give this one a folder of its own"
        ) from None
    with contextlib.suppress(OSError):  # on a full disk nobody is named; the database will say so
        file.truncate(0)
        os.write(file.fileno(), f"{os.getpid()}\n".encode())
    return file


def _synced(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _opened(path: Path) -> sqlite3.Connection:
    """UsageError for a file that is not ours, is of a later version, or cannot be written."""
    import sqlite3

    with contextlib.ExitStack() as open_:
        try:
            database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            open_.callback(database.close)
            database.execute("PRAGMA busy_timeout = 5000")
            _prepare(database, path)
            _examine(database)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            raise UsageError(
                f"the state {path} cannot be used: {error}; free some room, restore it (sqlite3 {path} .recover), or "
                "take another folder"
            ) from None
        open_.pop_all()
        return database


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    (schema,) = database.execute("PRAGMA user_version").fetchone()
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION and tables:
        raise UsageError(f"{path} is another program's database; choose another state folder")
    if schema > SCHEMA:
        raise UsageError(
            f"{path} was written by a later version of meshtest (its schema is {schema}, this one knows {SCHEMA}); "
            "use that version, or another state folder"
        )
    if not tables:
        begin = f"BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA};"
        database.executescript(f"{begin} COMMIT;")
    database.execute(f"PRAGMA user_version = {SCHEMA}")  # says now, not later, that the folder is read-only


def _examine(database: sqlite3.Connection) -> None:
    """A damaged page would be met by the one run that lies on it, weeks later. 4 ms for 1,000 runs."""
    import sqlite3

    (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(f"it is damaged ({' '.join(found.split())})")


def _run_row(run: StoredRun) -> list[Any]:
    return [
        run.number, run.id, *run.key, json.dumps(dict(run.parameters)), run.phase, str(run.state), run.reason,
        run.accepted, run.began, run.ended, run.folder, run.attempt, run.cancelling, int(run.current),
    ]  # fmt: skip


def _run(row: tuple[Any, ...]) -> StoredRun:
    number, id, namespace, canary, revision, suite, parameters, phase, state, reason, *rest = row
    accepted, began, ended, folder, attempt, cancelling, current = rest
    return StoredRun(
        id=id, key=RunKey(namespace, canary, revision, suite), parameters=json.loads(parameters), phase=phase,
        state=RunState(state), reason=reason, accepted=accepted, began=began, ended=ended, folder=folder,
        number=number, attempt=attempt, cancelling=cancelling, current=bool(current),
    )  # fmt: skip


def _gate_row(gate: Gate) -> list[Any]:
    return [gate.kind, gate.namespace, gate.name, int(gate.open), gate.checksum, gate.who, gate.reason, gate.at]


def _gate(row: tuple[Any, ...]) -> Gate:
    kind, namespace, name, open, checksum, who, reason, at = row
    return Gate(
        kind=kind, namespace=namespace, name=name, open=bool(open), checksum=checksum, who=who, reason=reason, at=at
    )


def _marks(row: list[Any]) -> str:
    return ", ".join("?" * len(row))


def _differs(run: StoredRun) -> str:
    given = ", ".join(f"{name}={value}" for name, value in run.parameters.items()) or "none"
    return (
        f"run {run.id} of suite {run.key.suite!r} for this revision was started with other parameters ({given}): "
        "give its hooks the same ones, or make two suites of it"
    )
