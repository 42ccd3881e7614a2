"""WebSocket frames by hand, against wsproto: whatever one says, the other understands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from meshtest.loads.websocket_frames import BINARY, CLOSE, PING, TEXT, FrameReader, close_code, frame
from meshtest.loads.wire import Garbled

SIZES = st.sampled_from([0, 1, 125, 126, 127, 65_535, 65_536, 70_000])


@given(SIZES, st.lists(st.integers(1, 70_000), max_size=3))
def test_what_wsproto_says_is_read_however_it_is_cut(size: int, cuts: list[int]) -> None:
    server = Connection(ConnectionType.SERVER)
    text, raw = "ä" * (size // 2), b"\xff" * size
    said = [TextMessage(text, message_finished=False), Ping(b"!"), TextMessage("b"), BytesMessage(raw)]
    data = b"".join(server.send(event) for event in [*said, CloseConnection(1001, "bye")])
    reader, found, start = FrameReader(), [], 0
    for end in [*sorted(cuts), len(data)]:
        found += reader.read(data[start:end])
        start = max(start, min(end, len(data)))
    *messages, (last, why) = found
    assert messages == [(PING, b"!"), (TEXT, f"{text}b".encode()), (BINARY, raw)]
    assert (last, close_code(why)) == (CLOSE, 1001)


@given(SIZES)
def test_what_we_say_is_read_by_wsproto(size: int) -> None:
    server = Connection(ConnectionType.SERVER)
    server.receive_data(frame(BINARY, bytes(range(256)) * (size // 256) + bytes(size % 256)))
    parts = [event.data for event in server.events() if isinstance(event, BytesMessage)]
    assert b"".join(map(bytes, parts)) == bytes(range(256)) * (size // 256) + bytes(size % 256)


@pytest.mark.parametrize(
    "data",
    [
        b"\xc1\x01a", b"\x81\x81aaaab", b"\x83\x01a", b"\x80\x01a", b"\x01\x01a\x01\x01b", b"\x09\x00",
        b"\x89\x7e\x00\x7e" + bytes(126), b"\x81\x7e\x00\x05hello", b"\x81\x01\xff", b"\x81\x7f\xff" + bytes(7),
    ],
    ids=[
        "extension", "masked", "unknown kind", "rest of none", "inside another", "ping in parts", "long ping",
        "wordy length", "not UTF-8", "endless",
    ],
)  # fmt: skip
def test_what_is_no_websocket_is_garbled(data: bytes) -> None:
    with pytest.raises(Garbled):
        FrameReader().read(data)


@pytest.mark.parametrize("payload", [b"\x03", b"\x00\x01", b"\x03\xed", b"\x03\xee"])
def test_a_close_code_that_nobody_may_send_is_garbled(payload: bytes) -> None:
    with pytest.raises(Garbled):
        close_code(payload)
