"""Answers, whole and in pieces."""

from __future__ import annotations

import pytest

from meshtest.loads.wire import LONGEST_HEAD, Answer, Garbled
from tests.loads.hostile import CHUNKED

PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
WHOLE = {
    "length": PLAIN,
    "chunked": CHUNKED,
    "interim": INTERIM + PLAIN,
    "empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\nserver: x\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\ncontent-length: 100\r\n\r\n",
    "no reason": b"HTTP/1.1 503\r\ncontent-length: 1\r\n\r\nx",
    "no chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE.keys())
def test_an_answer_is_complete_with_its_last_byte_however_it_is_split(data: bytes) -> None:
    for cut in range(len(data)):
        answer = Answer()
        assert not (cut and answer.feed(data[:cut]))
        assert answer.feed(data[cut:])
        assert answer.keep
    single = Answer()
    assert [single.feed(bytes((byte,))) for byte in data] == [False] * (len(data) - 1) + [True]


def test_what_matters_is_read() -> None:
    answer = Answer()
    answer.feed(CHUNKED)
    assert (answer.status, answer.served_by, answer.attempts) == (200, b"web/v1/web-1", 2)


@pytest.mark.parametrize(
    ("head", "keep"),
    [
        (b"HTTP/1.1 200 OK\r\n", True),
        (b"HTTP/1.1 200 OK\r\nconnection: keep-alive\r\n", True),
        (b"HTTP/1.1 200 OK\r\nCONNECTION: Close\r\n", False),
        (b"HTTP/1.0 200 OK\r\n", False),
        (b"HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\n", True),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n", False),
    ],
)
def test_whether_the_connection_can_be_used_again(head: bytes, keep: bool) -> None:
    answer = Answer()
    assert answer.feed(head + b"content-length: 0\r\n\r\n")
    assert answer.keep is keep


@pytest.mark.parametrize("data", [PLAIN + b"H", CHUNKED + b"H"])
def test_bytes_after_the_answer_spoil_the_connection_not_the_answer(data: bytes) -> None:
    answer = Answer()
    assert answer.feed(data)
    assert not answer.keep


def test_a_body_without_a_length_lasts_until_the_end() -> None:
    answer = Answer()
    assert not answer.feed(b"HTTP/1.1 200 OK\r\n\r\nbody")
    assert answer.end()
    assert not answer.keep


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\n", PLAIN[:-1], CHUNKED[:-1]])
def test_an_end_before_the_end_is_a_cut(data: bytes) -> None:
    answer = Answer()
    assert not data or not answer.feed(data)
    assert not answer.end()


def test_an_answer_to_head_ends_with_its_head() -> None:
    assert Answer(head_only=True).feed(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n")


@pytest.mark.parametrize(
    "data",
    [
        b"S",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n+1\r\na\r\n",
        b"HTTP/1.1 " + b"x" * LONGEST_HEAD,
    ],
)
def test_what_is_not_http_is_garbled(data: bytes) -> None:
    with pytest.raises(Garbled):
        Answer().feed(data)
