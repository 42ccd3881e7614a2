"""A server that does to each request what its script says, and keeps book of it."""

from __future__ import annotations

import itertools
import re
import socket
import struct
from collections.abc import Callable, Iterator, Sequence

from meshtest.model.request import Fate
from tests.loads.listening import Gone, Server

ABORT = struct.pack("ii", 1, 0)
HEAD = b"HTTP/1.1 200 OK\r\nX-Meshtest-Served-By: web/v1/web-1\r\nX-ENVOY-attempt-count: 2\r\n"
CHUNKED = (
    HEAD + b"transfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\nx-trailer: 1\r\n\r\n"
)


_CUTS = itertools.count(1, 7)


def ok(sock: socket.socket) -> None:
    sock.sendall(HEAD + b"content-length: 5\r\n\r\nhello")


def unavailable(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")


def no_content(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


def chunked(sock: socket.socket) -> None:
    sock.sendall(CHUNKED)


def drip(sock: socket.socket) -> None:
    """Every byte in a packet of its own."""
    for byte in CHUNKED:
        sock.sendall(bytes((byte,)))


def interim(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
    ok(sock)


def says_close(sock: socket.socket) -> None:
    sock.sendall(HEAD + b"content-length: 2\r\nConnection: Close\r\n\r\nok")
    raise Gone


def until_eof(sock: socket.socket) -> None:
    sock.sendall(HEAD + b"\r\nno length at all")
    raise Gone


def resets(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    raise Gone


def resets_in_head(sock: socket.socket) -> None:
    sock.sendall(HEAD)
    resets(sock)


def closes(sock: socket.socket) -> None:
    raise Gone


def closes_in_body(sock: socket.socket) -> None:
    sock.sendall(HEAD + b"content-length: 50\r\n\r\nhello")
    raise Gone


def closes_in_chunk(sock: socket.socket) -> None:
    sock.sendall(CHUNKED[:-30])
    raise Gone


def stalls(sock: socket.socket) -> None:
    """Says nothing; the connection ends when the client gives up."""


def stalls_in_body(sock: socket.socket) -> None:
    sock.sendall(HEAD + b"content-length: 50\r\n\r\nhello")


def garbles(sock: socket.socket) -> None:
    sock.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


def resets_in_body(sock: socket.socket) -> None:
    sock.sendall(HEAD + b"content-length: 50\r\n\r\nhello")
    resets(sock)


def split(sock: socket.socket) -> None:
    """In two packets, cut anywhere."""
    cut = next(_CUTS) % (len(CHUNKED) - 1) + 1
    sock.sendall(CHUNKED[:cut])
    sock.sendall(CHUNKED[cut:])


def answers_twice(sock: socket.socket) -> None:
    """What came unasked must not be taken for the answer to the next request."""
    sock.sendall(2 * (HEAD + b"content-length: 5\r\n\r\nhello"))


def half_closes(sock: socket.socket) -> None:
    """Says no more, but would still listen."""
    sock.sendall(HEAD + b"\r\nno length at all")
    sock.shutdown(socket.SHUT_WR)


def half_closes_in_body(sock: socket.socket) -> None:
    sock.sendall(HEAD + b"content-length: 50\r\n\r\nhello")
    sock.shutdown(socket.SHUT_WR)


def garbles_in_answer(sock: socket.socket) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello")


def early_ok(sock: socket.socket) -> None:
    """Answers before it has read the body; reads it then, so that the answer is not reset away."""
    sock.sendall(HEAD + b"content-length: 2\r\nconnection: close\r\n\r\nok")
    sock.shutdown(socket.SHUT_WR)
    while sock.recv(65536):
        pass
    raise Gone


def early_reset(sock: socket.socket) -> None:
    """Ends with the body unread and unanswered, which resets."""
    raise Gone


def garbles_chunks(sock: socket.socket) -> None:
    sock.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\nhello\r\n")


Act = Callable[[socket.socket], None]

FATES: dict[Act, tuple[Fate, int]] = {
    ok: (Fate.ANSWERED, 200),
    unavailable: (Fate.ANSWERED, 503),
    no_content: (Fate.ANSWERED, 204),
    chunked: (Fate.ANSWERED, 200),
    drip: (Fate.ANSWERED, 200),
    interim: (Fate.ANSWERED, 200),
    says_close: (Fate.ANSWERED, 200),
    until_eof: (Fate.ANSWERED, 200),
    resets: (Fate.RESET, 0),
    resets_in_head: (Fate.RESET, 0),
    closes: (Fate.CLOSED, 0),
    closes_in_body: (Fate.CLOSED, 0),
    closes_in_chunk: (Fate.CLOSED, 0),
    stalls: (Fate.TIMEOUT, 0),
    stalls_in_body: (Fate.TIMEOUT, 0),
    garbles: (Fate.GARBLED, 0),
    garbles_chunks: (Fate.GARBLED, 0),
    garbles_in_answer: (Fate.GARBLED, 0),
    resets_in_body: (Fate.RESET, 0),
    split: (Fate.ANSWERED, 200),
    answers_twice: (Fate.ANSWERED, 200),
    half_closes: (Fate.ANSWERED, 200),
    half_closes_in_body: (Fate.CLOSED, 0),
}
"""What the client must say of each."""

EARLY: dict[Act, tuple[Fate, int]] = {
    early_ok: (Fate.ANSWERED, 200),
    early_reset: (Fate.RESET, 0),
}
"""The same of those that act on the head of a request, before its body is there."""


class HostileServer(Server):
    """Request number i gets script[i % len(script)]; `log` has (number, act) in order of arrival.

    `then` is done after each act; `early`: the act comes before the body is read.
    """

    def __init__(self, script: Sequence[Act] = (ok,), *, then: Act | None = None, early: bool = False) -> None:
        super().__init__()
        self.script, self.then, self.early = script, then, early
        self.log: list[tuple[int, Act]] = []
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []

    def serve(self, sock: socket.socket) -> None:
        for head, body in _requests(sock, early=self.early):
            found = re.search(rb"(?i)x-meshtest-id: [\w.-]+?-(\d+)\r\n", head)
            assert found
            index = int(found[1])
            act = self.script[index % len(self.script)]
            self.log.append((index, act))
            self.heads.append(head)
            self.bodies.append(body)
            act(sock)
            if self.then:
                self.then(sock)


def _requests(sock: socket.socket, *, early: bool = False) -> Iterator[tuple[bytes, bytes]]:
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            more = sock.recv(65536)
            if not more:
                return
            data += more
        head, _, data = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        size = int(length[1]) if length else 0
        if early:
            yield head + b"\r\n", b""
        while len(data) < size:
            data += sock.recv(65536)
        if not early:
            yield head + b"\r\n", data[:size]
        data = data[size:]
