"""The traces of a run: by request, by what happened in them, and those that broke."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from meshtest.errors import UsageError
from meshtest.model.choices import salt, trace
from meshtest.model.history import Event, History, Hop
from meshtest.model.request import Server
from meshtest.model.span import Span
from meshtest.model.trace_ids import TraceIds
from meshtest.model.traces import Traces
from tests.checks.histories import history, hop, request
from tests.model.spans import Maker

SEED = 7


def run(spans: Sequence[Span], *, sampled: float = 1.0, hops: Sequence[Hop] = (), events: Sequence[Event] = (),
        requests: int = 100, every: float = 0.01) -> History:  # fmt: skip
    begin = [
        Event(0.0, "run.start", "unit", {"seed": SEED}),
        Event(0.0, "load.start", "load", {"load": "load", "sampled": sampled}),
    ]
    sent = [request(i, i * every, Server("web", "v2", "web-v2-0")) for i in range(requests)]
    return history(sent, [*begin, *events], hops, spans=spans)


def id_of(index: int) -> str:
    return TraceIds(SEED, ["load"]).id("load", index)


def shops(count: int) -> list[Span]:
    spans: list[Span] = []
    for index in range(count):
        (maker := Maker(id_of(index))).shop()
        spans += [span._replace(start=span.start + index, end=span.end + index) for span in maker.spans]
    return spans


class TestIds:
    def test_a_trace_id_is_worked_out_and_back(self) -> None:
        ids = TraceIds(SEED, ["load", "other"])
        for load in ("load", "other"):
            for index in (0, 1, 17, 5 << 24, (1 << 32) - 1):
                assert ids.request(ids.id(load, index)) == (load, index)

    def test_it_is_what_the_prober_puts_on_the_request(self) -> None:
        from meshtest.loads.stamp import Stamp

        number = salt(SEED, "load", "trace")
        order = {"name": "load", "trace_salt": number, "sampled": 1.0, "faults": [], "users": 0, "parts": 1}
        order["b3"] = False
        pairs = dict(Stamp(order, "web", "/", {}).pairs(17))  # type: ignore[arg-type]
        assert pairs[b"traceparent"] == f"00-{id_of(17)}-{trace(number, 17):016x}-01".encode()

    def test_of_strangers_nothing_is_known(self) -> None:
        assert TraceIds(SEED, ["load"]).request("ab" * 16) is None

    def test_which_requests_are_sampled_is_known_beforehand(self) -> None:
        ids = TraceIds(SEED, ["load"], {"load": 0.25})
        assert 150 < sum(ids.traced("load", index) for index in range(1000)) < 350


class TestFinding:
    def test_by_request_by_id_and_by_position(self) -> None:
        traces = Traces.of(run(shops(3)))
        assert [trace.request for trace in traces] == ["load-0", "load-1", "load-2"]
        assert traces["load-1"] is traces[id_of(1)] is traces[1] is traces[traces.history.requests[1]]

    def test_they_are_worked_out_once(self) -> None:
        seen = run(shops(1))
        assert Traces.of(seen) is Traces.of(seen)

    def test_a_request_that_was_not_sampled(self) -> None:
        traces = Traces.of(run(shops(1), sampled=0.0))
        expected = r'load-5 was not sampled: 0 % of the requests of load are traced; .*sampled=1.0.*traces="all"'
        with pytest.raises(UsageError, match=expected):
            traces["load-5"]

    def test_no_span_at_all(self) -> None:
        with pytest.raises(UsageError, match="no trace of load-5: no span has been recorded"):
            Traces.of(run([]))["load-5"]

    def test_a_window_has_those_of_requests_that_were_sent_in_it(self) -> None:
        late = [span._replace(start=span.start + 0.6, end=span.end + 0.6) for span in shops(5)]
        traces = Traces.of(run(late, every=1.0).between(0.5, 2.5))
        assert [trace.request for trace in traces] == ["load-1", "load-2"]

    def test_what_the_client_saw_of_a_trace(self) -> None:
        traces = Traces.of(run(shops(3)))
        seen = traces.request_of(traces[2])
        assert seen is not None
        assert seen.id == "load-2"

    def test_by_what_happened(self) -> None:
        (maker := Maker(id_of(50))).call(maker.trace[16:], "client", "ratings", "v2", 60, 61, code=503)
        traces = Traces.of(run([*shops(2), *maker.spans]))
        assert [t.request for t in traces.where(service="ratings", status="error")] == ["load-50"]
        assert len(traces.where(service="price", version="v1", fault="delay", slower=0.5)) == 2
        assert not traces.where(service="ratings", version="v1")
        assert not traces.where(version="v1", status="error")
        assert len(traces.where(status="ok", complete=True)) == 2
        assert {span.service for span in traces.errors} == {"client.default", "ratings.default"}
        assert traces.services == ["gateway", "price@v1", "ratings@v2", "web@v2"]
        with pytest.raises(UsageError, match="status 'bad' is none of ok, error"):
            traces.where(status="bad")

    def test_spans_of_the_framework_are_no_trace_of_a_request(self) -> None:
        spans = [span._replace(source="framework") for span in shops(1)]
        assert len(Traces.of(run(spans))) == 0

    def test_requests_of_other_engines_are_known_by_a_tag(self) -> None:
        (maker := Maker("ab" * 16)).gateway(0, 1, attributes={"x-meshtest-id": "locust-3"})
        trace = Traces.of(run(maker.spans))["locust-3"]
        assert trace.of_load


def dropped(count: int, *, tagged: bool = False, at: float = 0.3) -> list[Span]:
    """web takes requests in from 0.1 to 0.9, and calls reviews without the context: its proxy begins a trace."""
    spans: list[Span] = []
    for index in range(count):
        (whole := Maker(id_of(index))).call(whole.trace[16:], "client", "web", "v2", index + 0.1, index + 0.9)
        piece = Maker(f"{0xABC0 + index:032x}")
        began = piece.outbound("", "web", index + at, index + 0.8,
                               attributes={"x-meshtest-id": f"load-{index}"} if tagged else {})  # fmt: skip
        piece.inbound(piece.attempt(began, "web", "reviews", index + at, index + 0.7), "reviews", "v1",
                      index + at, index + 0.6)  # fmt: skip
        spans += whole.spans + piece.spans
    return spans


class TestBrokenPropagation:
    def test_a_service_that_drops_the_header_is_named(self) -> None:
        (one,) = Traces.of(run(dropped(5))).broken
        assert str(one) == "web did not forward traceparent to reviews: 5 broken traces"
        assert len(one.pieces) == 5

    def test_the_request_is_known_where_a_tag_tells_it(self) -> None:
        (one,) = Traces.of(run(dropped(2, tagged=True, at=0.95))).broken  # after the answer, but of that request
        assert one.requests == ("load-0", "load-1")

    def test_whole_traces_are_not_broken(self) -> None:
        assert Traces.of(run(shops(5))).broken == []

    def test_calls_on_a_workloads_own_account_are_not_held_against_it(self) -> None:
        polls = dropped(1) + [
            span._replace(trace=f"{0xDEF0 + i:032x}", id=f"{0x9000 + i:016x}", parent="", start=i + 0.95, end=i + 0.99)
            for i, span in enumerate(dropped(1)[4:5] * 6)
        ]
        assert Traces.of(run(polls)).broken == []

    def test_what_a_test_sends_by_a_workloads_proxy_is_not_held_against_it(self) -> None:
        asked = [
            span._replace(attributes={**span.attributes, "x-meshtest-id": "ask-1"})
            for span in dropped(1)
            if int(span.trace, 16) < 1 << 32
        ]
        whole = [span for span in dropped(1) if int(span.trace, 16) > 1 << 32]
        assert Traces.of(run([*whole, *asked])).broken == []

    def test_a_caller_that_nobody_calls_begins_its_own_traces(self) -> None:
        (maker := Maker("cd" * 16)).call("", "cron", "web", "v1", 0, 1)
        assert Traces.of(run([*shops(1), *maker.spans])).broken == []

    def test_a_load_that_a_workload_sends_is_not_broken(self) -> None:
        spans = shops(1)
        (maker := Maker(id_of(9))).call(maker.trace[16:], "web", "price", "v1", 0.3, 0.4)
        assert Traces.of(run([*spans, *maker.spans])).broken == []

    def test_with_few_sampled_hops_tell_when_a_service_was_being_called(self) -> None:
        pieces = [span for span in dropped(5) if int(span.trace, 16) < 1 << 32]
        web, reviews = Server("web", "v2", "web-v2-0"), Server("reviews", "v1", "reviews-v1-0")
        hops = [hop(i, i + 0.1, web, "inbound", proxy="web-v2-0", seconds=0.8) for i in range(5)]
        hops += [hop(i, i + 0.3, reviews, proxy="default/web-v2") for i in range(5)]
        assert [one.traces for one in Traces.of(run(pieces, hops=hops)).broken] == [5]

    def test_where_proxies_begin_no_traces_the_hops_tell(self) -> None:
        whole = [span for span in dropped(3) if int(span.trace, 16) > 1 << 32]
        web, reviews = Server("web", "v2", "web-v2-0"), Server("reviews", "v1", "reviews-v1-0")
        hops = [hop(i, i + 0.1, web, "inbound", proxy="web-v2-0") for i in range(3)]
        hops += [hop(i, i + 0.3, reviews, proxy="default/web-v2") for i in range(3)]
        (one,) = Traces.of(run(whole, hops=hops)).broken
        assert str(one) == "web did not forward traceparent to reviews: 3 broken traces"
        assert one.requests == ("load-0", "load-1", "load-2")

    def test_a_service_may_have_another_name_than_its_pods(self) -> None:
        """Service `pricing` selects app=price."""
        pricing = Server("pricing", "v1", "price-v1-0")
        hops = [hop(i, i + 0.1, Server("web", "v2", "web-v2-0"), "inbound", proxy="web-v2-0") for i in range(3)]
        hops += [hop(i, i + 0.2, pricing, proxy="default/web-v2") for i in range(3)]
        assert Traces.of(run(shops(3), hops=hops)).broken == []
