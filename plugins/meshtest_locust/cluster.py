"""Locust's distribution, as far as records need it: who the workers are, their clocks, their rows, an end in order.

Everything travels in messages of Locust's own channel between master and workers:

    worker                                     master
    PING t0 ──────────────────────────────────► PONG t0, its clock        (workers elsewhere; then once a second)
    HELLO pid, host, error bound of the clock ► ORDER load, entrance      (part k of the load is worker number k - 1)
    BEGAN ────────────────────────────────────►                           with its first request
    ROWS names, records, offset ──────────────► requests/NAME+k.bin       (workers here write it themselves)
    ◄────────────────────────────────────────── STOP                      let the tasks end, send no more
    STOPPED share of a core it used ──────────►                           after its last row

Not here: how Locust divides users among workers, and notices that one is missing (its heartbeat).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gevent
from gevent.event import Event
from locust.exception import RPCError
from locust.runners import STATE_MISSING, STATE_STOPPED, STATE_STOPPING

from meshtest.lib.dataclass import dataclass
from meshtest.model.record import PART_BITS
from meshtest.spi.sheet import Sheet
from meshtest_locust.clock import Offset
from meshtest_locust.journal import Parcel, shifted
from meshtest_locust.link import Link
from meshtest_locust.voice import Voice

HELLO, ORDER, PING, PONG, BEGAN, ROWS, STOP, STOPPED = (
    f"meshtest.{word}" for word in ("hello", "order", "ping", "pong", "began", "rows", "stop", "stopped")
)
UNWRITABLE = 5
"""Exit code of a local worker that could not write (disk full)."""
MOST_WORKERS = (1 << 32 - PART_BITS) - 1
PINGS = 8
_TICK = 0.05
_AGAIN = 0.5
"""Seconds after which a worker says hello again: the master may not have been listening yet."""
_SPARE = 3.0
"""Seconds beyond the stop timeout until a worker is given up at the end."""
_SPARE_FOR_SILENT = 1.0


def part_file(records: str, part: int) -> Path:
    """`NAME.bin` of the process itself, `NAME+1.bin` of its first worker."""
    path = Path(records)
    return path.with_name(f"{path.stem}+{part}.bin") if part else path


def sheet(records: str, part: int) -> Sheet:
    path = part_file(records, part)
    return Sheet(str(path), str(path.with_suffix(".names")))


@dataclass
class Worker:
    """One, as the master knows it."""

    part: int
    pid: int
    host: str
    local: bool
    bound: int = 0
    """ns; how wrong its times can be."""
    state: str = "joined"
    sequence: int = 0
    missing_blocks: int = 0
    cpu: float | None = None
    """Share of a core it used; known when it has stopped."""
    unseen: int = 0
    dead: bool = False
    """Its process has ended; only of a local one is that known."""


class Master:
    """The master's side. `events` of workers are told to the runner as they happen."""

    def __init__(self, runner: Any, link: Link, order: Mapping[str, Any], voice: Voice, pids: list[int]) -> None:
        self._runner, self._link, self._order, self._voice = runner, link, order, voice
        self.workers: dict[str, Worker] = {}
        self.began: Callable[[], None] = lambda: None
        self.deserted: Callable[[str], None] = lambda _: None
        """Called when no worker is left, and none can come."""
        self.stopping = False
        self._pids = pids
        """Of local workers that are alive as far as we know."""
        self._quit = runner.quit
        runner.quit = self.quit
        for kind, listener in (
            (HELLO, self._hello), (PING, self._ping), (ROWS, self._rows), (STOPPED, self._stopped),
            (BEGAN, lambda **_: self.began()),
        ):  # fmt: skip
            runner.register_message(kind, listener)
        gevent.spawn(self._watch)

    # ---- joining

    def wait_for(self, count: int, within: float) -> None:
        """Return when so many workers are ready; TimeoutError says how many are."""
        deadline = time.monotonic() + within
        while not self._complete(count):
            if time.monotonic() >= deadline:
                there = sum(worker.state == "joined" for worker in self.workers.values())
                raise TimeoutError(f"{there} of {count} workers came within {within:g} s")
            gevent.sleep(0.01)

    def _complete(self, count: int) -> bool:
        return len(self._runner.clients.ready) >= count and len(self.workers) >= count

    def _ping(self, msg: Any, **_: Any) -> None:
        self._runner.send_message(PONG, {"asked": msg.data, "now": time.monotonic_ns()}, client_id=msg.node_id)

    def _hello(self, msg: Any, **_: Any) -> None:
        part = self._runner.get_worker_index(msg.node_id) + 1
        if part > MOST_WORKERS:
            self._runner.send_message("quit", client_id=msg.node_id)
            return
        link, order = self._link, self._order
        told = {"load": order["load"], "address": link.address, "port": link.port, "timeout": order["timeout"]}
        told["sampled"] = order["sampled"]
        self._runner.send_message(ORDER, told | {"part": part}, client_id=msg.node_id)
        if msg.node_id not in self.workers:
            worker = Worker(part=part, **msg.data)
            if not worker.local:
                sheet(order["records"], part)
            self.workers[msg.node_id] = worker
            self._tell(worker, "joined")
            self._resume()

    def _resume(self) -> None:
        """Locust stops when its last worker goes missing; for one that comes after that it would do nothing."""
        runner = self._runner
        if runner.state in (STATE_STOPPING, STATE_STOPPED) and not self.stopping and not runner.environment.shape_class:
            gevent.spawn(runner.start, runner.target_user_count, runner.spawn_rate)

    def _tell(self, worker: Worker, what: str, **more: Any) -> None:
        worker.state = what
        data = {"what": what, "part": worker.part, "pid": worker.pid, "host": worker.host, "local": worker.local}
        if not worker.local:
            data["clock_error"] = worker.bound / 1e9
        name = f"{self._order['load']}+{worker.part}"
        self._voice.say(event="load.worker", subject=name, data={"load": self._order["load"], **data, **more})

    # ---- rows

    def _rows(self, msg: Any, **_: Any) -> None:
        worker, data = self.workers.get(msg.node_id), msg.data
        if worker is None:
            return
        worker.missing_blocks += data["sequence"] - worker.sequence
        worker.sequence = data["sequence"] + 1
        worker.bound = max(worker.bound, data["bound"])
        path = part_file(self._order["records"], worker.part)
        try:
            with path.with_suffix(".names").open("ab") as names:
                names.write(b"".join(name + b"\n" for name in data["names"]))
            with path.open("ab") as records:
                records.write(shifted(data["rows"], data["offset"]))
        except OSError as error:
            self._link.journal.unwritable(error)

    # ---- losing

    def _watch(self) -> None:
        while True:
            gevent.sleep(_TICK)
            self._reap()
            for client_id, worker in self.workers.items():
                if worker.dead or self.stopping:
                    continue
                client = self._runner.clients.get(client_id)
                missing = client is None or client.state == STATE_MISSING
                if missing and worker.state in ("joined", "returned"):
                    self._tell(worker, "lost" if client else "left", **self._gaps(worker))
                elif not missing and worker.state in ("lost", "left"):
                    self._tell(worker, "returned")

    def _gaps(self, worker: Worker) -> dict[str, Any]:
        return {"missing_blocks": worker.missing_blocks} if worker.missing_blocks else {}

    def _reap(self) -> None:
        """A local worker's death is known at once; Locust's heartbeat would take 4 seconds."""
        for pid in list(self._pids):
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            self._pids.remove(pid)
            if not self.stopping:
                self._bury(pid, os.waitstatus_to_exitcode(status))

    def _bury(self, pid: int, code: int) -> None:
        for client_id, worker in self.workers.items():
            if worker.local and worker.pid == pid:
                worker.dead = True
                if code == UNWRITABLE:
                    self._link.journal.unwritable(OSError(f"worker {worker.part} could not write its records"))
                self._tell(worker, "lost", exit=code)
                if client := self._runner.clients.get(client_id):
                    client.heartbeat = -1  # so that Locust gives its users to others with its next beat
        if not self._pids and not self._order["expect_workers"]:
            self.deserted(f"all its workers died, the last with exit code {code}")

    # ---- the end

    def quit(self) -> None:
        """In place of Locust's, which gives its workers half a second for their last words."""
        if self.stopping:
            return
        self.stopping = True
        self._runner.send_message(STOP)
        began = time.monotonic()
        while any(self._awaited(worker, time.monotonic() - began) for worker in self.workers.values()):
            gevent.sleep(0.01)
        self._quit()

    def _awaited(self, worker: Worker, seconds: float) -> bool:
        """Its last rows may still come. One whose heartbeat is missing is dead, or only busy."""
        if worker.cpu is not None or worker.dead or (worker.local and worker.pid not in self._pids):
            return False
        silent = worker.state in ("lost", "left")
        return seconds < (_SPARE_FOR_SILENT if silent else self._order["stop_timeout"] + _SPARE)

    def _stopped(self, msg: Any, **_: Any) -> None:
        if worker := self.workers.get(msg.node_id):
            worker.cpu, worker.unseen = msg.data["cpu"], msg.data["unseen"]


