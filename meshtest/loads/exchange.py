"""What the requests of a target have in common, whatever the protocol: a beginning, a deadline, and one fate.

     prober.py ─► Exchange.begin(index, …)      one exchange for each target of the load
                    http1.py │ http2.py │ …      speaks the protocol, on links from sockets.py or tls_link.py
     poller ────► stage.wakes[fd](events)
                    started() … ended()          exactly once each, into the sheet

Light imports (part of the prober's process). Not here: when to send (prober.py).
"""

from __future__ import annotations

import sys
from collections import deque

from meshtest.loads.sockets import EpollPoller, Peer, PollPoller, fate_of
from meshtest.loads.stamp import Stamp
from meshtest.model.record import (
    GRPC,
    GRPC_STREAM,
    HTTP1,
    HTTP2,
    MOST_SIZE,
    NEVER,
    NO_CODE,
    NOT_SENT,
    REFUSED,
    TCP,
    TICK_NS,
    WEBSOCKET,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypedDict

    from meshtest.loads.stamp import Jar, StampOrder
    from meshtest.loads.tally import Tally
    from meshtest.spi.sheet import Sheet

    class TargetOrder(TypedDict):
        """One target as the prober is told it."""

        transport: int
        address: str
        """IP."""
        port: int
        proxy: bool
        """What listens there is a forward proxy."""
        tls: dict[str, Any] | None
        """The fields of ask.TlsAsk; `sni` is filled in, "-" is none."""
        scheme: str
        method: str
        authority: str
        host: str
        """Without the port."""
        path: str
        headers: list[tuple[str, str]]
        body: bytes
        libraries: list[str]
        """Folders in which to find what the transport needs."""


MODULES: dict[int, tuple[str, str]] = {
    HTTP1: ("http1", "Http1"),
    HTTP2: ("http2", "Http2"),
    GRPC: ("grpc", "Grpc"),
    WEBSOCKET: ("websocket", "WebSocket"),
    TCP: ("tcp", "Tcp"),
    GRPC_STREAM: ("grpc_stream", "GrpcStream"),
}
"""Transport: the module of this package that speaks it, and the Exchange in it. Imported when a target asks for it."""


class Trouble(Exception):
    """The load makes no sense; the text says why."""


class Stage:
    """What all exchanges of a prober share."""

    def __init__(
        self,
        sheet: Sheet,
        tally: Tally,
        poller: EpollPoller | PollPoller,
        stamp: StampOrder,
        *,
        timeout: int,
        connections: int,
        must_listen: bool = False,
    ) -> None:
        self.sheet, self.tally, self.poller = sheet, tally, poller
        self.timeout = timeout
        """ns, for each request."""
        self.connections = connections
        """Kept connections of a target to open before any of them is used again."""
        self.must_listen = must_listen
        """If the first thing that becomes of any request is that nobody listens, the load is a mistake."""
        self.wakes: dict[int, Callable[[int], None]] = {}
        """Whom to tell that something can be done with a descriptor, and what (READ | WRITE)."""
        self.turn: Callable[[], int] | None = None
        """In a closed loop that may: the index of the request to send at once in place of one that has ended, -1 for
        none."""
        self.under_way = 0
        """Requests that have begun and not ended, over all targets."""
        self.stamp = stamp
        self.jars: dict[tuple[int, str], Jar] = {}


class Exchange:
    """All requests of one target. Subclasses say how a request begins, and what to do when its time is over."""

    transport = HTTP1

    def __init__(self, stage: Stage, target: TargetOrder, number: int) -> None:
        self.stage, self.target, self.number = stage, target, number
        self.peer = _peer(target)
        traced = any(name.lower() == "traceparent" for name, _ in target["headers"])
        self.stamp = Stamp(stage.stamp, target["host"], target["path"], stage.jars, traced)
        self.timeout, self.connections = stage.timeout, stage.connections
        self._deadlines: deque[tuple[int, int, Any]] = deque()

    def begin(self, index: int, intended: int, now: int, lane: int) -> None:
        """Send now what was intended then."""
        raise NotImplementedError

    def give_up(self, thing: Any, now: int) -> None:
        """A request has taken too long: end it as TIMEOUT."""
        raise NotImplementedError

    # For subclasses.

    def started(self, thing: Any, index: int, intended: int, now: int) -> int:
        """A request begins to leave. `thing` has its `index` as long as it is under way. Returns how late it is."""
        late = (now - intended) // TICK_NS
        self.stage.under_way += 1
        self._deadlines.append((now + self.timeout, index, thing))
        self.stage.tally.count_send(now, late)
        return late

    def ended(
        self,
        now: int,
        served_by: bytes,
        intended: int,
        index: int,
        sent: int,
        first: int,
        status: int,
        fate: int,
        lane: int,
        attempts: int,
        reused: int,
        size: int,
        code: int = NO_CODE,
    ) -> None:
        """The one fate of what was started. `sent` and `first` are ticks after intended."""
        self.stage.under_way -= 1
        self._note(
            now,
            served_by,
            (
                intended, index, sent, first, (now - intended) // TICK_NS, status, fate, lane, attempts, reused,
                min(size, MOST_SIZE), self.number, self.transport, code,
            ),
        )  # fmt: skip

    def lose(self, index: int, intended: int, now: int, lane: int, fate: int) -> None:
        """Instead of started() and ended(): the kernel refused at once (then it was tried), or there is no socket to be
        had, or the connection that was to carry it is gone."""
        late = NEVER if fate == NOT_SENT else (now - intended) // TICK_NS
        if fate != NOT_SENT:
            self.stage.tally.count_send(now, late)
        took = (now - intended) // TICK_NS
        self._note(
            now,
            b"",
            (intended, index, late, NEVER, took, 0, fate, lane, 0, 0, 0, self.number, self.transport, NO_CODE),
        )

    def no_socket(self, index: int, intended: int, now: int, lane: int, error: OSError) -> None:
        """lose(), by what the kernel said to a new connection."""
        fate = fate_of(error)
        if fate == NOT_SENT:
            self.stage.tally.unsent = error.strerror or str(error)
        self.lose(index, intended, now, lane, fate)

    def _note(self, now: int, served_by: bytes, row: tuple[int, ...]) -> None:
        fates = self.stage.tally.fates
        fates[row[6]] += 1
        self.stage.sheet.add(now, served_by, row)
        if row[6] == REFUSED and self.stage.must_listen and sum(fates) == 1:
            where = f"{self.target['address']}:{self.target['port']}"
            raise Trouble(f"nobody listens at {where}; if that is to be measured, give unreachable='record'")

    # Giving up.

    @property
    def deadline(self) -> int:
        """When the oldest request under way is given up (ns); 0 if there is none. One that is over by now may count."""
        return self._deadlines[0][0] if self._deadlines else 0

    def expire(self, now: int) -> None:
        """Give up what has taken too long. All requests have the same timeout, so the first to begin is the first."""
        deadlines = self._deadlines
        while deadlines:
            deadline, index, thing = deadlines[0]
            if thing.index != index:
                deadlines.popleft()
            elif deadline > now:
                return
            else:
                deadlines.popleft()
                self.give_up(thing, now)


def _peer(target: TargetOrder) -> Peer:
    peer: Peer
    if target["tls"] is not None:
        peer = _named("tls_link", "TlsPeer")(target)  # with _ssl: 10 ms that only TLS pays
    elif target["proxy"] and target["transport"] == TCP:
        peer = _named("tunnel", "TunnelPeer")(target)
    else:
        peer = Peer(target["address"], target["port"])
    return peer


def exchange_for(stage: Stage, target: TargetOrder, number: int) -> Exchange:
    """The exchange that speaks the target's protocol."""
    sys.path += [folder for folder in target["libraries"] if folder not in sys.path]
    exchange: Exchange = _named(*MODULES[target["transport"]])(stage, target, number)
    return exchange


def _named(module: str, name: str) -> Any:
    """Without `importlib`, which costs 5 ms."""
    return getattr(__import__(f"meshtest.loads.{module}", fromlist=[name]), name)
