"""The header blocks of HTTP/2: ours written as plain literals, the peer's read by `hpack`. Pure; part of the prober.

Ours never touch the dynamic table, so a request is a constant and its number, and costs nothing to encode. The peer's
are nearly all alike: a block is decoded once for as long as the table stays as it is.
"""

from __future__ import annotations

from meshtest.loads.light_hpack import Decoder, HPACKError
from meshtest.loads.wire import Garbled
from meshtest.model.record import ATTEMPTS, SERVED_BY

_MOST_KNOWN = 256
_LITERAL = b"\0"
"""Literal field without indexing, new name (RFC 7541, 6.2.2)."""
_SERVED_BY, _ATTEMPTS = SERVED_BY.encode(), ATTEMPTS.encode()
_CONNECTION_FIELDS = frozenset((b"connection", b"transfer-encoding", b"keep-alive", b"proxy-connection", b"upgrade"))


def literal(name: bytes, value: bytes) -> bytes:
    """One field, not compressed."""
    return _LITERAL + _length(name) + name + _length(value) + value


def _length(text: bytes) -> bytes:
    """An integer with a prefix of 7 bits, the eighth (Huffman) not set (RFC 7541, 5.1)."""
    size = len(text)
    if size < 127:
        return bytes((size,))
    size -= 127
    out = bytearray((127,))
    while size >= 128:
        out.append(size & 127 | 128)
        size >>= 7
    out.append(size)
    return bytes(out)


class Broken(Garbled):
    """No stream of this connection can be understood any more."""


class Fields:
    """What matters of one block. `status` is 0 in trailers."""

    __slots__ = ("attempts", "cookies", "grpc", "grpc_status", "length", "served_by", "status")

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        told = dict(pairs)
        _check(pairs)
        status = told.get(b":status", b"0")
        if not status.isdigit() or len(status) not in (1, 3):
            raise Garbled("an answer needs a :status of three digits")
        self.status = int(status)
        self.served_by = told.get(_SERVED_BY, b"")
        attempts = told.get(_ATTEMPTS, b"")
        self.attempts = min(int(attempts), 255) if attempts.isdigit() else 0
        self.cookies = tuple(value for name, value in pairs if name == b"set-cookie")
        self.grpc = told.get(b"content-type", b"").startswith(b"application/grpc")
        code = told.get(b"grpc-status", b"")
        self.grpc_status = int(code) if code.isdigit() and len(code) < 3 else None
        length = told.get(b"content-length", b"")
        if length and not length.isdigit():
            raise Garbled("content-length is no number")
        self.length = int(length) if length else None


def _check(pairs: list[tuple[bytes, bytes]]) -> None:
    """RFC 9113, 8.2 and 8.3: what makes a field section malformed."""
    regular = False
    for name, _ in pairs:
        if name[:1] == b":":
            if regular or name != b":status":
                raise Garbled("a pseudo-header that no answer has, or after other fields")
        elif name != name.lower() or name in _CONNECTION_FIELDS or not name:
            raise Garbled("a field that HTTP/2 does not know")
        else:
            regular = True


class FieldReader:
    """All blocks of one connection, in order."""

    def __init__(self) -> None:
        self._decoder = Decoder()
        self._entries = self._decoder.header_table.dynamic_entries
        self._known: dict[bytes, Fields] = {}

    def read(self, block: bytes) -> Fields:
        """Garbled if the section is malformed; Broken if it cannot be decoded, and so none that follows."""
        known = self._known.get(block)
        if known is not None:
            return known
        newest = self._newest()
        try:
            pairs = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except HPACKError as error:
            raise Broken(f"header block: {error}") from None
        resized = block[:1] and 0x20 <= block[0] < 0x40
        if resized or self._newest() is not newest or len(self._known) > _MOST_KNOWN:
            self._known.clear()
        fields = Fields(pairs)
        if not resized and self._newest() is newest:
            self._known[block] = fields
        return fields

    def _newest(self) -> object:
        return self._entries[0] if self._entries else None