class Member:
    """A worker's side. `records` is where a local worker writes; None: the rows go to the master."""

    def __init__(self, runner: Any, link: Link, records: str | None) -> None:
        self._runner, self._link, self._records = runner, link, records
        self._offset = Offset()
        self._ordered = Event()
        self._sequence = 0
        self._stopped = False
        self._usage = Usage()
        link.journal.began = lambda: runner.send_message(BEGAN)
        link.journal.wait = self._ordered.wait
        runner.start_worker = self._when_ordered(runner.start_worker)
        runner.register_message(ORDER, self._order)
        runner.register_message(PONG, self._pong)
        runner.register_message(STOP, self._stop, concurrent=True)
        runner.environment.events.quitting.add_listener(lambda **_: link.journal.close())

    def join(self) -> None:
        """Returns when the master knows us."""
        if self._records is None:
            while len(self._offset) < PINGS:
                self._ping()
                gevent.sleep(0.005)
            gevent.spawn(self._keep_pinging)
        bound = 0 if self._records else self._offset.best(time.monotonic_ns())[1]
        hello = {"pid": os.getpid(), "host": socket.gethostname(), "local": self._records is not None, "bound": bound}
        while not self._ordered.is_set():
            self._runner.send_message(HELLO, hello)
            self._ordered.wait(_AGAIN)

    def _when_ordered(self, start: Callable[..., None]) -> Callable[..., None]:
        """A worker that comes late is told to start users before it knows its number and the entrance."""

        def start_worker(*arguments: Any, **more: Any) -> None:
            self._ordered.wait()
            if self._stopped:  # Locust was about to share out users anew when the load ended
                return
            default_host(self._runner.environment, self._link)
            start(*arguments, **more)

        return start_worker

    def _ping(self) -> None:
        self._runner.send_message(PING, time.monotonic_ns())

    def _pong(self, msg: Any, **_: Any) -> None:
        self._offset.learn(msg.data["asked"], msg.data["now"], time.monotonic_ns())

    def _keep_pinging(self) -> None:
        while True:
            gevent.sleep(1)
            self._ping()

    def _order(self, msg: Any, **_: Any) -> None:
        if self._ordered.is_set():
            return
        part, journal = msg.data["part"], self._link.journal
        if self._records is None:
            journal.load, journal.sampled = msg.data["load"], msg.data["sampled"]
            self._link.address = self._link.address or msg.data["address"]
            self._link.port = self._link.port or msg.data["port"]
            journal.write_to(Parcel(self._send), part)
        else:
            journal.write_to(sheet(self._records, part), part)
        self._ordered.set()

    def _send(self, names: list[bytes], rows: bytes) -> None:
        offset, bound = self._offset.best(time.monotonic_ns())
        block = {"sequence": self._sequence, "names": names, "rows": rows, "offset": offset, "bound": bound}
        self._sequence += 1
        with contextlib.suppress(RPCError):  # the master sees by the numbers that a block is missing, and tells it
            self._runner.send_message(ROWS, block)

    def _stop(self, **_: Any) -> None:
        self._stopped = True
        self._runner.stop()
        self._link.journal.close()
        self._runner.send_message(STOPPED, {"cpu": self._usage.share, "unseen": self._link.journal.unseen})


def default_host(environment: Any, link: Link) -> None:
    """A user class without a host calls the entrance of the mesh by its address."""
    for user_class in environment.user_classes:
        if user_class.host is None:
            user_class.host = link.url


class Usage:
    """How much of a core this process has used since this was made."""

    def __init__(self) -> None:
        self._began, self._spent = time.monotonic(), time.process_time()

    @property
    def share(self) -> float:
        return (time.process_time() - self._spent) / max(time.monotonic() - self._began, 1e-3)
