"""The prober: a process that sends requests when they are due and writes down what became of each one.

    stdin   length (4 bytes), order (marshal); then lines `go NS`, `stop`, `rate N NS`; its end means: the runner died
    stdout  `ready`, then `started NS` with the first request; at the end one line of JSON, the figures
    files   RECORDs and names, see spi/sheet.py

Open loop: request k is intended at origin + its time (pacing.py), whatever happened to those before. A late one is sent
late and recorded as late; one that finds all connections busy opens another; none is ever sent twice. Closed loop (no
pace): a new request whenever one has ended. Several processes share a load by the origin that `go` names: each sends
every N-th request of one grid.

Imports only what costs next to nothing (`json`, `socket`, `dataclasses` cost 10 to 40 ms each): a load must be able to
start in the middle of a test.
"""

from __future__ import annotations

import gc
import os
import sys
from time import monotonic_ns

from meshtest.loads.exchange import Stage, Trouble, exchange_for
from meshtest.loads.pacing import intended
from meshtest.loads.sockets import READ, EpollPoller, Poller, PollPoller
from meshtest.loads.tally import Tally
from meshtest.model.choices import target_of
from meshtest.model.record import KEEPALIVE, NOT_SENT, PART_BITS
from meshtest.spi.sheet import FLUSH_NS, Sheet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypedDict

    from meshtest.loads.exchange import TargetOrder
    from meshtest.loads.pacing import Stage as PaceStage
    from meshtest.loads.stamp import StampOrder

    class Order(TypedDict):
        """What load.py asks one process for. One of `pace` and `concurrency`; None elsewhere means "no limit"."""

        part: int
        parts: int
        targets: list[TargetOrder]
        edges: list[int]
        """See choices.edges."""
        target_salt: int
        stamp: StampOrder
        pace: list[PaceStage] | None
        poisson: int | None
        """The seed of random arrivals."""
        concurrency: int | None
        requests: int | None
        """Of this process."""
        seconds: float | None
        lanes: list[int]
        connections: int
        timeout: float
        must_listen: bool
        records: str
        names: str


FAILED, ORPHANED, GAVE_UP = 3, 4, 5
"""Exit codes: could not write; the runner died; the load makes no sense here."""

_FAR = 1 << 62
_BATCH = 8
"""Due requests sent before answers are looked at: a backlog must not falsify the times of what comes back."""
_WATCH_NS = 500_000_000
"""How often to look whether the parent still lives, for the case that another process holds our stdin open."""
_GRACE_NS = 1_000_000_000
"""After a stop, or its last second, to send what was due before."""
_TRIAL_NS = 2_000_000_000
"""After that much time a load that lags by half of it is more than this machine can send."""
_BUSY, _HOPELESS = 0.8, 0.9
"""Share of its time that a prober uses a CPU when that is what it lacks; and share of the time that it may lag behind
where others use it."""
_CHUNK = 65536
_MOST = 1 << PART_BITS


