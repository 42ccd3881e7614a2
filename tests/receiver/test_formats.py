"""A span is the same, whichever way it was told."""

from __future__ import annotations

import json
import sys
from types import ModuleType
from typing import Any, ClassVar

import grpc
import pytest
from meshtest_telemetry import receiver_grpc, receiver_otlp
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from meshtest.model.span import Span

from .conftest import ID, JSON, PARENT, PROTOBUF, TRACE, WALL, Run, told

START, END = WALL * 10**9 + 250_000_000, WALL * 10**9 + 500_000_000


def rich() -> ExportTraceServiceRequest:
    """A span with everything."""
    message = told("GET /cart", service_version="v2", k8s_pod_name="web-0", team="shop")
    span = message.resource_spans[0].scope_spans[0].spans[0]
    span.status.code, span.status.message = 2, "boom"
    values = (
        ("s", "string_value", "ü"), ("i", "int_value", 7), ("f", "double_value", 0.5), ("b", "bool_value", True),
        ("raw", "bytes_value", b"\x01\xff"), ("empty", "string_value", ""),
    )  # fmt: skip
    for name, kind, value in values:
        setattr(span.attributes.add(key=name).value, kind, value)
    span.attributes.add(key="list").value.array_value.values.add().string_value = "x"
    span.attributes.add(key="map").value.kvlist_value.values.add(key="k").value.int_value = 1
    span.attributes.add(key="none")
    span.events.add(name="retry", time_unix_nano=START).attributes.add(key="n").value.int_value = 2
    span.links.add(trace_id=bytes.fromhex(TRACE), span_id=bytes.fromhex(PARENT))
    return message


RICH = Span(
    trace=TRACE, id=ID, parent=PARENT, service="web", name="GET /cart", start=0.25, end=0.5, kind="server",
    status="error", version="v2", pod="web-0", text="boom",
    attributes={"s": "ü", "i": 7, "f": 0.5, "b": True, "raw": "01ff", "empty": "", "list": ["x"], "map": {"k": 1},
                "none": None},
    resource={"team": "shop"},
    events=[{"at": START, "name": "retry", "attributes": {"n": 2}}],
    links=[{"trace": TRACE, "id": PARENT, "attributes": {}}],
)  # fmt: skip

RICH_JSON: Any = {"resourceSpans": [{
    "resource": {"attributes": [
        {"key": "service.name", "value": {"stringValue": "web"}},
        {"key": "service.version", "value": {"stringValue": "v2"}},
        {"key": "k8s.pod.name", "value": {"stringValue": "web-0"}},
        {"key": "team", "value": {"stringValue": "shop"}},
    ]},
    "scopeSpans": [{"spans": [{
        "traceId": TRACE.upper(), "spanId": ID, "parentSpanId": PARENT, "name": "GET /cart", "kind": "SPAN_KIND_SERVER",
        "startTimeUnixNano": str(START), "endTimeUnixNano": END, "status": {"code": 2, "message": "boom"},
        "attributes": [
            {"key": "s", "value": {"stringValue": "ü"}}, {"key": "i", "value": {"intValue": "7"}},
            {"key": "f", "value": {"doubleValue": 0.5}}, {"key": "b", "value": {"boolValue": True}},
            {"key": "raw", "value": {"bytesValue": "01ff"}}, {"key": "empty", "value": {"stringValue": ""}},
            {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "x"}]}}},
            {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": 1}}]}}},
            {"key": "none"},
        ],
        "events": [{"timeUnixNano": str(START), "name": "retry",
                    "attributes": [{"key": "n", "value": {"intValue": "2"}}]}],
        "links": [{"traceId": TRACE, "spanId": PARENT}],
    }]}],
}]}  # fmt: skip


def export(run: Run, body: bytes, service: str = receiver_grpc.TRACES) -> bytes:
    with grpc.insecure_channel(run.collector.grpc) as channel:
        answer: bytes = channel.unary_unary(f"/{service}/Export")(body, timeout=30, wait_for_ready=True)
        return answer


