"""Sockets as the prober needs them: non-blocking, precise to wait for, honest about why they failed.

`_socket` and not `socket`: the latter costs 13 ms to import. Part of the prober's process.
"""

from __future__ import annotations

import _socket
import errno
import select
import struct
import sys

from meshtest.model.record import NOT_SENT, REFUSED, RESET, TIMEOUT, TLS

LINUX = sys.platform == "linux"
READ, WRITE = 1, 4
"""EPOLLIN and EPOLLOUT, which are also POLLIN and POLLOUT."""

_BIND_ADDRESS_NO_PORT = 24
"""IP_BIND_ADDRESS_NO_PORT: choose the port at connect, for this target only, so each source address has all ports."""
_ESTABLISHED = b"\x01"
_ABORT_ON_CLOSE = struct.pack("ii", 1, 0)
_SOURCES = 200
"""Loopback source addresses to rotate over: 28,000 ports each."""

_FATES = {
    errno.ECONNREFUSED: REFUSED, errno.EHOSTUNREACH: REFUSED, errno.ENETUNREACH: REFUSED, errno.ETIMEDOUT: TIMEOUT,
    errno.EMFILE: NOT_SENT, errno.ENFILE: NOT_SENT, errno.EADDRNOTAVAIL: NOT_SENT, errno.EADDRINUSE: NOT_SENT,
    errno.ENOBUFS: NOT_SENT, errno.ENOMEM: NOT_SENT,
}  # fmt: skip


class WantRead(BlockingIOError):
    """A link cannot send before it has read something (a TLS handshake): to wait until it can be written to would not
    wait."""


class TlsFailed(OSError):
    """The handshake failed, or the peer refused our certificate. `strerror` says why."""

    strerror: str


def fate_of(error: OSError) -> int:
    """What an error of the kernel, or of TLS, says about the request."""
    if isinstance(error, TlsFailed):
        return TLS
    return _FATES.get(error.errno or 0, RESET)


class Peer:
    """Where to connect, and from which addresses."""

    def __init__(self, address: str, port: int) -> None:
        self._family = _socket.AF_INET6 if ":" in address else _socket.AF_INET
        self._peer = (address, port)
        self._rotate = LINUX and address.startswith("127.")
        self._opened = 0

    def connect(self, *, fresh: bool) -> _socket.socket:
        """A socket that is connecting. A fresh one is reset when closed: whoever closes first would keep the port busy
        for a minute (TIME_WAIT), and 28,000 ports are 470 connections a second."""
        sock = _socket.socket(self._family, _socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            if fresh:
                sock.setsockopt(_socket.SOL_SOCKET, _socket.SO_LINGER, _ABORT_ON_CLOSE)
            if fresh and self._rotate:
                self._bind(sock)
            sock.connect(self._peer)
        except BlockingIOError:
            pass
        except OSError:
            sock.close()
            raise
        return sock

    def _bind(self, sock: _socket.socket) -> None:
        self._opened += 1
        sock.setsockopt(_socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        sock.bind((f"127.0.0.{2 + self._opened % _SOURCES}", 0))


def is_open(sock: _socket.socket) -> bool:
    """Neither side has closed it, as far as the kernel knows now: asked right before a connection is used again."""
    return not LINUX or sock.getsockopt(_socket.IPPROTO_TCP, _socket.TCP_INFO, 1) == _ESTABLISHED


_WHOLE = 1.5e-3
"""Seconds from which `epoll.poll`, which counts in whole milliseconds, wakes early enough: half of one is to spare."""
_NAP = 30e-6
"""Seconds; a shorter sleep costs more (40 us of CPU to wake up, and as much lateness) than to look again."""


class EpollPoller:
    """Wait for sockets with a precision of microseconds.

    `epoll.poll` counts in milliseconds, so the wait is `select()` on the epoll descriptor itself: a high-resolution
    timer in the kernel, as exact as a timerfd here, without ctypes (5 ms to import). The slack of timers is set to 1 ns
    (default 50,000) through /proc.
    """

    def __init__(self) -> None:
        self._poll = select.epoll()
        self.register = self._poll.register
        self.modify = self._poll.modify
        self.unregister = self._poll.unregister
        self.rest = self._poll.poll
        """Wait so many seconds (above 0), or up to a millisecond longer: one system call where there is no hurry."""
        self._busy = False
        _sharpen_timers()

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        """(descriptor, events) of what is ready, at once or within `seconds`.

        Whole milliseconds are left to `epoll.poll`: one system call, not two, where answers come before the next
        request is due. Where there was something just now, there probably is again.
        """
        poll = self._poll.poll
        if seconds >= _WHOLE:
            return poll(int(seconds * 1000) / 1000)
        ready = poll(0) if self._busy or seconds <= _NAP else []
        if not ready and seconds > _NAP and select.select((self._poll,), (), (), seconds)[0]:
            ready = poll(0)
        self._busy = bool(ready)
        return ready


class PollPoller:
    """The same where there is no epoll: up to 1 ms late, which is recorded like any other lateness."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self.register = self._poll.register
        self.modify = self._poll.modify
        self.unregister = self._poll.unregister

    def wait(self, seconds: float) -> list[tuple[int, int]]:
        return self._poll.poll(max(seconds, 0.0) * 1000)

    rest = wait


Poller = EpollPoller if LINUX else PollPoller


def _sharpen_timers() -> None:
    try:
        with open("/proc/self/timerslack_ns", "w") as file:
            file.write("1")
    except OSError:
        return  # a hardened /proc: lateness grows by 50 us, and is recorded like any other
