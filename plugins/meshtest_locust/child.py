"""The process that runs Locust for one load: `python -m meshtest_locust.child`, started by engine.py only.

    stdin   length (4 bytes) and JSON: the order; then `stop`; its end means that the runner died
    stdout  lines of JSON: tested, waiting, event, began, unwritable, error, end
    files   RECORDs and names (spi/sheet.py), of this process and of each worker

Locust itself runs by its own main(), with a command line made from the order: shapes, events, tags, arguments and the
web UI of a locustfile are what they are without meshtest.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
import locust  # before requests: it replaces the sockets of what is imported after it
import requests
from geventhttpclient.useragent import CompatResponse
from locust.main import main as run_locust

from meshtest.model.record import RECORD
from meshtest_locust import fast_user, http_user, selftest
from meshtest_locust.cluster import UNWRITABLE, Master, Member, Usage, default_host, sheet
from meshtest_locust.journal import Journal
from meshtest_locust.link import Link
from meshtest_locust.voice import Voice, hear, take_stdin, watch

FAILED = 3
"""Exit code: what was wrong has been said."""
_FLUSH = 0.02
"""Seconds; a reader sees a request at most so long after its end."""
_LIMIT_TICK = 0.02


class Child:
    """One load: alone, or the master of its workers."""

    def __init__(self, order: dict[str, Any], voice: Voice, control: int) -> None:
        self._order, self._voice, self._control = order, voice, control
        self.link = Link(Journal(order["load"], order["timeout"], order["sampled"]), *order["entrance"])
        self._environment: Any = None
        self._master: Master | None = None
        self._workers: dict[int, int] = {}
        """Pipes to local workers, by pid."""
        self._stopping = False
        self._usage = Usage()

    def run(self) -> None:
        """Returns when Locust has ended."""
        self._prepare()
        for _ in range(self._order["processes"]):
            if self._fork():
                return
        watch(self._control, self._heard)
        locust.events.init.add_listener(self._on_init)
        sys.argv = ["locust", *self._order["arguments"]]
        try:
            run_locust()
        except SystemExit as exit:
            if self._environment is None:
                self._fail("said", code=exit.code)
            self.link.journal.close()
            self._voice.say(end={"exit_code": exit.code, "cpu": self._cpu(), "unseen": self._unseen()})
        except Exception as error:
            self._fail("raised", text=where(error, self._order["folder"]))

    def _prepare(self) -> None:
        try:
            sent = prepare(self.link)
        except selftest.Dishonest as error:
            self._fail("dishonest", text=str(error))
        else:
            self._voice.say(tested={"requests": sent, "versions": selftest.versions()})

    def _fail(self, kind: str, **data: Any) -> None:
        self._voice.say(error={"kind": kind, **data})
        sys.stderr.flush()
        os._exit(FAILED)  # nothing that Locust registered for its end may run: workers it never had

    def _cpu(self) -> list[float]:
        if not self._master:
            return [self._usage.share]
        return [worker.cpu for worker in self._master.workers.values() if worker.cpu is not None]

    def _unseen(self) -> int:
        workers = self._master.workers.values() if self._master else ()
        return self.link.journal.unseen + sum(worker.unseen for worker in workers)

    # ---- local workers

    def _fork(self) -> bool:
        """A worker; True in it, when it has ended. It waits on its pipe for the port of the master."""
        ours, theirs = os.pipe()
        if pid := gevent.fork():
            os.close(ours)
            self._workers[pid] = theirs
            return False
        for pipe in (theirs, self._control, *self._workers.values()):
            os.close(pipe)  # else this process would keep its siblings alive
        port = int.from_bytes(os.read(ours, 2), "little")
        if port:
            be_worker(self.link, ours, self._order["worker_arguments"], "127.0.0.1", port, self._order["records"])
        return True

    # ---- what Locust calls

    def _on_init(self, environment: Any, runner: Any, **_: Any) -> None:
        self._environment, journal = environment, self.link.journal
        default_host(environment, self.link)
        environment.stop_timeout = self._order["stop_timeout"]
        journal.write_to(sheet(self._order["records"], 0), 0)
        journal.unwritable = self._unwritable
        journal.began = self._began
        gevent.spawn(flush_always, journal)
        environment.events.request.add_listener(counting_unseen(journal))
        if self._order["distributed"]:
            self._gather(runner)
        if self._order["requests"]:
            gevent.spawn(self._limit)
        self._usage = Usage()

    def _gather(self, runner: Any) -> None:
        """Users start when every worker that was asked for has come."""
        master = self._master = Master(runner, self.link, self._order, self._voice, list(self._workers))
        master.began = self._began
        master.deserted = lambda text: self._fail("deserted", text=text)
        port = runner.server.port
        for pipe in self._workers.values():
            os.write(pipe, port.to_bytes(2, "little"))
        if self._order["expect_workers"]:
            self._voice.say(waiting={"port": port, "workers": self._order["expect_workers"]})
        try:
            master.wait_for(self._order["processes"] + self._order["expect_workers"], self._order["workers_within"])
        except TimeoutError as error:
            self._fail("workers", text=str(error), port=port)

    def _began(self) -> None:
        """The first request is being sent."""
        self._voice.say(began=True)
        if self._master:
            self._master.began = lambda: None  # each worker has a first request
        if self._order["seconds"] is not None:
            gevent.spawn_later(self._order["seconds"], self._stop)

    # ---- the end

    def _heard(self, line: bytes) -> None:
        if line == b"stop":
            gevent.spawn(self._stop)

    def _stop(self) -> None:
        """Let the users finish the task they are at, at most for the stop timeout; then Locust's main() ends."""
        if self._stopping:
            return
        self._stopping = True
        environment = self._environment
        if environment is None or environment.runner is None:
            self._voice.say(end={"exit_code": 0, "cpu": []})
            os._exit(0)
        environment.runner.quit()
        if environment.web_ui:
            environment.web_ui.stop()

    def _limit(self) -> None:
        folder, name = Path(self._order["records"]).parent, self._order["load"]
        files = [f"{name}.bin", f"{name}+*.bin"]
        while sum(p.stat().st_size for pattern in files for p in folder.glob(pattern)) < self._bytes:
            gevent.sleep(_LIMIT_TICK)
        self._stop()

    @property
    def _bytes(self) -> int:
        return int(self._order["requests"]) * RECORD.size

    def _unwritable(self, error: OSError) -> None:
        self._voice.say(unwritable=error.strerror or str(error))
        self.link.journal.unwritable = lambda _: None
        gevent.spawn(self._stop)


