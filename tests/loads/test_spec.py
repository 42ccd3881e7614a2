"""What a person may write, and what is refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meshtest.errors import UsageError
from meshtest.loads import LoadSpec
from meshtest.loads.http1 import request_parts
from meshtest.loads.parse import parse_headers, parse_request
from meshtest.loads.shape import Burst, Hold, Ramp
from meshtest.loads.target import Target, parse_targets
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
        ({"timeout": 400}, "timeout is 400; at most 300 seconds"),
        ({"connections": 0}, "connections is 0"),
        ({"rate": 10, "concurrency": 3}, "one pace; rate and concurrency were given"),
        ({"name": "a/b"}, "load name 'a/b'"),
        ({"lanes": []}, "one or more of keepalive, fresh"),
        ({"lanes": ["quick"]}, "one or more of keepalive, fresh"),
        ({"headers": ["x-user 7"]}, "write `name: value`"),
        ({"headers": {"x user": "7"}}, "not a valid name"),
        ({"headers": {"x": "a\r\nb: c"}}, "no line break"),
        ({"headers": "x: y"}, "give a mapping, or a list"),
        ({"headers": {"X-Meshtest-Id": "1"}}, "is the load's own"),
        ({"users": 3, "headers": {"Cookie": "a=b"}}, "users keep their own cookies"),
        ({"users": 1, "processes": 2}, "users is 1, but there are 2 processes"),
        ({"concurrency": 1, "processes": 2}, "concurrency is 1, but there are 2 processes"),
        ({"processes": 0}, "processes is 0; a whole number from 1"),
        ({"users": 1.5}, "users is 1.5; a whole number"),
        (
            {"body": "@/no/such/file"},
            r"body '@/no/such/file': No such file or directory \(/no/such/file\); `@` names a file",
        ),
        ({"fault_headers": {"x-fault": 1.5}}, "its share is 1.5; above 0, at most 1"),
        ({"fault_headers": {"x fault": 0.5}}, "not a valid name"),
        ({"fault_headers": ["x-fault"]}, "give a mapping of header to share"),
        ({"sampled": 2}, "sampled is 2; it is a share"),
        ({"arrivals": "random"}, "arrivals 'random': `even` or `poisson`"),
        ({"arrivals": "poisson", "concurrency": 2}, "no arrivals of its own"),
        ({"rate": 10, "shape": [Hold(5)]}, "one pace; rate and shape were given"),
        ({"rate": 20_000, "seconds": 3600}, "number 16,777,216 requests at most; use more processes"),
        ({"unreachable": "ignore"}, "`error` or `record`"),
        ({"protocol": "http9"}, "protocol 'http9'"),
    ],
)
def test_a_bad_option_says_what_is_meant(options: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        LoadSpec.of("http://web/", **options)


def test_a_body_is_text_bytes_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"\0\xff")
    bodies = ["text", b"@bytes", f"@{tmp_path / 'body'}"]
    assert [Target("http://web/", body=body).payload for body in bodies] == [b"text", b"@bytes", b"\0\xff"]


@pytest.mark.parametrize(
    ("texts", "weights", "why"), [(["a"], "1,2", "2 for 1 request"), (["a", "b"], "1,x", "numbers, as 9,1")]
)
def test_weights_on_a_command_line_are_one_for_each_request(texts: list[str], weights: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        parse_targets(texts, weights)


def test_a_weight_is_above_zero() -> None:
    with pytest.raises(UsageError, match="weight of 'http://web/' is 0"):
        Target("http://web/", weight=0)


def test_what_a_load_is_can_be_read_in_the_history() -> None:
    targets = [Target("http://web/", weight=3), Target("POST http://web/cart")]
    options: dict[str, Any] = {"fault_headers": {"x-fault": 0.1}, "users": 5, "processes": 2, "arrivals": "poisson"}
    assert LoadSpec.of(targets, shape=[Hold(5, 1), Burst(3)], **options).describe() == {
        "request": "GET http://web/",
        "shape": ["hold 5 for 1 s", "burst 3"],
        "arrivals": "poisson",
        "lanes": ["keepalive", "fresh"],
        "sampled": 0.01,
        "targets": [
            {"request": "GET http://web/", "weight": 3},
            {"request": "POST http://web/cart", "weight": 1.0},
        ],
        "processes": 2,
        "users": 5,
        "fault_headers": {"x-fault: 1": 0.1},
    }


def test_how_long_a_load_may_take() -> None:
    def surely(requests: int, **options: Any) -> float:
        spec = LoadSpec.of("http://web/", **options)
        return spec.due_in(requests, spec.rate)

    assert surely(50, rate=10) == 5
    assert surely(50, concurrency=5, timeout=2) == 20
    assert surely(50, shape=[Ramp(1, 9, 3), Hold(10)]) == 8
    assert surely(50, shape=[Burst(10, every=2)]) == 10
    assert LoadSpec.of("http://web/", shape=[Ramp(1, 9, 3), Hold(10, 4)]).lasts == 7
    assert LoadSpec.of("http://web/", shape=[Hold(10)], seconds=3).lasts == 3


def test_headers_are_a_mapping_or_lines() -> None:
    assert parse_headers({"a": "1"}) == parse_headers(["a: 1"]) == (("a", "1"),)


def test_lanes_have_names() -> None:
    assert LoadSpec.of("http://web/", lanes=["fresh", Lane.KEEPALIVE]).lanes == (Lane.FRESH, Lane.KEEPALIVE)


def test_a_given_host_header_wins() -> None:
    target = Target("http://10.0.0.1/", headers={"Host": "shop.example"})
    before, _ = request_parts(target.order("10.0.0.1", 80, proxy=False))  # type: ignore[arg-type]
    assert before == b"GET / HTTP/1.1\r\nHost: shop.example\r\n"
