"""The client's side of HTTP/2 against `h2`'s server, in memory: whatever order bytes and windows come in."""

from __future__ import annotations

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from hypothesis import given, settings
from hypothesis import strategies as st

from meshtest.loads.http2_fields import Broken, FieldReader, literal
from meshtest.loads.http2_session import Session, Stream, frame
from meshtest.model.record import ANSWERED, CLOSED, GARBLED, RESET

BLOCK = b"".join(
    literal(name, value)
    for name, value in ((b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"web"), (b":path", b"/"))
)
SIZES = st.sampled_from([0, 1, 16_384, 65_535, 65_536, 200_000])
SETTINGS, GOAWAY = frame(4, 0, 0), 7


class Pair:
    """A session and the server it talks to."""

    def __init__(self) -> None:
        self.client = Session()
        self.server = H2Connection(H2Configuration(client_side=False))
        self.server.initiate_connection()
        self.bodies: dict[int, int] = {}
        self.ended: list[Stream] = []

    def open(self, body: bytes = b"") -> Stream:
        stream = Stream()
        self.client.open(stream, BLOCK, body)
        return stream

    def exchange(self, answer: bytes = b"", cut: int = 1 << 20) -> None:
        """Until neither has anything to say; each request is answered with that body once it is complete."""
        while self.client.out or (data := self.server.data_to_send()):
            out = b"".join(self.client.out)
            self.client.out.clear()
            for event in self.server.receive_data(out):
                self._serve(event, answer)
            data = self.server.data_to_send()
            for start in range(0, len(data), cut):
                self.ended += self.client.feed(data[start : start + cut], 1)

    def _serve(self, event: object, answer: bytes) -> None:
        if isinstance(event, DataReceived):
            assert event.stream_id is not None
            self.bodies[event.stream_id] = self.bodies.get(event.stream_id, 0) + len(event.data or b"")
            self.server.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        elif isinstance(event, RequestReceived):
            assert dict(event.headers or ())[b":path"] == b"/"
        elif isinstance(event, StreamEnded):
            assert event.stream_id is not None
            fields = [(":status", "200"), ("x-meshtest-served-by", "web/v1/a"), ("content-length", str(len(answer)))]
            self.server.send_headers(event.stream_id, fields)
            for start in range(0, len(answer), 16_384):
                self.server.send_data(event.stream_id, answer[start : start + 16_384])
            self.server.end_stream(event.stream_id)


@settings(max_examples=30)
@given(
    st.lists(st.sampled_from([0, 1, 16_384, 65_535, 65_536, 200_000]), min_size=1, max_size=5), st.integers(1, 9_999)
)
def test_bodies_of_any_size_pass_in_frames_cut_anywhere(sizes: list[int], cut: int) -> None:
    pair = Pair()
    streams = [pair.open(bytes(size)) for size in sizes]
    pair.exchange(b"hello", cut)
    assert [pair.bodies.get(stream.number, 0) for stream in streams] == sizes
    assert {(s.fate, s.status, s.size, s.served_by) for s in pair.ended} == {(ANSWERED, 200, 5, b"web/v1/a")}
    assert len(pair.ended) == len(streams)


def test_no_more_streams_than_the_peer_allows() -> None:
    session = Session()
    assert session.has_room
    session.feed(frame(4, 0, 0, b"\0\3\0\0\0\1"))
    session.open(Stream(), BLOCK, b"")
    assert not session.has_room


def test_a_goaway_lets_the_streams_below_it_end() -> None:
    session = Session()
    first, second = Stream(), Stream()
    session.open(first, BLOCK, b"")
    session.open(second, BLOCK, b"")
    told = (1).to_bytes(4, "big") + bytes(4)
    assert session.feed(SETTINGS + frame(GOAWAY, 0, 0, told)) == [second]
    assert second.fate == CLOSED
    assert not session.has_room
    assert session.feed(frame(1, 5, 1, b"\x88")) == [first]
    assert (first.fate, first.status) == (ANSWERED, 200)


def test_a_refused_stream_is_reset_and_the_others_go_on() -> None:
    session = Session()
    first, second = Stream(), Stream()
    session.open(first, BLOCK, b"")
    session.open(second, BLOCK, b"")
    assert session.feed(SETTINGS + frame(3, 0, 1, bytes((0, 0, 0, 7)))) == [first]
    assert first.fate == RESET
    assert list(session.streams) == [second.number]


def test_what_breaks_the_connection_leaves_its_streams_to_its_user() -> None:
    session = Session()
    stream = Stream()
    session.open(stream, BLOCK, b"")
    with pytest.raises(Broken):
        session.feed(b"HTTP/1.1 400 Bad Request\r\n")
    assert session.end(GARBLED) == [stream]


def test_a_block_is_decoded_once_for_as_long_as_the_table_is_the_same() -> None:
    reader = FieldReader()
    first = reader.read(b"\x88")
    assert reader.read(b"\x88") is first
    indexed = reader.read(b"\x88\x40\x14x-meshtest-served-by\x03a/b")
    again = reader.read(b"\x88\xbe")
    assert (indexed.served_by, again.served_by) == (b"a/b", b"a/b")
    assert reader.read(b"\x88") is not first