class Prober:
    """One process of a load. `run` returns when it is over; `tally` then has the figures."""

    def __init__(self, order: Order, sheet: Sheet, poller: EpollPoller | PollPoller) -> None:
        self.tally = Tally()
        self._order, self._sheet, self._poller = order, sheet, poller
        self._lanes, self._edges = order["lanes"], order["edges"]
        stage = Stage(
            sheet,
            self.tally,
            poller,
            order["stamp"],
            timeout=round(order["timeout"] * 1e9),
            connections=order["connections"],
            must_listen=order["must_listen"],
        )
        self._stage = stage
        if order["pace"] is None and len(order["targets"]) == 1 and self._lanes == [KEEPALIVE]:
            stage.turn = self._turn
        self._exchanges = [exchange_for(stage, target, number) for number, target in enumerate(order["targets"])]
        self._first = order["part"] << PART_BITS
        self._next = 0
        """Number of the next request of this process."""
        self._last = min(_MOST if order["requests"] is None else order["requests"], _MOST)
        self._origin = self._end = 0
        self._open = order["pace"] is not None
        self._times: Iterator[int] = iter(())
        self._due = _FAR
        self._before = 0
        """When the request before was due."""
        self._lacks = order["concurrency"] or 0
        """Requests that are to be under way in a closed loop."""
        self._sending = True
        self._give_up = _FAR
        self._parent = os.getppid()
        self._watch_at = 0

    def run(self, origin: int) -> None:
        """Send until told to stop, or done; then wait for what is under way."""
        self._begin(origin)
        stage, wakes = self._stage, self._stage.wakes
        wait, rest = self._poller.wait, self._poller.rest
        self._fill(self._send(monotonic_ns()))
        os.write(1, b"started %d\n" % origin)
        chores = 0
        while self._sending or stage.under_way:
            now = monotonic_ns()
            if self._due <= now:
                now = self._send(now)
            elif stage.under_way < self._lacks:
                now = self._fill(now)
            if chores <= now:
                chores = self._chores(now)
            ready = wait((self._due - now) / 1e9) if self._due < chores else rest((chores - now) / 1e9)
            for fd, events in ready:
                wake = wakes.get(fd)  # it may have been closed by what came before it
                if wake:
                    wake(events)
            if ready and chores > now + FLUSH_NS:
                chores = now + FLUSH_NS
        self.flush()

    def flush(self) -> None:
        """All that is known is on disk."""
        self._sheet.flush()

    def _begin(self, origin: int) -> None:
        self._poller.register(0, READ)
        self._stage.wakes[0] = lambda _: self._obey(os.read(0, _CHUNK))
        seconds = self._order["seconds"]
        self._origin = origin
        if seconds is None:
            self._end = _FAR
        else:
            self._end = origin + round(seconds * 1e9)
            self._give_up = self._end + _GRACE_NS
        if self._open:
            self._pace(origin, self._order["pace"] or [])
            self._advance()
        self.tally.begin()

    def _pace(self, origin: int, stages: list[PaceStage]) -> None:
        """From that moment on."""
        order = self._order
        times = intended(stages, order["part"], order["parts"], order["poisson"])
        self._times = (origin + time for time in times)

    def _advance(self) -> None:
        """To the next request's time."""
        due = next(self._times, None)
        if due is None:
            self._cease()
        else:
            self._due = due

    def _cease(self) -> None:
        """Nothing more is to be sent."""
        self._sending, self._due, self._lacks, self._give_up = False, _FAR, 0, _FAR

    # Sending.

    def _send(self, now: int) -> int:
        """What is due; returns the time."""
        for _ in range(_BATCH):
            if now < self._due or not self._more(self._due):
                break
            self._launch(self._due, now)
            self._before = self._due
            self._advance()
            now = monotonic_ns()
        return now

    def _fill(self, now: int) -> int:
        """What a closed loop lacks; returns the time."""
        while self._stage.under_way < self._lacks and self._more(now):
            self._launch(now, now)
            now = monotonic_ns()
        return now

    def _more(self, intended: int) -> bool:
        if self._next >= self._last or intended >= self._end:
            self._cease()
            if self._next >= _MOST:
                raise Trouble(f"a process of a load numbers at most {_MOST:,} requests; use more processes")
        return self._sending

    def _launch(self, intended: int, now: int) -> None:
        """Begin request number `next`."""
        number = self._next
        self._next = number + 1
        index = self._first | number
        exchange = self._exchanges[self._target(index) if self._edges else 0]
        exchange.begin(index, intended, now, self._lanes[number % len(self._lanes)])

    def _target(self, index: int) -> int:
        return target_of(self._order["target_salt"], index, self._edges)

    def _turn(self) -> int:
        """The index of the request that a closed loop sends at once on the connection that has just answered."""
        number = self._next
        if not self._sending or number >= self._last or (self._end != _FAR and monotonic_ns() >= self._end):
            return -1
        self._next = number + 1
        return self._first | number

    # Time, and the runner.

    def _chores(self, now: int) -> int:
        """What need not be done for every request; returns when there is something to do again."""
        for exchange in self._exchanges:
            exchange.expire(now)
        if now >= self._give_up:
            self._abandon(now)
        elif self._sending and now - self._due > (now - self._origin) / 2 and now - self._origin > _TRIAL_NS:
            self._despair(now)
        if self._sheet.rows:
            self._sheet.flush()
        if now >= self._watch_at:
            self._watch_at = now + _WATCH_NS
            if os.getppid() != self._parent:
                self._orphaned()
        deadlines = (exchange.deadline for exchange in self._exchanges if exchange.deadline)
        return min(self._watch_at, self._give_up, *deadlines)

    def _despair(self, now: int) -> None:
        """Give up a load whose rate is beyond this machine, rather than fill the disk with what was not sent."""
        seconds = (now - self._origin) / 1e9
        if self.tally.busy() < _BUSY and (now - self._due) / 1e9 < _HOPELESS * seconds:
            return  # others keep us from the CPU, and may stop to
        raise Trouble(
            f"the rate is more than this machine can send: in the first {seconds:.1f} s one prober sent "
            f"{self.tally.sent / seconds:,.0f} requests a second and fell behind by {(now - self._due) / 1e9:.1f} s; "
            "lower the rate, or share it between `processes`, each with a CPU of its own"
        )

    def _obey(self, text: bytes) -> None:
        """Commands are short lines, written whole by the runner."""
        if not text:
            self._orphaned()
        for line in text.splitlines():
            word, *values = line.split()
            if word == b"stop":
                self._stop(monotonic_ns())
                return
            if word == b"rate":
                self._change(float(values[0]), int(values[1]))

    def _change(self, rate: float, origin: int) -> None:
        """Another rate from that moment on, at which all processes of the load begin a new grid."""
        if not self._sending:
            return
        old = self._times
        self._pace(origin, [("rate", rate, rate, None)])
        if self._due < origin:
            self._times = _then(old, origin, self._times)
            return
        self._advance()
        while self._due <= self._before:  # the word came late, and the old grid went on for a while
            self._advance()

    def _stop(self, now: int) -> None:
        """Intend no more. What was due before is still sent, late as it is, unless the backlog is hopeless."""
        self._poller.unregister(0)
        self._end = min(self._end, now)
        self._give_up = now + _GRACE_NS
        if not self._open or self._due >= self._end:
            self._cease()

    def _abandon(self, now: int) -> None:
        """The load was more than this machine can send: what was due and has not left is on record as not sent."""
        while self._sending and self._more(self._due):
            number = self._next
            self._next = number + 1
            exchange = self._exchanges[self._target(self._first | number)]
            exchange.lose(self._first | number, self._due, now, self._lanes[number % len(self._lanes)], NOT_SENT)
            self._advance()

    def _orphaned(self) -> None:
        self._sheet.flush()
        os._exit(ORPHANED)


