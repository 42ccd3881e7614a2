"""One HTTP/1.1 answer, fed as it arrives, split at any byte. Pure: bytes in, "complete" out; no socket, no clock.

Not here: what a failure means (prober.py). The body is counted, not kept. Part of the prober's process: light imports.
"""

from __future__ import annotations

from meshtest.model.record import ATTEMPTS, SERVED_BY

LONGEST_HEAD = 256 * 1024
"""Bytes; four times what Envoy sends at most (60 KiB), so anything longer is no answer."""

_HEAD, _LENGTH, _UNTIL_EOF, _SIZE, _AFTER_CHUNK, _TRAILER = range(6)
_HEX = frozenset(b"0123456789abcdefABCDEF")
_SERVED_BY = f"\r\n{SERVED_BY}:".encode()
_ATTEMPTS = f"\r\n{ATTEMPTS}:".encode()
_LENGTH_FIELD = b"\r\ncontent-length:"
_ENCODING_FIELD = b"\r\ntransfer-encoding:"
_CONNECTION_FIELD = b"\r\nconnection:"
_COOKIE_FIELD = b"\r\nset-cookie:"


class Garbled(Exception):
    """What came is not HTTP/1."""


class Answer:
    """The state of one answer. `keep`: the connection can carry another request."""

    __slots__ = (
        "_head_only", "_left", "_rest", "_state", "attempts", "cookies", "keep", "length", "served_by", "size",
        "status",
    )  # fmt: skip

    def __init__(self, head_only: bool = False) -> None:
        self.status = 0
        self.served_by = b""
        self.attempts = 0
        self.keep = True
        self.cookies: list[bytes] = []
        """Values of Set-Cookie."""
        self.length = 0
        """Bytes of all that belongs to it, if it says so and nothing came before it."""
        self.size = 0
        """Bytes of its body so far."""
        self._head_only = head_only
        self._state = _HEAD
        self._left = 0
        self._rest = b""

    def feed(self, data: bytes) -> bool:
        """True once the answer is complete."""
        if self._state == _HEAD:
            return self._feed_head(data)
        return self._feed_body(data, 0)

    def end(self) -> bool:
        """The peer has closed: True if that completes the answer, False if it cuts it."""
        self.keep = False
        return self._state == _UNTIL_EOF

    def _feed_head(self, data: bytes) -> bool:
        data = self._rest + data if self._rest else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            if not (data.startswith(b"HTTP/1.") or b"HTTP/1.".startswith(data)) or len(data) > LONGEST_HEAD:
                raise Garbled
            self._rest = data
            return False
        self._rest = b""
        self._parse(data[: end + 2])
        if 100 <= self.status < 200 and self.status != 101:  # interim: the answer is yet to come
            self._state, self.length = _HEAD, -1
            return self._feed_head(data[end + 4 :])
        if self._state == _LENGTH and self.length == 0:
            self.length = end + 4 + self._left
        return self._feed_body(data, end + 4)

    def _parse(self, head: bytes) -> None:
        """Status and the few fields that matter; searching is three times as fast as splitting into all fields."""
        status = head[9:12]
        if not head.startswith(b"HTTP/1.") or head[8:9] != b" " or not status.isdigit() or head[12:13] not in b" \r":
            raise Garbled
        self.status = int(status)
        lower = head.lower()
        self.served_by = _field(lower, head, _SERVED_BY)
        attempts = _field(lower, head, _ATTEMPTS)
        self.attempts = min(int(attempts), 255) if attempts.isdigit() else 0
        connection = _field(lower, lower, _CONNECTION_FIELD)
        self.keep = b"close" not in connection if head[7:8] != b"0" else b"keep-alive" in connection
        if _COOKIE_FIELD in lower:
            self.cookies += [_field(lower, head, _COOKIE_FIELD, at) for at in _places(lower, _COOKIE_FIELD)]
        self._frame(lower)

    def _frame(self, lower: bytes) -> None:
        """How the body ends (RFC 9112, 6.3)."""
        length = _field(lower, lower, _LENGTH_FIELD)
        if self._head_only or self.status in (204, 304) or self.status < 200:
            self._state, self._left = _LENGTH, 0
            self.keep = self.keep and self.status != 101
        elif _ENCODING_FIELD in lower:
            chunked = _field(lower, lower, _ENCODING_FIELD).endswith(b"chunked")
            self._state = _SIZE if chunked else _UNTIL_EOF
        elif length or _LENGTH_FIELD in lower:
            if not length.isdigit() or lower.count(_LENGTH_FIELD) > 1:
                raise Garbled
            self._state, self._left = _LENGTH, int(length)
        else:
            self._state = _UNTIL_EOF

    def _feed_body(self, data: bytes, start: int) -> bool:
        if self._state == _LENGTH:
            came = len(data) - start
            self.size += min(came, self._left)
            self._left -= came
            self.keep = self.keep and self._left >= 0
            return self._left <= 0
        if self._state == _UNTIL_EOF:
            self.size += len(data) - start
            return False
        return self._feed_chunks(data[start:])

    def _feed_chunks(self, data: bytes) -> bool:
        data, position = self._rest + data, 0
        self._rest = b""
        while position < len(data):
            if self._left:
                taken = min(self._left, len(data) - position)
                self._left -= taken
                self.size += taken
                position += taken
                continue
            end = data.find(b"\r\n", position)
            if end < 0:
                self._rest = data[position:]
                if len(self._rest) > LONGEST_HEAD:
                    raise Garbled
                return False
            if self._chunk_line(data[position:end]):
                self.keep = self.keep and end + 2 == len(data)
                return True
            position = end + 2
        return False

    def _chunk_line(self, line: bytes) -> bool:
        """A line between the chunks; True for the empty one that ends the answer."""
        if self._state == _TRAILER:
            return not line
        if self._state == _AFTER_CHUNK:
            if line:
                raise Garbled
            self._state = _SIZE
            return False
        size = line.partition(b";")[0].strip()
        if not size or not _HEX.issuperset(size):
            raise Garbled
        self._left = int(size, 16)
        self._state = _AFTER_CHUNK if self._left else _TRAILER
        return False


def _field(lower: bytes, head: bytes, name: bytes, at: int = 0) -> bytes:
    """The value of the first field of that (lower-case) name from there on, b"" if there is none."""
    start = lower.find(name, at)
    if start < 0:
        return b""
    start += len(name)
    return head[start : lower.find(b"\r\n", start)].strip()


def _places(lower: bytes, name: bytes) -> list[int]:
    """Where fields of that name begin."""
    places, at = [], lower.find(name)
    while at >= 0:
        places.append(at)
        at = lower.find(name, at + 1)
    return places
