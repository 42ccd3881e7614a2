"""Bytes in, requests out."""

from __future__ import annotations

import pytest
from meshtest_envoy.pods.http1 import BODY_KEPT, HEAD_LIMIT, BadRequest, Parser, Request, render

GET = b"GET /a?b=c HTTP/1.1\r\nHost: web\r\nX-Id: 7\r\n\r\n"
CHUNKED = (
    b"POST / HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n4;x=1\r\nmesh\r\n4\r\ntest\r\n0\r\nt: 1\r\n\r\n"
)


def only(data: bytes) -> Request:
    (request,) = Parser().feed(data)
    return request


def test_a_request_is_its_method_target_and_headers_in_lower_case() -> None:
    request = only(GET)
    assert (request.method, request.target, request.close) == ("GET", "/a?b=c", False)
    assert request.headers == {"host": "web", "x-id": "7"}


@pytest.mark.parametrize("data", [GET, CHUNKED, b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc"])
def test_how_the_bytes_are_split_does_not_matter(data: bytes) -> None:
    whole = only(data)
    parser = Parser()
    split = [request for index in range(len(data)) for request in parser.feed(data[index : index + 1])]
    assert [(r.method, r.headers, r.body, r.body_size) for r in split] == [
        (whole.method, whole.headers, whole.body, whole.body_size)
    ]


def test_pipelined_requests_come_out_in_order() -> None:
    assert [r.body for r in Parser().feed(CHUNKED + GET + CHUNKED + GET[:-2])] == [b"meshtest", b"", b"meshtest"]


def test_a_long_body_is_counted_and_its_beginning_kept() -> None:
    request = only(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n" + b"x" * 100_000)
    assert (len(request.body), request.body_size) == (BODY_KEPT, 100_000)


def test_repeated_headers_are_joined_and_cookies_their_own_way() -> None:
    request = only(b"GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\nX: 2\r\ncookie: a=1\r\ncookie: b=2\r\n\r\n")
    assert (request.headers["x"], request.headers["cookie"]) == ("1, 2", "a=1; b=2")


@pytest.mark.parametrize(
    ("head", "close"),
    [
        ("HTTP/1.1\r\nhost: a", False),
        ("HTTP/1.1\r\nhost: a\r\nConnection: Close", True),
        ("HTTP/1.0", True),
        ("HTTP/1.0\r\nconnection: keep-alive", False),
    ],
)
def test_who_closes_the_connection(head: str, close: bool) -> None:
    assert only(f"GET / {head}\r\n\r\n".encode()).close is close


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nhost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\nx: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/1.1\r\nx: " + b"a" * HEAD_LIMIT, 431),
    ],
)
def test_nonsense_is_refused_with_a_status(data: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as refused:
        Parser().feed(data)
    assert refused.value.status == status


def test_what_came_before_nonsense_is_still_answered() -> None:
    parser = Parser()
    with pytest.raises(BadRequest):
        parser.feed(GET + b"nonsense\r\n\r\n")
    assert [request.target for request in parser.done] == ["/a?b=c"]


def test_a_peer_that_waits_for_100_continue_is_seen_until_its_body_comes() -> None:
    parser = Parser()
    head = b"PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    assert (parser.feed(head), parser.wants_continue) == ([], True)
    assert parser.feed(b"ab")[0].body == b"ab"
    assert parser.wants_continue is False


def test_an_answer_without_a_body_says_so() -> None:
    assert render(200, b"{}", close=True, head_only=True).endswith(b"content-length: 2\r\nconnection: close\r\n\r\n")
    assert b"content-length" not in render(204, b"{}", close=False)