def _then(before: Iterator[int], origin: int, after: Iterator[int]) -> Iterator[int]:
    """The times of one grid up to a moment, then those of another."""
    for time in before:
        if time >= origin:
            break
        yield time
    yield from after


def main() -> None:
    """Read the order, run it, print the figures. Exit code 0, FAILED or GAVE_UP."""
    order = _order()
    _allow_many_files()
    prober = Prober(order, Sheet(order["records"], order["names"]), Poller())
    gc.disable()
    gc.freeze()
    origin = monotonic_ns() if order["parts"] == 1 else _agreed()
    code, error = 0, ""
    try:
        prober.run(origin)
    except OSError as trouble:
        code, error = FAILED, f"{trouble.strerror or trouble}"
    except Trouble as trouble:
        prober.flush()
        code, error = GAVE_UP, str(trouble)
    import json  # now that nothing is measured any more

    sys.stdout.write(json.dumps(prober.tally.figures() | {"error": error}) + "\n")
    sys.stdout.flush()
    os._exit(code)


def _order() -> Order:
    import marshal

    size = int.from_bytes(_exactly(4), "little")
    order: Order = marshal.loads(_exactly(size))
    return order


def _agreed() -> int:
    """Wait for the moment at which all processes of the load begin."""
    os.write(1, b"ready\n")
    line = b""
    while not line.endswith(b"\n"):
        line += _exactly(1)
    word, _, value = line.partition(b" ")
    if word != b"go":
        os._exit(0)  # another process of the load did not come up
    return int(value)


def _exactly(size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = os.read(0, size - len(data))
        if not more:
            os._exit(ORPHANED)
        data += more
    return data


def _allow_many_files() -> None:
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
