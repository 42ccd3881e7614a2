"""OTLP's traces (opentelemetry/proto/collector/trace/v1), protobuf and JSON, to lines of `spans.jsonl`.

JSON is read without protobuf: its ids are in hex (OTLP specification, "JSON Protobuf Encoding"), where protobuf's own
JSON has base64, so the generated classes could not read it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from meshtest_telemetry.receiver_line import Resource, line
from meshtest_telemetry.receiver_sink import Batch

KINDS = ("internal", "internal", "server", "client", "producer", "consumer")
"""By number of Span.SpanKind; what nobody said counts as internal (trace.proto)."""
STATUSES = ("", "ok", "error")
BROKEN = (
    "opentelemetry-proto is broken in this environment: xds-protos is installed too and overwrites its files with a "
    "copy that is years old (grpc/grpc #42925); uninstall xds-protos, then `pip install --force-reinstall "
    "opentelemetry-proto`"
)


class Malformed(ValueError):
    """Not a message of that kind; the text is one line."""


class Broken(RuntimeError):
    """The libraries here cannot read it."""


@cache
def _messages() -> Any:
    """The generated module; imported with the first message, for most runs of the tests have none."""
    try:
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
        from opentelemetry.proto.trace.v1 import trace_pb2
    except (ImportError, TypeError) as error:  # TypeError: two versions of one file in protobuf's pool
        raise Broken(f"{BROKEN} ({error})") from None
    if not hasattr(trace_pb2, "ScopeSpans"):
        raise Broken(BROKEN)
    return trace_service_pb2


# -- protobuf


def of_protobuf(body: bytes) -> Batch:
    from google.protobuf.message import DecodeError

    try:
        message = _messages().ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise Malformed(f"malformed OTLP: {_one_line(error)}") from None
    count = sum(len(scope.spans) for told in message.resource_spans for scope in told.scope_spans)
    return Batch(count, lambda: _lines(message))


def answer_protobuf(refused: int, why: str) -> bytes:
    """An ExportTraceServiceResponse; an empty one says that all is well."""
    if not refused:
        return b""
    response = _messages().ExportTraceServiceResponse()
    response.partial_success.rejected_spans = refused
    response.partial_success.error_message = why
    return bytes(response.SerializeToString())


def _lines(message: Any) -> Iterator[bytes]:
    for told in message.resource_spans:
        resource = Resource.of(_attributes(told.resource.attributes))
        for scope in told.scope_spans:
            for span in scope.spans:
                yield _line(resource, span)


def _line(resource: Resource, span: Any) -> bytes:
    status = span.status
    return line(
        resource,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=_parent(span.parent_span_id.hex()),
        name=span.name,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        kind=_named(KINDS, span.kind),
        status=_named(STATUSES, status.code),
        text=status.message,
        attributes=_attributes(span.attributes),
        events=[{"at": e.time_unix_nano, "name": e.name, "attributes": _attributes(e.attributes)} for e in span.events],
        links=[
            {"trace": k.trace_id.hex(), "id": k.span_id.hex(), "attributes": _attributes(k.attributes)}
            for k in span.links
        ],
    )


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: pair.value.string_value or _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    """An AnyValue; bytes as hex, for a line of JSON has none."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(v) for v in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value.hex()
        case which:
            return getattr(value, which)


# -- JSON


def of_json(body: bytes) -> Batch:
    try:
        made = list(_lines_of_json(json.loads(body)))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"malformed OTLP JSON: {_one_line(error)}") from None
    return Batch(len(made), lambda: made)


def answer_json(refused: int, why: str) -> bytes:
    told = {"partialSuccess": {"rejectedSpans": str(refused), "errorMessage": why}} if refused else {}
    return json.dumps(told).encode()


def _lines_of_json(message: Any) -> Iterator[bytes]:
    for told in message.get("resourceSpans", ()):
        resource = Resource.of(_attributes_of_json(told.get("resource", {})))
        for scope in told.get("scopeSpans", ()):
            for span in scope.get("spans", ()):
                yield _line_of_json(resource, span)


def _line_of_json(resource: Resource, span: Any) -> bytes:
    status = span.get("status", {})
    return line(
        resource,
        trace=_id(span["traceId"], 32),
        id=_id(span["spanId"], 16),
        parent=_parent(_id(span.get("parentSpanId") or "0" * 16, 16)),
        name=str(span.get("name", "")),
        start=int(span["startTimeUnixNano"]),
        end=int(span["endTimeUnixNano"]),
        kind=_enumerated(KINDS, span.get("kind", 0), "SPAN_KIND_"),
        status=_enumerated(STATUSES, status.get("code", 0), "STATUS_CODE_"),
        text=str(status.get("message", "")),
        attributes=_attributes_of_json(span),
        events=[
            {"at": int(e.get("timeUnixNano", 0)), "name": e.get("name", ""), "attributes": _attributes_of_json(e)}
            for e in span.get("events", ())
        ],
        links=[
            {"trace": _id(k["traceId"], 32), "id": _id(k["spanId"], 16), "attributes": _attributes_of_json(k)}
            for k in span.get("links", ())
        ],
    )


def _attributes_of_json(owner: Any) -> dict[str, Any]:
    return {pair["key"]: _value_of_json(pair.get("value", {})) for pair in owner.get("attributes", ())}


def _value_of_json(value: Any) -> Any:
    for which, told in value.items():
        read = _READ.get(which)
        if read is None:
            raise ValueError(f"{which!r} is no kind of value")
        return read(told)
    return None


_READ: dict[str, Callable[[Any], Any]] = {
    "stringValue": str,
    "boolValue": bool,
    "intValue": int,  # a string, as every int64 in protobuf's JSON
    "doubleValue": float,
    "bytesValue": str,
    "arrayValue": lambda told: [_value_of_json(v) for v in told.get("values", ())],
    "kvlistValue": lambda told: {p["key"]: _value_of_json(p.get("value", {})) for p in told.get("values", ())},
}


def _id(told: Any, digits: int) -> str:
    """In hex, any case."""
    if not isinstance(told, str) or len(told) != digits:
        raise ValueError(f"{told!r} is not an id of {digits} hex digits")
    int(told, 16)
    return told.lower()


def _enumerated(names: tuple[str, ...], told: Any, prefix: str) -> str:
    """A number, or the name that protobuf's JSON also allows."""
    if isinstance(told, str) and not told.isdigit():
        name = told.removeprefix(prefix).lower()
        return name if name in names else names[0]
    return _named(names, int(told))


# -- both


def _named(names: tuple[str, ...], number: int) -> str:
    return names[number] if 0 <= number < len(names) else names[0]


def _parent(id: str) -> str:
    """Some write zeros where there is none."""
    return "" if not id.strip("0") else id


def _one_line(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    return " ".join(str(error).split())[:200]