def prepare(link: Link) -> int:
    """Hooks into Locust's clients, and the proof that they see everything: the number of requests that took."""
    http_user.install(link)
    fast_user.install(link)
    return selftest.run(link)


def be_worker(link: Link, pipe: int | None, arguments: list[str], host: str, port: int, records: str | None) -> None:
    """A worker of Locust, here (it writes its records itself) or elsewhere; returns when it has ended."""
    if pipe is not None:
        watch(pipe, lambda _: None)

    def on_init(environment: Any, runner: Any, **_: Any) -> None:
        link.journal.unwritable = lambda _: os._exit(UNWRITABLE)
        gevent.spawn(flush_always, link.journal)
        environment.events.request.add_listener(counting_unseen(link.journal))
        Member(runner, link, records).join()

    locust.events.init.add_listener(on_init)
    sys.argv = ["locust", *arguments, "--worker", "--master-host", host, "--master-port", str(port)]
    run_locust()


def counting_unseen(journal: Journal) -> Callable[..., None]:
    """A listener for Locust's request event: users that speak no HTTP report requests of which we have no record."""

    def reported(response: Any = None, **_: Any) -> None:
        if not isinstance(response, requests.Response | CompatResponse):
            journal.unseen += 1

    return reported


def flush_always(journal: Journal) -> None:
    while True:
        gevent.sleep(_FLUSH)
        journal.flush_due()


def where(error: Exception, folder: str) -> str:
    """`journeys.py:7: ZeroDivisionError: division by zero`: the last line of the user's own that led to it."""
    told = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(folder) and "site-packages" not in frame.filename]
    frame = (own or frames)[-1]
    return f"{frame.filename}:{frame.lineno}: {told}"


if __name__ == "__main__":
    pipe = take_stdin()
    Child(hear(pipe), Voice(), pipe).run()
