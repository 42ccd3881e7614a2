"""Annotations and chances."""

from __future__ import annotations

import pytest
from meshtest_envoy.pods.behaviour import (
    BadAnnotation,
    Behaviour,
    Delay,
    Wish,
    Work,
    chance,
    delay,
    pick,
    read,
    seconds,
    weights,
    wish,
)


def annotated(**told: str) -> Behaviour:
    return read({f"meshtest.dev/{name.replace('_', '-')}": value for name, value in told.items()})


def test_no_annotation_is_a_service_that_just_answers() -> None:
    assert read({"other/annotation": "x"}) == Behaviour()


def test_every_annotation_of_the_table() -> None:
    assert annotated(
        calls="http://a:1/x, http://b:2\nhttp://c",
        calls_required="false",
        delay="20ms±5ms",
        errors="503:10,500:0.5%",
        ready_after="300ms",
        crash_after="100",
        drain="abrupt",
        propagate="false",
        drop_headers="traceparent, X-B3-TraceId",
        spans="redis GET 5ms; stripe charge 30ms error\ndb SELECT 1.5ms error:10%",
    ) == Behaviour(
        calls=("http://a:1/x", "http://b:2", "http://c"),
        calls_required=False,
        delay=Delay(0.02, 0.005),
        errors=((503, 10.0), (500, 0.5)),
        ready_after=0.3,
        crash_after=100,
        drain="abrupt",
        propagate=False,
        drop_headers=("traceparent", "x-b3-traceid"),
        spans=(Work("redis GET", 0.005), Work("stripe charge", 0.03, 100.0), Work("db SELECT", 0.0015, 10.0)),
    )


def test_a_stand_in_may_tell_no_spans_or_only_its_own() -> None:
    assert annotated().spans is None
    assert annotated(spans="").spans == ()


def test_a_call_has_a_method_and_a_scheme() -> None:
    told = "POST http://a/x, http2://b:2/y\nDELETE http2://c grpc://d:90/p.S/M"
    made = ("POST http://a/x", "http2://b:2/y", "DELETE http2://c", "grpc://d:90/p.S/M")
    assert read({"meshtest.dev/calls": told}).calls == made
    assert read({}, made).calls == made


@pytest.mark.parametrize("told", ["POST", "GET POST http://a", "grpc://a:90", "grpc://a:90/only-one", "ftp://a/", "x"])
def test_what_is_no_call_is_refused(told: str) -> None:
    with pytest.raises(BadAnnotation, match="is not a URL; write http://HOST:PORT/PATH"):
        read({"meshtest.dev/calls": told})
    with pytest.raises(BadAnnotation, match="the method of gRPC is always POST"):
        read({"meshtest.dev/calls": "GET grpc://a:90/p.S/M"})


def test_a_request_can_ask_for_delay_statuses_headers_and_failures_of_its_own() -> None:
    found = wish("/a?delay=1s&codes=500:1,200:9&headers=x:1,y:2,x:3&b=c")
    assert (found.delay, found.codes) == (Delay(1.0), ((500, 1.0), (200, 9.0)))
    assert found.headers == (("x", "1,3"), ("y", "2"))
    assert wish("/a?b=c") == Wish()
    told = wish("/retry?responseCode=500&succeedAfter=2&uuid=u-1")
    assert (told.fail_status, told.fail_first, told.uuid) == (500, 2, "u-1")


@pytest.mark.parametrize("query", ["headers=x", "headers=a%20b:c", "headers=a:b%0d%0ac", "succeedAfter=2", "delay=1"])
def test_a_wish_without_a_meaning_is_refused(query: str) -> None:
    with pytest.raises(BadAnnotation):
        wish(f"/?{query}")


def test_calls_of_the_settings_count_without_an_annotation() -> None:
    assert read({}, ("http://a:1/",)).calls == ("http://a:1/",)
    assert read({"meshtest.dev/calls": ""}, ("http://a:1/",)).calls == ()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("calls", "https://a", "annotation meshtest.dev/calls: 'https://a' is not a URL; write http://HOST:PORT/PATH"),
        ("calls-required", "no", "none of true, false"),
        ("delay", "20", "'20' is not a duration; write 300ms"),
        ("delay", "20ms±x", "'x' is not a duration"),
        ("errors", "often", "'often' is not STATUS:WEIGHT, as in 503:10"),
        ("errors", "503:60,500:41", "adds up to more than 100 percent"),
        ("errors", "99:1", "statuses from 200 to 599"),
        ("crash-after", "-1", "not a number of requests"),
        ("spans", "redis", "'redis' is not NAME DURATION"),
        ("spans", "redis GET 5", "is not NAME DURATION"),
        ("spans", "redis GET 5ms error:1.2.3", "is not NAME DURATION"),
        ("spans", "redis GET 5xs", "'5xs' is not a duration"),
        ("drain", "slow", "'slow' is none of graceful, abrupt, ignore"),
    ],
)
def test_a_value_without_meaning_is_refused_and_says_what_is_allowed(name: str, value: str, says: str) -> None:
    with pytest.raises(BadAnnotation, match=says):
        read({f"meshtest.dev/{name}": value})


@pytest.mark.parametrize(("text", "want"), [("0", 0), ("0ms", 0), ("1.5s", 1.5), ("1m30s", 90), ("250us", 0.00025)])
def test_durations(text: str, want: float) -> None:
    assert seconds(text) == pytest.approx(want)


def test_a_spread_is_even_around_the_middle_and_never_negative() -> None:
    assert [delay("10ms+-20ms").at(x) for x in (0.0, 0.5, 1.0)] == pytest.approx([0.0, 0.01, 0.03])


def test_a_status_is_picked_by_weight() -> None:
    assert [pick(weights("500:1,200:3"), x) for x in (0.0, 0.24, 0.26, 0.99)] == [500, 500, 200, 200]
    assert [pick(((503, 10.0),), x, 100.0) for x in (0.0, 0.09, 0.11, 0.99)] == [503, 503, 200, 200]


def test_chances_repeat_and_are_even() -> None:
    drawn = [chance(7, "errors", "web", f"load-{index}") for index in range(20_000)]
    assert drawn == [chance(7, "errors", "web", f"load-{index}") for index in range(20_000)]
    counts = [sum(tenth <= 10 * x < tenth + 1 for x in drawn) for tenth in range(10)]
    assert all(abs(count - 2000) < 200 for count in counts), counts  # 4.7 standard deviations
    assert 0 <= min(drawn) < max(drawn) < 1


def test_another_seed_request_or_purpose_is_another_chance() -> None:
    assert len({chance(1, "a", "b"), chance(2, "a", "b"), chance(1, "ab"), chance(1, "b", "b")}) == 4


def test_a_status_alone_is_one_percent() -> None:
    assert annotated(errors="503").errors == ((503, 1.0),)
