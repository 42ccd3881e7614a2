"""A stand-in's own spans, and what a pod's program is told of the collector."""

from __future__ import annotations

import json
from typing import Any

import pytest
from meshtest_envoy.pods.behaviour import Work
from meshtest_envoy.pods.environment import of_pod
from meshtest_envoy.pods.http1 import Request
from meshtest_envoy.pods.order import Order
from meshtest_envoy.pods.ports import Ports
from meshtest_envoy.pods.telling import FAILED, Context, Teller

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ORDER = Order(
    name="web-0", log="", workload="web-v1", service="web", version="v1", collector="http://127.0.0.1:4318"
)  # fmt: skip


class TestContext:
    @pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("00", False), ("03", True)])
    def test_of_w3c(self, flags: str, sampled: bool) -> None:
        context = Context.of({"traceparent": f"00-{TRACE}-{SPAN}-{flags}"})
        assert context == (TRACE, SPAN, sampled, False)
        assert context.headers("1" * 16) == {"traceparent": f"00-{TRACE}-{'1' * 16}-0{int(sampled)}"}

    def test_of_b3_with_a_short_id(self) -> None:
        context = Context.of({"x-b3-traceid": TRACE[16:], "x-b3-spanid": SPAN, "x-b3-sampled": "0"})
        assert context == ("0" * 16 + TRACE[16:], SPAN, False, True)
        assert context.headers("1" * 16)["x-b3-spanid"] == "1" * 16

    def test_who_has_none_begins_one(self) -> None:
        first, second = Context.of({}), Context.of({"traceparent": "nonsense"})
        assert (len(first.trace), first.span, first.sampled) == (32, "", True)
        assert first.trace != second.trace


async def told(context: dict[str, str], *works: Work) -> list[dict[str, Any]]:
    """The spans of one request."""
    sent: list[dict[str, Any]] = []

    class Kept(Teller):
        def add(self, span: dict[str, Any]) -> None:
            sent.append(span)

    teller, request = Kept(ORDER, works), Request("GET", "/cart?id=1", context)
    telling = teller.begin(request)
    await teller.works(telling, request)
    telling.end(503)
    return sent


def test_work_is_below_the_span_of_the_request(virtually: Any) -> None:
    spans = virtually(told({"traceparent": f"00-{TRACE}-{SPAN}-01"}, Work("redis GET", 0.0), Work("pay", 0.0, 100.0)))
    redis, pay, own = spans
    assert [span["name"] for span in spans] == ["redis GET", "pay", "GET /cart"]
    assert redis["parentSpanId"] == pay["parentSpanId"] == own["spanId"]
    assert own["parentSpanId"] == SPAN
    assert {span["traceId"] for span in spans} == {TRACE}
    assert "status" not in redis
    assert (pay["status"]["message"], own["status"]["message"]) == (FAILED, "answered 503")
    json.dumps(spans)


def test_what_is_not_sampled_is_not_told(virtually: Any) -> None:
    assert virtually(told({"traceparent": f"00-{TRACE}-{SPAN}-00"}, Work("redis GET", 0.0))) == []


class TestEnvironment:
    def test_the_collector_is_told_as_the_sdks_read_it(self) -> None:
        told = of_pod({"OTEL_SERVICE_NAME": "the runner's own"}, ORDER, Ports(()))
        assert told["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4318"
        assert told["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
        assert told["OTEL_SERVICE_NAME"] == "web"
        attributes = "service.version=v1,k8s.pod.name=web-0,k8s.namespace.name=default"
        assert told["OTEL_RESOURCE_ATTRIBUTES"] == attributes

    def test_what_the_manifest_says_is_stronger(self) -> None:
        order = ORDER._replace(env={"OTEL_SERVICE_NAME": "shop"})
        assert of_pod({}, order, Ports(()))["OTEL_SERVICE_NAME"] == "shop"

    def test_without_a_collector_there_is_nothing_to_tell(self) -> None:
        told = of_pod({}, ORDER._replace(collector=""), Ports(()))
        assert not [name for name in told if name.startswith("OTEL_")]
