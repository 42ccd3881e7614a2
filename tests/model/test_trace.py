"""A trace: spans become calls, in whatever order they come; what is missing is said in words."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from meshtest.errors import UsageError
from meshtest.model.trace import Trace
from tests.model.spans import CLIENT, TRACE, Maker


def traced(make: Callable[[Maker], object]) -> Trace:
    make(maker := Maker())
    return Trace(TRACE, maker.spans, "load-1")


@pytest.fixture
def shop() -> Trace:
    return traced(Maker.shop)


class TestCalls:
    def test_a_path_is_what_the_request_reached(self, shop: Trace) -> None:
        assert shop.path == ["gateway", "web@v2", "price@v1"]
        assert shop.complete

    def test_spans_may_come_in_any_order_and_twice(self, shop: Trace) -> None:
        for seed in range(20):
            spans = [*shop.spans, shop.spans[0], shop.spans[-1]]
            random.Random(seed).shuffle(spans)
            again = Trace(TRACE, spans)
            assert (again.path, again.missing, len(again.spans)) == (shop.path, [], len(shop.spans))

    def test_a_call_knows_who_made_it_and_what_it_made(self, shop: Trace) -> None:
        price = shop["price@v1"]
        assert price.parent is shop["web@v2"]
        assert shop.root.gateway
        assert [child.label for child in shop["web"].children] == ["price@v1"]
        assert (price.service, price.version, price.pod) == ("price", "v1", "price-v1-0")

    def test_time_is_what_the_caller_saw_and_the_own_part_of_it(self, shop: Trace) -> None:
        assert shop["price"].seconds == pytest.approx(0.6)
        assert shop["web"].own_seconds == pytest.approx(0.4)
        assert shop.slowest.label == "price@v1"

    def test_a_fault_is_told_by_the_flags_of_either_proxy(self, shop: Trace) -> None:
        assert (shop["price@v1"].fault, shop["web@v2"].fault) == ("delay", "")

        def at_destination(s: Maker) -> None:
            tried = s.attempt(s.outbound(CLIENT, "client", 0, 1), "client", "web", 0, 1)
            s.inbound(tried, "web", "v2", 0, 1, flags="FI", code=500)

        assert traced(at_destination)["web@v2"].fault == "abort"

    def test_what_never_arrived_is_a_call_but_not_on_the_path(self) -> None:
        def aborted(s: Maker) -> None:
            web = s.call(CLIENT, "client", "web", "v1", 0, 1)
            chosen = {"upstream_cluster.name": "outbound|80||price.default.svc.cluster.local"}
            s.outbound(web, "web", 0.1, 0.2, flags="FI", code=503, attributes=chosen)

        trace = traced(aborted)
        assert trace.path == ["web@v1"]
        assert not trace["price"].reached
        assert (trace["price"].fault, trace["price"].status) == ("abort", "error")
        assert trace.complete

    def test_retries_are_one_call(self) -> None:
        def retried(s: Maker) -> None:
            whole = s.outbound(CLIENT, "client", 0, 1)
            s.inbound(s.attempt(whole, "client", "web", 0, 0.2, code=503), "web", "v1", 0, 0.2, code=503)
            s.inbound(s.attempt(whole, "client", "web", 0.3, 1, retry=1), "web", "v2", 0.3, 1)

        trace = traced(retried)
        assert trace.path == ["web@v2"]
        assert trace["web"].retries == 1
        assert trace["web@v1"] is trace["web@v2"]
        assert trace["web"].status == "ok"  # the retry made it good ...
        assert trace.errors  # ... but something failed
        assert "web@v2 1.00 s (1 retry)" in str(trace)

    def test_a_proxy_that_tells_one_span_a_request_is_understood_as_well(self) -> None:
        def istio(s: Maker) -> None:
            tags = {"upstream_cluster.name": "outbound|80||web.default.svc.cluster.local", "response_flags": "-"}
            out = s.add(CLIENT, "client.default", 0, 1, kind="client", attributes=tags)
            for at in (0.1, 0.5):
                s.add(out, "web.default", at, at + 0.3, kind="server", version="v1")

        trace = traced(istio)
        assert (trace.path, trace["web"].retries, trace.missing) == (["web@v1"], 1, [])

    def test_a_gateway_that_tells_one_span_a_request_too(self) -> None:
        def gateway(s: Maker) -> None:
            tags = {"upstream_cluster.name": "outbound|80||web.default.svc.cluster.local", "response_flags": "DI"}
            gate = s.gateway(0, 1, attributes=tags)
            s.add(gate, "web.default", 0.1, 0.9, kind="server", version="v1")

        trace = traced(gateway)
        assert trace.path == ["gateway", "web@v1"]
        assert trace["web"].fault == "delay"

    def test_services_may_tell_of_themselves_with_or_without_proxies(self) -> None:
        def services(s: Maker) -> None:
            web = s.call(CLIENT, "client", "web", "v1", 0, 1)
            handler = s.add(web, "web", 0.1, 0.9, kind="server", source="service", version="v1")
            client = s.add(handler, "web", 0.2, 0.8, kind="client", source="service")
            s.add(client, "cache", 0.3, 0.7, kind="server", source="service", status="error")

        trace = traced(services)
        assert trace.path == ["web@v1", "cache"]
        assert [span.service for span in trace["web"].own if span.source == "service"] == ["web", "web"]
        assert trace["cache"].status == "error"
        assert trace["web"].status == "ok"

    def test_a_404_is_no_failure(self) -> None:
        def missing(s: Maker) -> None:
            s.call(CLIENT, "client", "web", "v1", 0, 1, code=404)
            s.spans[1] = s.spans[1]._replace(status="error")

        assert traced(missing).errors == []

    def test_a_service_that_is_not_in_it(self, shop: Trace) -> None:
        with pytest.raises(UsageError, match=r"no call of 'prize' in the trace of load-1; it has: .*mean 'price@v1'"):
            shop["prize"]
        assert "price" in shop
        assert "prize" not in shop

    def test_a_tree_is_drawn(self, shop: Trace) -> None:
        assert str(shop).splitlines() == [
            "the trace of load-1, 8 spans, 1.00 s",
            "  gateway 1.00 s",
            "    web@v2 1.00 s",
            "      price@v1 600 ms (delay)",
        ]

    def test_a_deep_trace_is_no_trouble(self) -> None:
        def deep(s: Maker) -> None:
            parent = CLIENT
            for depth in range(2000):
                parent = s.call(parent, "web", "web", "v1", depth, depth + 1)

        assert len(traced(deep).path) == 2000


class TestCompleteness:
    def test_nothing_has_come(self) -> None:
        assert Trace(TRACE).missing == ["no span has come"]

    def test_without_any_one_of_its_spans_a_trace_is_incomplete(self, shop: Trace) -> None:
        for lost in shop.spans:
            assert Trace(TRACE, [span for span in shop.spans if span is not lost]).missing, lost

    @pytest.mark.parametrize(
        ("lost", "words"),
        [
            (0, "the root span"),
            (2, "the ingress span of web, which gateway called"),
            (4, "span 0000000000001005, which caused"),
            (7, "the upstream span of price@v1's inbound proxy"),
        ],
    )
    def test_what_is_missing_is_said(self, shop: Trace, lost: int, words: str) -> None:
        rest = [span for number, span in enumerate(shop.spans) if number != lost]
        assert any(words in what for what in Trace(TRACE, rest).missing), Trace(TRACE, rest).missing

    @pytest.mark.parametrize("flag", ["UH", "UF", "UF,URX", "UC", "UT", "UO", "DC"])
    def test_flags_say_why_there_is_no_peer(self, flag: str) -> None:
        def refused(s: Maker, flags: str) -> None:
            s.attempt(s.outbound(CLIENT, "client", 0, 1), "client", "web", 0, 1, code=503, flags=flags)

        assert traced(lambda s: refused(s, flag)).complete
        assert traced(lambda s: refused(s, "-")).missing == [
            "the ingress span of web, which client called"
        ]  # fmt: skip

    def test_a_request_that_a_gateway_answers_itself(self) -> None:
        assert traced(lambda s: s.gateway(0, 1, attributes={"response_flags": "NR"})).complete

    def test_a_parent_outside_of_the_mesh_is_not_waited_for_at_a_gateway(self) -> None:
        assert traced(lambda s: s.gateway(0, 1, parent="00000000000000ff")).complete
