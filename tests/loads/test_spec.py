"""What a person may write, and what is refused with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest.errors import UsageError
from meshtest.loads import LoadSpec
from meshtest.loads.http1 import request_parts
from meshtest.loads.spec import Target, parse_headers, parse_request
from meshtest.model.request import Lane


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("GET http://web:9080/path?x=1#top", ("GET", "http", "web:9080", "/path?x=1")),
        ("http://web", ("GET", "http", "web", "/")),
        ("post http://web:80/a", ("POST", "http", "web", "/a")),
        ("http://[::1]:8080/", ("GET", "http", "[::1]:8080", "/")),
        ("https://web:443/", ("GET", "https", "web", "/")),
        ("grpc://web:9000/pkg.Service/Method", ("POST", "grpc", "web:9000", "/pkg.Service/Method")),
        ("tcp://db:5432", ("GET", "tcp", "db:5432", "/")),
    ],
)
def test_a_request_is_method_and_url(text: str, parsed: tuple[str, str, str, str]) -> None:
    assert parse_request(text) == parsed


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "write `GET http://host:port/path`"),
        ("web:9080", "write `GET http://host:port/path`"),
        ("GET now http://web/", "write `GET http://host:port/path`"),
        ("GET ftp://web/", "scheme 'ftp' is none of http, https"),
        ("tcp://db", "has no usual port"),
        ("http://web:99999/", "[Pp]ort"),
        ("http:///path", "a URL has a host"),
        ("http://me@web/", "no user"),
        ("http://web/ü", "printable ASCII"),
    ],
)
def test_a_bad_request_says_what_is_meant(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_request(text)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"rate": 0}, "rate is 0; it must be above 0"),
        ({"rate": -1.5}, "rate is -1.5"),
        ({"rate": float("nan")}, "rate is nan"),
        ({"requests": 0}, "requests is 0"),
        ({"seconds": -1}, "seconds is -1"),
        ({"timeout": 0}, "timeout is 0"),
        ({"connections": 0}, "connections is 0"),
        ({"rate": 10, "concurrency": 3}, "one pace; rate and concurrency were given"),
        ({"name": "a/b"}, "load name 'a/b'"),
        ({"lanes": []}, "one or more of keepalive, fresh"),
        ({"lanes": ["quick"]}, "one or more of keepalive, fresh"),
        ({"headers": ["x-user 7"]}, "write `name: value`"),
        ({"headers": {"x user": "7"}}, "not a valid name"),
        ({"headers": {"x": "a\r\nb: c"}}, "no line break"),
        ({"headers": "x: y"}, "give a mapping, or a list"),
    ],
)
def test_a_bad_option_says_what_is_meant(options: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        LoadSpec.of("http://web/", **options)


def test_headers_are_a_mapping_or_lines() -> None:
    assert parse_headers({"a": "1"}) == parse_headers(["a: 1"]) == (("a", "1"),)


def test_lanes_have_names() -> None:
    assert LoadSpec.of("http://web/", lanes=["fresh", Lane.KEEPALIVE]).lanes == (Lane.FRESH, Lane.KEEPALIVE)


def test_a_given_host_header_wins() -> None:
    target = Target("http://10.0.0.1/", headers={"Host": "shop.example"})
    before, _ = request_parts(target.order("10.0.0.1", 80, proxy=False))  # type: ignore[arg-type]
    assert before == b"GET / HTTP/1.1\r\nHost: shop.example\r\n"
