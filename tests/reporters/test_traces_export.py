"""Exports of traces: each as its own readers want it, and nothing of a span is lost where the format has room."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from meshtest.cli import main
from meshtest.model.history import Event
from meshtest.model.span import Span
from meshtest.model.steps import whole
from meshtest.reporters.traces import FORMATS, written
from meshtest.run import Run, folder
from meshtest.settings import Settings
from tests.model.spans import TRACE, Maker, lines
from tests.model.test_traces import run, shops

WALL = 1_790_000_000.25

ODD = Span(
    "ab" * 16, "cd" * 8, "", "naïve ✓", "a <name>", 1.0, 1.0, kind="producer", status="error", text="it broke",
    attributes={"i": 7, "f": 0.5, "b": True, "list": ["x", 1], "map": {"k": "v"}, "none": None, "error": False},
    resource={"host.name": "here"},
    events=[{"at": 1_790_000_001_000_000_000, "name": "exception", "attributes": {"message": "it broke"}}],
    links=[{"trace": TRACE, "id": "ef" * 8, "attributes": {"why": "caused"}}],
)  # fmt: skip


def shop() -> list[Span]:
    (maker := Maker()).shop()
    return maker.spans


def everything() -> list[Span]:
    return [*whole(run(shops(3), requests=3), "run", WALL), ODD]


def told(format: str, spans: list[Span]) -> Any:
    """Through JSON, as a file has it."""
    return json.loads(json.dumps(written(format)(spans, WALL)))


class TestOtlp:
    def test_opentelemetrys_own_classes_read_every_field(self) -> None:
        from google.protobuf import json_format
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        data = told("otlp", [ODD])
        message = json_format.ParseDict(_base64(data), ExportTraceServiceRequest())
        (resource,) = message.resource_spans
        (span,) = resource.scope_spans[0].spans
        assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id) == (ODD.trace, ODD.id, b"")
        assert (span.name, span.kind, span.status.code, span.status.message) == ("a <name>", 4, 2, "it broke")
        assert span.start_time_unix_nano == span.end_time_unix_nano == 1_790_000_001_250_000_000
        values = {pair.key: pair.value for pair in span.attributes}
        assert (values["i"].int_value, values["f"].double_value, values["b"].bool_value) == (7, 0.5, True)
        assert [value.WhichOneof("value") for value in values["list"].array_value.values] == [
            "string_value", "int_value",
        ]  # fmt: skip
        assert values["none"].WhichOneof("value") is None
        assert span.links[0].trace_id.hex() == TRACE
        assert span.events[0].time_unix_nano == 1_790_000_001_000_000_000
        assert {pair.key: pair.value.string_value for pair in resource.resource.attributes} == {
            "service.name": "naïve ✓", "host.name": "here",
        }  # fmt: skip

    def test_a_whole_run_goes_there_and_back(self) -> None:
        from meshtest_telemetry.receiver_otlp import of_json

        from meshtest.model.span import parse_span

        spans = everything()
        body = json.dumps(told("otlp", spans)).encode()
        again = {(span.trace, span.id): span for span in (parse_span(line, WALL) for line in of_json(body).lines())}
        assert len(again) == len(spans)
        for span in spans:
            got = again[span.trace, span.id]
            for name in ("trace", "parent", "name", "kind", "status", "text", "service"):
                assert getattr(got, name) == getattr(span, name)
            assert (got.start, got.end) == pytest.approx((span.start, span.end), abs=1e-6)

    def test_spans_stand_together_by_resource(self) -> None:
        services = [
            {pair["key"]: pair["value"]["stringValue"] for pair in each["resource"]["attributes"]}
            for each in told("otlp", shop())["resourceSpans"]
        ]
        assert [one["service.name"] for one in services] == [
            "shop.default", "web.default", "web.default", "price.default",
        ]  # fmt: skip


def _base64(data: Any) -> Any:
    """OTLP's JSON has ids in hex, where protobuf's own has base64."""
    if isinstance(data, list):
        return [_base64(each) for each in data]
    if isinstance(data, dict):
        return {
            key: base64.b64encode(bytes.fromhex(value)).decode()
            if key in ("traceId", "spanId", "parentSpanId")
            else _base64(value)
            for key, value in data.items()
        }
    return data


class TestZipkin:
    def test_every_span_is_as_the_api_says(self) -> None:
        """zipkin2-api.yaml: required and allowed fields of Span, their patterns."""
        allowed = {
            "traceId", "parentId", "id", "kind", "name", "timestamp", "duration", "debug", "shared", "localEndpoint",
            "remoteEndpoint", "annotations", "tags",
        }  # fmt: skip
        spans = told("zipkin", everything())
        ids = {span["id"] for span in spans}
        for span in spans:
            assert {"traceId", "id"} <= set(span) <= allowed
            assert len(span["traceId"]) == 32
            assert len(span["id"]) == 16
            assert span.get("parentId", span["id"]) in ids
            assert span.get("kind", "CLIENT") in ("CLIENT", "SERVER", "PRODUCER", "CONSUMER")
            assert isinstance(span["timestamp"], int)
            assert span["duration"] >= 1
            assert all(isinstance(value, str) for value in span["tags"].values())
            assert all(set(note) == {"timestamp", "value"} for note in span.get("annotations", ()))

    def test_only_what_failed_is_red(self) -> None:
        spans = {span["id"]: span for span in told("zipkin", everything())}
        assert [id for id, span in spans.items() if "error" in span["tags"]] == [ODD.id]
        assert spans[ODD.id]["tags"]["error"] == "it broke"

    def test_our_own_receiver_takes_it(self) -> None:
        from meshtest_telemetry.receiver_zipkin import of_json

        spans = everything()
        assert len(list(of_json(json.dumps(told("zipkin", spans)).encode()).lines())) == len(spans)


class TestJaeger:
    def test_every_span_has_its_process_and_its_parent(self) -> None:
        data = told("jaeger", everything())
        assert set(data) == {"data", "total", "limit", "offset", "errors"}
        for trace in data["data"]:
            ids = {span["spanID"] for span in trace["spans"]}
            for span in trace["spans"]:
                assert span["traceID"] == trace["traceID"]
                assert span["processID"] in trace["processes"]
                parents = [r["spanID"] for r in span["references"] if r["refType"] == "CHILD_OF"]
                assert set(parents) <= ids
                assert isinstance(span["startTime"], int)
                assert all(tag["type"] in ("string", "bool", "int64", "float64") for tag in span["tags"])
            assert {p["serviceName"] for p in trace["processes"].values()}

    def test_a_failed_span_is_marked(self) -> None:
        (trace,) = told("jaeger", [ODD])["data"]
        tags = {tag["key"]: tag["value"] for tag in trace["spans"][0]["tags"]}
        assert (tags["error"], tags["span.kind"], tags["otel.status_code"]) == (True, "producer", "ERROR")
        assert trace["spans"][0]["logs"][0]["fields"][0] == {"key": "event", "type": "string", "value": "exception"}


class TestChrome:
    def test_events_of_a_thread_nest(self) -> None:
        events = told("chrome", everything())["traceEvents"]
        threads: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for event in events:
            if event["ph"] == "X":
                assert {"name", "cat", "ts", "dur", "pid", "tid", "args"} <= set(event)
                threads.setdefault((event["pid"], event["tid"]), []).append(event)
        for lane in threads.values():
            open_until: list[float] = []
            for event in sorted(lane, key=lambda event: (event["ts"], -event["dur"])):
                while open_until and open_until[-1] <= event["ts"] + 1:
                    open_until.pop()
                assert not open_until or event["ts"] + event["dur"] <= open_until[-1] + 1
                open_until.append(event["ts"] + event["dur"])

    def test_services_are_processes_and_calls_are_arrows(self) -> None:
        events = told("chrome", shop())["traceEvents"]
        names = [event["args"]["name"] for event in events if event["name"] == "process_name"]
        assert names == ["shop.default", "web.default@v2", "price.default@v1"]
        assert [event["ph"] for event in events if event["name"] == "call"] == ["s", "f", "s", "f"]


class TestCommand:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        with Run("canary", Settings(reports=tmp_path / "reports"), command="pytest", seed=7) as made:
            made.record("load.start", "load", load="load", sampled=1.0)
            (made.directory / folder.SPANS).write_bytes(lines(shops(2), made.wall_start))
        return made.directory

    @pytest.mark.parametrize("format", FORMATS)
    def test_it_writes_what_its_function_makes(self, folder: Path, format: str, tmp_path: Path) -> None:
        out = tmp_path / "out.json"
        assert main(["export", str(folder), "--format", format, "--output", str(out)]) == 0
        assert json.loads(out.read_text())

    def test_one_trace_or_all_with_what_the_framework_did(
        self, folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["export", str(folder), "--format", "zipkin", "--trace", "load-1"]) == 0
        assert len({span["traceId"] for span in json.loads(capsys.readouterr().out)}) == 1
        assert main(["export", str(folder), "--format", "zipkin"]) == 0
        out, err = capsys.readouterr()
        assert "run canary" in {span["name"] for span in json.loads(out)}
        assert err == f"{len(json.loads(out))} spans -> standard output\n"

    @pytest.mark.parametrize(
        ("words", "why"),
        [
            (["--trace", "load-9"], "no trace of load-9 among 2 traces"),
            (["--load", "other"], "has no traces of load 'other'"),
        ],
    )
    def test_a_trace_that_is_not_there(
        self, folder: Path, words: list[str], why: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["export", str(folder), "--format", "otlp", *words]) == 4
        assert why in capsys.readouterr().err


class TestSteps:
    def test_what_the_framework_did_holds_what_it_caused(self) -> None:
        events = [
            Event(0.5, "step.start", "shift"),
            Event(0.6, "config.apply", "", {"number": 2, "reason": "shift web"}),
            Event(0.7, "config.ack", "", {"number": 2, "seconds": 0.1}),
            Event(0.8, "config.apply", "", {"number": 3, "reason": "bad"}),
            Event(0.9, "config.rejected", "", {"number": 3, "text": "no such cluster"}),
            Event(2.5, "step.end", "shift"),
            Event(2.6, "pod.exit", "web-v1-0", {"code": 0}),
            Event(3.0, "load.end", "load", {"sent": 3}),
        ]
        spans = {span.name: span for span in whole(run(shops(3), requests=3, events=events), "run", WALL)}
        step, config, bad, load = (
            spans[name] for name in ("step shift", "config shift web", "config bad", "load load")
        )
        assert spans["run unit"].parent == ""
        assert (step.parent, config.parent, load.parent) == (spans["run unit"].id, step.id, spans["run unit"].id)
        assert (bad.status, bad.text) == ("error", "no such cluster")
        assert [len(span.links) for span in (step, config, load)] == [2, 0, 3]
        assert spans["run unit"].events == (
            {"at": 1_790_000_002_850_000_000, "name": "pod.exit", "attributes": {"subject": "web-v1-0", "code": 0}},
        )  # fmt: skip

    def test_the_client_is_the_root_of_its_traces(self) -> None:
        spans = {span.name: span for span in whole(run(shops(1), requests=1))}
        root = spans["request load-0"]
        assert root.id == next(span for span in shops(1)).parent
        assert (root.kind, root.source, root.attributes["http.status_code"]) == ("client", "framework", 200)
        assert {"trace": root.trace, "id": root.id, "attributes": {}} in spans["load load"].links
