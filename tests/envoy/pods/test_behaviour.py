"""Annotations and chances."""

from __future__ import annotations

from math import inf

import pytest
from meshtest_envoy.pods.behaviour import (
    BadAnnotation,
    Behaviour,
    Delay,
    Errors,
    Leak,
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


def test_a_misspelt_annotation_is_refused_and_others_are_not_ours() -> None:
    with pytest.raises(BadAnnotation, match=r"meshtest.dev/erors means nothing; did you mean meshtest.dev/errors\?"):
        read({"meshtest.dev/erors": "503:10"})
    assert read({"meshtest.dev/command": "app", "meshtest.dev/rps": "50", "example.com/erors": "1"}) == read({})


def test_every_annotation_of_the_table() -> None:
    assert annotated(
        calls="http://a:1/x, http://b:2\nhttp://c",
        calls_required="false",
        calls_times="10",
        calls_retries="3",
        delay="20ms±5ms; 80ms 2%",
        errors="503:100 path=/checkout; 500:50 header=X-Plan:gold; 503:10,500:0.5%",
        capacity="100rps",
        ready_after="300ms",
        crash_after="100",
        leak="256Ki of 16Mi",
        wrong_content="10%",
        lose_headers="content-type, X-A",
        drain="abrupt",
        propagate="false",
        drop_headers="traceparent, X-B3-TraceId",
        spans="redis GET 5ms; stripe charge 30ms error\ndb SELECT 1.5ms error:10%",
    ) == Behaviour(
        calls=("http://a:1/x", "http://b:2", "http://c"),
        calls_required=False,
        calls_times=10,
        calls_retries=3,
        delays=(Delay(0.02, 0.005), Delay(0.08, 0.0, 2.0)),
        errors=(
            Errors(((503, 100.0),), "/checkout"),
            Errors(((500, 50.0),), "", "x-plan", "gold"),
            Errors(((503, 10.0), (500, 0.5))),
        ),
        capacity=100.0,
        ready_after=0.3,
        crash_after=100,
        leak=Leak(256 * 1024, 16 * 1024**2),
        wrong_content=10.0,
        lose_headers=("content-type", "x-a"),
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
        ("errors", "503:10 at=/a", "'at=/a' is none of path=/PATH, header=NAME, header=NAME:VALUE"),
        ("errors", "503:10 path=a", "'path=a' is none of path=/PATH"),
        ("errors", "503:10; 99:1", "statuses from 200 to 599"),
        ("errors", "503:nan", "weights from 0"),
        ("delay", "80ms 200%", "delay: '200%' is not a percentage from 0 to 100"),
        ("delay", "80ms 2", "'80ms 2' is not a duration"),
        ("ready-after", "later", "'later' is not a duration"),
        ("crash-after", "-1", "not a number of requests"),
        ("calls-times", "x", "calls-times: 'x' is not a number of calls"),
        ("calls-retries", "²", "is not a number of calls"),
        ("capacity", "100", "'100' is not a number of requests a second, as 100rps"),
        ("capacity", "0rps", "is not a number of requests a second"),
        ("leak", "256Ki", "'256Ki' is not SIZE of LIMIT, as 256Ki of 16Mi, with a limit up to 256Mi"),
        ("leak", "1Mi of 1024Mi", "with a limit up to 256Mi"),
        ("leak", "2Mi of 1Mi", "is not SIZE of LIMIT"),
        ("wrong-content", "all", "'all' is not a percentage from 0 to 100"),
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
    assert annotated(errors="503").errors == (Errors(((503, 1.0),)),)


def test_errors_of_one_path_are_those_below_it_too_and_no_others() -> None:
    errors = Errors((), path="/checkout")
    fitting = [
        path for path in ("/checkout", "/checkout/2?x", "/checkout?x=/", "/checkouts", "/") if errors.fit(path, {})
    ]
    assert fitting == ["/checkout", "/checkout/2?x", "/checkout?x=/"]
    assert Errors((), path="/").fit("/any", {})
    assert not errors.fit("", {}), "a connection of TCP has no path"


def test_errors_of_one_header_ask_for_its_value_if_one_is_given() -> None:
    one, some = Errors((), header="x-plan", value="gold"), Errors((), header="x-plan")
    sent: list[dict[str, str]] = [{"x-plan": "gold"}, {"x-plan": "free"}, {}]
    assert [one.fit("/", headers) for headers in sent] == [True, False, False]
    assert [some.fit("/", headers) for headers in sent] == [True, True, False]


def test_a_pod_may_never_be_ready() -> None:
    assert annotated(ready_after="never").ready_after == inf
