"""The process that stand-ins are forked from. It is kept quiet, so that a pod shares nearly all of its memory.

 supervisor ── order, log, listening sockets ──► zygote ── fork ──► stand-in, a child of the supervisor
            ◄─────────────── pid ───────────────

Reference counts live beside the objects, so whoever runs Python writes to pages, and a page that either side writes to
is shared no longer. A fork of the supervisor, busy with probes, events and the ledger, came to own 3.4 MiB; one of a
process that only waits 3.1 MiB; and 2.8 MiB if that process served some requests itself before, because then what the
interpreter learns of hot code is learned once for all.

Pods that need libraries (libraries.py) come from a second zygote, a sibling of the first one, made for the first such
pod: an import scatters the heap, and would cost every plain pod 0.2 MiB more.

Only Linux can fork on behalf of a parent. Where that fails, or the zygote is gone, fork() says 0: do it yourself.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
from collections.abc import Sequence
from typing import NoReturn

from meshtest_envoy.pods import behaviour, forks, libraries, linux, standin
from meshtest_envoy.pods.order import Order, from_wire
from meshtest_envoy.pods.service import Service

NAME = "meshtest-zygote"
LIMIT = 64 * 1024
"""Bytes of an order; one with longer annotations is not worth a way of its own."""
FILES = 250
"""Files that come along; the kernel passes 253 at most."""
PATIENCE = 3.0
"""Seconds for the pid to arrive; it takes 2 ms, and the first time 20 ms more for the rehearsal."""
SPLIT = b"split"
"""In place of an order: make a second zygote, and send its channel."""
REHEARSED = 8
"""Requests in the rehearsal: CPython 3.11 specialises a function when it is called for the eighth time."""


class Zygote:
    """The supervisor's side. To be made before there is a loop, or anything else that a pod should not inherit."""

    def __init__(self) -> None:
        self._plain: _Line | None = None
        self._loaded: _Line | None = None
        if not linux.CAN_FORK_SIBLINGS:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent = os.getpid()
        with theirs:
            pid = forks.fork(2, [theirs.fileno()], NAME, lambda: _wait(parent, theirs))
        self._plain = _Line(ours, pid)

    def fork(self, order: Order, output: int, listening: Sequence[int]) -> int:
        """The pid of a stand-in, a new child of this process, that writes to `output`; 0 if there is none.

        Waits for it: a loop that ran meanwhile could reap the child before anybody knows whose it is."""
        message = json.dumps(_of_stand_in(order)).encode()
        if len(message) > LIMIT or len(listening) > FILES:
            return 0
        line = self._line(order)
        return line.ask(message, [output, *listening])[0] if line is not None else 0

    def _line(self, order: Order) -> _Line | None:
        """To the zygote for this pod; None if it is gone."""
        if not libraries.needed(order):
            return self._plain
        if self._loaded is None and self._plain is not None:
            pid, files = self._plain.ask(SPLIT, [])
            self._loaded = _Line(socket.socket(fileno=files[0]), pid) if pid and files else None
        return self._loaded


class _Line:
    """The supervisor's end of a channel to a zygote."""

    def __init__(self, channel: socket.socket, pid: int) -> None:
        self._channel: socket.socket | None = channel
        self._pid = pid
        channel.settimeout(PATIENCE)

    def ask(self, message: bytes, files: list[int]) -> tuple[int, list[int]]:
        """The pid of what it made, and files that came along; (0, []) if it is gone, now or before."""
        if self._channel is None:
            return 0, []
        try:
            socket.send_fds(self._channel, [message], files)
            answer, came, _, _ = socket.recv_fds(self._channel, 16, 1)
            return int(answer or 0), came
        except TimeoutError:
            os.kill(self._pid, signal.SIGKILL)  # or it might still do it; as it hangs, the pid is still its own
        except OSError:
            pass
        self._channel.close()
        self._channel = None
        return 0, []


def _of_stand_in(order: Order) -> dict[str, object]:
    """What a stand-in has to know: nothing of what the kubelet does."""
    relevant = {name: text for name, text in order.annotations.items() if name.startswith(behaviour.READ)}
    return order._replace(
        labels={}, annotations=relevant, env={}, readiness=None, liveness=None, startup=None, pre_stop=None
    )._asdict()


def _wait(parent: int, channel: socket.socket) -> int:
    """The life of the zygote: until the supervisor is gone."""
    asyncio.run(_rehearse())
    gc.collect()
    gc.freeze()
    while True:
        message, files, _, _ = socket.recv_fds(channel, LIMIT, 1 + FILES)
        if not message:
            return 0
        if message == SPLIT:
            _split(parent, channel)
            continue
        order = from_wire(json.loads(message))
        if libraries.prepare(order):
            asyncio.run(_rehearse())
            gc.collect()
            gc.freeze()
        pid = linux.fork_sibling()
        if pid == 0:
            _become_stand_in(parent, order, *files)
        channel.send(b"%d" % max(pid, 0))
        for number in files:
            os.close(number)


def _split(parent: int, channel: socket.socket) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        pid = linux.fork_sibling()
        if pid == 0:
            forks.live(parent, 2, [theirs.fileno()], NAME, lambda: _wait(parent, theirs))
        socket.send_fds(channel, [b"%d" % max(pid, 0)], [ours.fileno()])


def _become_stand_in(parent: int, order: Order, output: int, *listening: int) -> NoReturn:
    def body() -> int:
        sockets = [socket.socket(fileno=number) for number in listening]
        for one in sockets:
            one.setblocking(False)
        return standin.run(order, behaviour.read(order.annotations, order.calls), sockets)

    forks.live(parent, output, listening, order.name, body)


async def _rehearse() -> None:
    """Answer some requests, on a connection to itself."""
    service = Service(Order(name=NAME, log=""), behaviour.read({}))
    ours, theirs = socket.socketpair()
    with ours:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(lambda: standin.Entry(service), theirs)
        for _ in range(REHEARSED):
            ours.send(b"GET / HTTP/1.1\r\nhost: rehearsal\r\n\r\n")
            await asyncio.sleep(0)
        transport.close()
