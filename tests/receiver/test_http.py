"""What senders of spans may do with HTTP, and what they are told when they do it wrong."""

from __future__ import annotations

import gzip
import socket
import zlib
from pathlib import Path

import pytest
from meshtest_telemetry import receiver_http
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from .conftest import JSON, PROTOBUF, Run, told

BODY = told().SerializeToString()


def raw(run: Run, *pieces: bytes) -> bytes:
    """What comes back for these bytes, sent piece by piece, until the other side closes or our side has ended."""
    host, _, port = run.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        for piece in pieces:
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while data := connection.recv(65536):
            answer += data
        return answer


def post(body: bytes, *headers: str, path: str = "/v1/traces") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: x", "content-type: application/x-protobuf", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x;name=value\r\n%b\r\n" % (len(p), p) for p in parts) + b"0\r\ntrailer: 1\r\n\r\n"


class TestTaken:
    def test_a_body_with_its_length(self, run: Run) -> None:
        answer = run.post("/v1/traces", BODY, PROTOBUF)
        assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"", PROTOBUF["content-type"])
        assert [span.name for span in run.spans] == ["GET /"]

    def test_chunks_without_a_length_as_envoy_sends_them(self, run: Run) -> None:
        message = post(chunked(BODY, 7), "transfer-encoding: chunked")
        cut = len(message) // 2
        assert raw(run, message[:cut], message[cut:]).startswith(b"HTTP/1.1 200 OK\r\n")
        assert len(run.spans) == 1

    @pytest.mark.parametrize(
        ("coding", "body"), [("gzip", gzip.compress(BODY)), ("deflate", zlib.compress(BODY)), ("identity", BODY)]
    )
    def test_a_compressed_body(self, run: Run, coding: str, body: bytes) -> None:
        assert run.post("/v1/traces", body, {**PROTOBUF, "content-encoding": coding}).status == 200
        assert len(run.spans) == 1

    def test_one_request_after_the_other_on_a_connection(self, run: Run) -> None:
        length = f"content-length: {len(BODY)}"
        answers = raw(
            run, post(BODY, length) + post(chunked(BODY, 50), "transfer-encoding: chunked"), post(BODY, length)
        )
        assert answers.count(b"HTTP/1.1 200 OK") == 3
        assert len(run.spans) == 3

    def test_a_sender_that_waits_for_leave(self, run: Run) -> None:
        answer = raw(run, post(BODY, f"content-length: {len(BODY)}", "expect: 100-continue"))
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")

    @pytest.mark.parametrize("path", ["/v1/metrics", "/v1/logs"])
    def test_other_signals_are_thrown_away_without_a_complaint(self, run: Run, path: str) -> None:
        assert run.post(path, b"anything", PROTOBUF).status == 200
        assert (run.spans, run.dropped) == ([], 0)


class TestRefused:
    @pytest.mark.parametrize(
        ("body", "headers", "status", "why"),
        [
            (b"\x0a\xff", PROTOBUF, 400, "malformed OTLP"),
            (b"{", JSON, 400, "malformed OTLP JSON"),
            (b"[]", JSON, 400, "malformed OTLP JSON"),
            (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]}', JSON, 400, "traceId is missing"),
            (BODY, {**PROTOBUF, "content-encoding": "gzip"}, 400, "malformed gzip"),
            (gzip.compress(BODY)[:-9], {**PROTOBUF, "content-encoding": "gzip"}, 400, "it ends early"),
            (BODY, {**PROTOBUF, "content-encoding": "br"}, 415, "gzip, deflate and identity are understood"),
            (BODY, {"content-type": "text/plain"}, 415, "application/x-protobuf and application/json"),
        ],
    )
    def test_a_body_that_is_no_message(
        self, run: Run, body: bytes, headers: dict[str, str], status: int, why: str
    ) -> None:
        answer = run.post("/v1/traces", body, headers)
        reason = answer.body.decode()
        assert answer.status == status
        assert why in reason
        assert reason.count("\n") == 1
        assert run.dropped == 1
        assert why in run.events[0]["reason"]

    def test_the_connection_goes_on_after_a_malformed_body(self, run: Run) -> None:
        length = f"content-length: {len(BODY)}"
        answers = raw(run, post(b"\x0a\xff", "content-length: 2") + post(BODY, length))
        assert answers.count(b"400 Bad Request") == answers.count(b"200 OK") == 1

    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (post(b"", "content-length: many"), b"400"),
            (post(b"zz\r\n", "transfer-encoding: chunked"), b"400"),
            (post(b"1\r\nab\r\n0\r\n\r\n", "transfer-encoding: chunked"), b"400"),
            (post(b"half", "content-length: 99"), b"400"),
            (post(b"", f"content-length: {receiver_http.BODY + 1}"), b"413"),
            (post(b"%x\r\n" % (receiver_http.BODY + 1), "transfer-encoding: chunked"), b"413"),
            (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * (receiver_http.FIELDS + 1) + b"\r\n", b"400"),
            (b"GET /" + b"a" * receiver_http.LINE + b" HTTP/1.1\r\n\r\n", b"400"),
            (b"\x16\x03\x01\x02\x00 a handshake of TLS\r\n", b"400"),
        ],
    )
    def test_what_is_no_http_ends_the_connection(self, run: Run, sent: bytes, status: bytes) -> None:
        answer = raw(run, sent)
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert b"connection: close" in answer
        assert run.dropped == 1

    def test_a_body_that_unpacks_to_too_much(self, run: Run) -> None:
        bomb = gzip.compress(bytes(receiver_http.BODY + 1))
        assert run.post("/v1/traces", bomb, {**PROTOBUF, "content-encoding": "gzip"}).status == 413

    def test_what_the_receiver_does_not_serve(self, run: Run) -> None:
        assert raw(run, b"GET /v1/traces HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 405")
        assert raw(run, b"POST /v2/traces HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404")
        assert run.dropped == 0


class TestOverload:
    def test_what_there_is_no_room_for_is_counted_and_the_sender_told(self, tmp_path: Path) -> None:
        run = Run(tmp_path, capacity=5)
        try:
            answer = run.post("/v1/traces", told(count=6).SerializeToString(), PROTOBUF)
            partial = ExportTraceServiceResponse.FromString(answer.body).partial_success
            assert (answer.status, partial.rejected_spans) == (200, 6)
            assert run.post("/v1/traces", told(count=5).SerializeToString(), PROTOBUF).body == b""
            assert len(run.spans) == 5
            assert run.dropped == 6
            assert run.events[0]["reason"] == partial.error_message
        finally:
            run.receiver.close()