class TestOtlp:
    def test_protobuf(self, run: Run) -> None:
        run.post("/v1/traces", rich().SerializeToString(), PROTOBUF)
        assert run.spans == [RICH]

    def test_json_has_ids_in_hex_of_any_case_and_enumerations_by_name_or_number(self, run: Run) -> None:
        assert run.post("/v1/traces", json.dumps(RICH_JSON).encode(), JSON).body == b"{}"
        assert run.spans == [RICH]

    def test_grpc_at_the_same_port(self, run: Run) -> None:
        assert run.collector.grpc == run.address
        ExportTraceServiceResponse.FromString(export(run, rich().SerializeToString()))
        assert run.spans == [RICH]

    def test_grpc_refuses_what_is_no_message(self, run: Run) -> None:
        with pytest.raises(grpc.RpcError) as refused:
            export(run, b"\x0a\xff")
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "malformed OTLP" in refused.value.details()
        assert run.dropped == 1

    @pytest.mark.parametrize("service", receiver_grpc.OTHERS)
    def test_grpc_takes_other_signals_and_throws_them_away(self, run: Run, service: str) -> None:
        assert export(run, b"anything", service) == b""
        assert (run.spans, run.dropped) == ([], 0)

    def test_a_root_whose_parent_is_zeros(self, run: Run) -> None:
        message = told()
        message.resource_spans[0].scope_spans[0].spans[0].parent_span_id = bytes(8)
        run.post("/v1/traces", message.SerializeToString(), PROTOBUF)
        assert run.spans[0].parent == ""

    def test_a_proxy_speaks_for_its_workload(self, run: Run) -> None:
        message = told(service_name="meshtest")
        span = message.resource_spans[0].scope_spans[0].spans[0]
        for key, value in (("component", "proxy"), ("meshtest.proxy", "web.shop/v2/web-v2-0/inbound")):
            span.attributes.add(key=key).value.string_value = value
        run.post("/v1/traces", message.SerializeToString(), PROTOBUF)
        (span,) = run.spans
        assert (span.service, span.version, span.pod, span.source) == ("web.shop", "v2", "web-v2-0", "proxy")
        assert span.attributes == {
            "component": "proxy", "istio.canonical_service": "web", "istio.canonical_revision": "v2",
            "istio.namespace": "shop", "istio.mesh_id": "cluster.local", "meshtest.direction": "inbound",
        }  # fmt: skip

    def test_a_proxy_of_a_real_istio_says_so_in_istio_s_tags(self, run: Run) -> None:
        message = told(service_name="web.shop")
        span = message.resource_spans[0].scope_spans[0].spans[0]
        istio = {"istio.canonical_service": "web", "istio.canonical_revision": "v2", "istio.namespace": "shop"}
        for key, value in ({"component": "proxy"} | istio).items():
            span.attributes.add(key=key).value.string_value = value
        run.post("/v1/traces", message.SerializeToString(), PROTOBUF)
        (span,) = run.spans
        assert (span.service, span.version, span.source) == ("web.shop", "v2", "proxy")

    def test_an_environment_that_xds_protos_broke_is_named(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        receiver_otlp._messages.cache_clear()
        monkeypatch.setitem(sys.modules, "opentelemetry.proto.trace.v1.trace_pb2", ModuleType("old"))
        monkeypatch.setattr("opentelemetry.proto.trace.v1.trace_pb2", ModuleType("old"), raising=False)
        answer = run.post("/v1/traces", rich().SerializeToString(), PROTOBUF)
        assert answer.status == 500
        assert "uninstall xds-protos" in answer.body.decode()
        assert "grpc/grpc #42925" in answer.body.decode()
        assert run.dropped == 1


class TestZipkin:
    SPAN: ClassVar[dict[str, Any]] = {
        "traceId": TRACE, "id": ID, "parentId": PARENT, "name": "GET /cart", "kind": "SERVER",
        "timestamp": START // 1000, "duration": (END - START) // 1000, "localEndpoint": {"serviceName": "web"},
        "tags": {"http.status_code": "500", "error": "boom"},
        "annotations": [{"timestamp": START // 1000, "value": "a"}],
    }  # fmt: skip

    def test_a_span(self, run: Run) -> None:
        assert run.post("/api/v2/spans", json.dumps([self.SPAN]).encode(), JSON).status == 202
        assert run.spans == [
            Span(
                trace=TRACE, id=ID, parent=PARENT, service="web", name="GET /cart", start=0.25, end=0.5, kind="server",
                status="error", text="boom", attributes={"http.status_code": "500", "error": "boom"},
                events=[{"at": START, "name": "a", "attributes": {}}],
            )
        ]  # fmt: skip

    def test_a_trace_id_of_64_bits_and_a_root(self, run: Run) -> None:
        span = {k: v for k, v in self.SPAN.items() if k not in ("parentId", "kind", "tags")} | {"traceId": TRACE[16:]}
        run.post("/api/v2/spans", json.dumps([span]).encode(), JSON)
        (found,) = run.spans
        assert (found.trace, found.parent, found.kind, found.status) == ("0" * 16 + TRACE[16:], "", "internal", "")

    @pytest.mark.parametrize("body", [b"{}", b"[1]", b"[{}]", b"[", b"\xff"])
    def test_what_is_none(self, run: Run, body: bytes) -> None:
        answer = run.post("/api/v2/spans", body, JSON)
        assert (answer.status, run.dropped) == (400, 1)
        assert answer.body.startswith(b"malformed Zipkin JSON: ")
