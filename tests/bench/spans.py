"""Spans: from the response to the record, 5,000 a second for a minute, ten times too many, and what tracing costs.

BENCH_SECONDS=10 in the environment makes the long part shorter.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from meshtest_telemetry.receiver import Receiver

from meshtest.mesh import Mesh, open_mesh
from meshtest.model.span import parse_span
from meshtest.model.tables import quantile
from meshtest.settings import Settings

WEB = Path(__file__).parents[2] / "suites" / "traffic_shift" / "web.yaml"
RATE, SECONDS = 5_000, float(os.environ.get("BENCH_SECONDS", "60"))
OVERLOAD, OVERLOAD_SECONDS = 10 * RATE, 5.0
BATCH = 100
"""Spans of a message: what Envoy sends of 5,000 a second every 20 ms."""
AIM_P99 = 100.0
"""ms"""
LOAD_RATE, LOAD_SECONDS = 300, 8.0
STARTS = 5

SENDER = """
import http.client, os, sys, time
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
port, rate, seconds, batch = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
message = ExportTraceServiceRequest()
told = message.resource_spans.add()
name = told.resource.attributes.add(); name.key = "service.name"; name.value.string_value = "meshtest"
spans = told.scope_spans.add().spans
for _ in range(batch):
    span = spans.add(trace_id=os.urandom(16), span_id=os.urandom(8), parent_span_id=os.urandom(8), name="GET /", kind=2)
    span.start_time_unix_nano, span.end_time_unix_nano = time.time_ns() - 1000000, time.time_ns()
    for number in range(20):  # as many as Envoy's have
        tag = span.attributes.add(); tag.key = f"http.key{number}"; tag.value.string_value = f"value {number}"
body = message.SerializeToString()
connection, sent, refused, began = http.client.HTTPConnection("127.0.0.1", port), 0, 0, time.monotonic()
while sent < rate * seconds:
    due = began + sent / rate
    if (wait := due - time.monotonic()) > 0:
        time.sleep(wait)
    connection.request("POST", "/v1/traces", body, {"content-type": "application/x-protobuf"})
    answer = connection.getresponse()
    assert answer.status == 200
    answer.read()
    sent += batch
print(sent, time.monotonic() - began)
"""


def main() -> None:
    _received("5,000 a second", RATE, SECONDS, "aim: none lost")
    _received("ten times as many", OVERLOAD, OVERLOAD_SECONDS, "aim: none uncounted")
    _latency()
    _cpu_of_envoy()
    _start()


# -- the receiver alone


def _received(what: str, rate: float, seconds: float, aim: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, dropped, cpu = Path(folder) / "spans.jsonl", [], time.process_time()
        receiver = Receiver()
        port = receiver.start().http.rpartition(":")[2]
        receiver.serve(file, lambda kind, subject="", **data: dropped.append(data["count"]))
        arguments = [str(value) for value in (port, rate, seconds, BATCH)]
        told = subprocess.run([sys.executable, "-c", SENDER, *arguments], capture_output=True, text=True, check=True)
        sent, took = told.stdout.split()
        receiver.flush()
        spent = time.process_time() - cpu
        written = file.read_bytes().count(b"\n")
        receiver.close()
    lost = int(sent) - written - sum(dropped)
    print(
        f"{what:<20} {int(sent)} sent in {float(took):.1f} s ({int(sent) / float(took):.0f}/s): {written} written, "
        f"{sum(dropped)} dropped and told in {len(dropped)} events, {lost} lost   {aim}; "
        f"{spent / int(sent) * 1e6:.0f} us of CPU a span"
    )


# -- with Envoy


@contextmanager
def _mesh(traces: str) -> Iterator[Mesh]:
    with (
        tempfile.TemporaryDirectory() as folder,
        open_mesh("bench", Settings(reports=Path(folder), traces=traces)) as mesh,
    ):
        mesh.apply(WEB)
        yield mesh


def _latency() -> None:
    """From the answer that the client has in hand to the line of its trace's first span in the file."""
    with _mesh("all") as mesh:
        arrived: dict[str, float] = {}
        stop = threading.Event()
        follower = threading.Thread(target=_follow, args=(mesh, arrived, stop))
        follower.start()
        with mesh.load("GET http://web/", rps=LOAD_RATE) as load:
            load.until(seconds=LOAD_SECONDS)
        mesh.flush_spans()
        stop.set()
        follower.join()
        by_id = {f"{r.load}-{r.index}": r.at + r.latency for r in load.requests}
        late = sorted((arrived[name] - at) * 1e3 for name, at in by_id.items() if name in arrived)
        dropped = len(mesh.run.history().of("spans.dropped"))
    p50, p99 = quantile(late, 0.5), quantile(late, 0.99)
    print(
        f"{'to the record':<20} p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {late[-1]:.0f} after it; {len(late)} of "
        f"{len(by_id)} requests at {LOAD_RATE}/s, {dropped} drops told   aim p99 <= {AIM_P99:g}"
    )


def _follow(mesh: Mesh, arrived: dict[str, float], stop: threading.Event) -> None:
    path, offset = mesh.run.directory / "spans.jsonl", 0
    while True:
        last = stop.is_set()
        data = path.read_bytes()[offset:] if path.exists() else b""
        now = mesh.run.now
        whole = data[: data.rfind(b"\n") + 1]
        offset += len(whole)
        for line in whole.splitlines():
            span = parse_span(line, 0.0)
            if span.attributes.get("meshtest.direction") == "outbound" and span.kind == "server":
                arrived.setdefault(str(span.attributes["x-meshtest-id"]), now)
        if last:
            return
        time.sleep(0.002)


def _cpu_of_envoy() -> None:
    spent = {traces: _cpu(traces) for traces in ("off", "sampled", "all")}
    off = spent["off"]
    told = ", ".join(f"{traces} {us:.0f} us ({us / off:.2f})" for traces, us in spent.items())
    print(f"{'Envoy CPU a request':<20} {told}")


def _cpu(traces: str) -> float:
    with _mesh(traces) as mesh:
        provider: Any = mesh.provider
        with mesh.load("GET http://web/", rps=LOAD_RATE) as load:
            load.until(requests=LOAD_RATE // 2)
            before, ran = len(load.requests), provider.proxy_cpu().ran
            load.until(seconds=LOAD_SECONDS / 2)
            after, spent = len(load.requests), provider.proxy_cpu().ran - ran
    return spent / (after - before) * 1e6


def _start() -> None:
    def once(traces: str) -> float:
        began = time.perf_counter()
        with _mesh(traces):
            return time.perf_counter() - began

    once("off")
    took: dict[str, list[float]] = {"off": [], "sampled": []}
    for _ in range(STARTS):
        for traces, times in took.items():
            times.append(once(traces))
    _print_start(took, statistics.median)


def _print_start(took: dict[str, list[float]], middle: Callable[[list[float]], float]) -> None:
    off, sampled = (middle(took[traces]) * 1e3 for traces in ("off", "sampled"))
    print(f"{'mesh up':<20} off {off:.0f} ms, sampled {sampled:.0f} ms: {sampled - off:+.0f} ms   aim <= +5")


if __name__ == "__main__":
    main()
