"""The client's side of WebSocket frames: bytes in, messages and control frames out. Pure; part of the prober.

By hand and not by `wsproto`, whose import takes longer than the rest of a load's start (it brings h11 and half of the
standard library), and whose messages cost twice the CPU; tests hold the two against each other. Source: RFC 6455, whose
section is named where a rule comes from. No extension is ever offered, so none is understood.
"""

from __future__ import annotations

import os

from meshtest.loads.wire import Garbled

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_CONTINUATION = 0
_FINAL, _MASKED = 0x80, 0x80
_RESERVED = 0x70
_SHORT, _TWO_BYTES, _EIGHT_BYTES = 125, 126, 127
LONGEST = 1 << 26
"""Bytes of a message that a load would wait for."""
NO_STATUS = 1005
"""What a close frame without a code means (7.1.5)."""


def frame(kind: int, payload: bytes) -> bytes:
    """A whole message, or a control frame; masked, as a client's must be (5.3)."""
    size = len(payload)
    head = bytes((_FINAL | kind,))
    if size <= _SHORT:
        head += bytes((_MASKED | size,))
    elif size < 1 << 16:
        head += bytes((_MASKED | _TWO_BYTES,)) + size.to_bytes(2, "big")
    else:
        head += bytes((_MASKED | _EIGHT_BYTES,)) + size.to_bytes(8, "big")
    key = os.urandom(4)
    return head + key + _masked(payload, key)


def _masked(payload: bytes, key: bytes) -> bytes:
    size = len(payload)
    pad = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(pad, "little")).to_bytes(size, "little")


def close_code(payload: bytes) -> int:
    """Of a close frame (5.5.1, 7.4)."""
    if not payload:
        return NO_STATUS
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or code < 1000 or code in (1004, 1005, 1006, 1015):
        raise Garbled(f"a close frame with code {code}")
    return code


class FrameReader:
    """The frames of one connection. `read` gives (kind, payload) of whole messages and of control frames."""

    def __init__(self) -> None:
        self._rest = b""
        self._parts: list[bytes] = []
        self._kind = 0
        """Of the message that has begun; 0 if none has."""
        self.found: list[tuple[int, bytes]] = []

    def read(self, data: bytes) -> list[tuple[int, bytes]]:
        """Raises Garbled; what came before that is in `found` all the same."""
        self.found = []
        self._rest += data
        while self._step():
            pass
        return self.found

    def _step(self) -> bool:
        """One frame; False if it has not come whole."""
        data = self._rest
        if len(data) < 2:
            return False
        first, size, start = data[0], data[1], 2
        if first & _RESERVED or size & _MASKED:
            raise Garbled("a frame with an extension that was not asked for, or masked by the server")
        if size > _SHORT:
            start += 2 if size == _TWO_BYTES else 8
            if len(data) < start:
                return False
            size = int.from_bytes(data[2:start], "big")
            if size <= _SHORT or size > LONGEST:
                raise Garbled(f"a frame of {size} bytes")
        if len(data) < start + size:
            return False
        self._rest = data[start + size :]
        self._take(first & 0x0F, bool(first & _FINAL), data[start : start + size])
        return True

    def _take(self, kind: int, final: bool, payload: bytes) -> None:
        if kind in (CLOSE, PING, PONG):
            if not final or len(payload) > _SHORT:
                raise Garbled("a control frame in parts, or too long (5.5)")
            self.found.append((kind, payload))
            return
        begins = kind in (TEXT, BINARY)
        if not begins and kind != _CONTINUATION:
            raise Garbled(f"a frame of unknown kind {kind}")
        if begins == bool(self._kind):
            raise Garbled("a message inside another, or the rest of none (5.4)")
        self._kind = kind if begins else self._kind
        self._parts.append(payload)
        if final:
            self._end()

    def _end(self) -> None:
        whole, kind = b"".join(self._parts), self._kind
        self._parts.clear()
        self._kind = 0
        if kind == TEXT:
            try:
                whole.decode()
            except UnicodeDecodeError:
                raise Garbled("a text that is no UTF-8 (8.1)") from None
        self.found.append((kind, whole))
