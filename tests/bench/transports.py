"""What a request costs the prober on each transport: CPU, and the time from start() to the first request.

HTTP is answered by an Envoy that answers by itself, TCP by Envoy's echo filter, messages by a server of threads here. A
closed loop of 20, so that CPU per request is the work and not the waking up; the machine's other work is in the times.
"""

from __future__ import annotations

import contextlib
import json
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meshtest_envoy.envoy import binary, command

from meshtest.lib.wait import until
from meshtest.loads import Load, LoadSpec
from meshtest.loads.ask import TlsAsk
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance
from meshtest.testing.certificates import CertificateAuthority, Pair
from tests.bench.prober import CONNECTIONS, FILTERS, answers, bootstrap, cpu, pin
from tests.loads import hostile_stream
from tests.loads.hostile_stream import GrpcStreamServer, WebSocketServer

SECONDS = 1.5
STARTS = 5


def config(clear: int, secure: int, echo: int, pair: Pair) -> dict[str, Any]:
    """Three listeners: HTTP in the clear, the same inside TLS, an echo."""
    made = bootstrap(clear)
    (first,) = made["static_resources"]["listeners"]
    certificate = {
        "certificate_chain": {"inline_string": pair.certificate},
        "private_key": {"inline_string": pair.key},
    }
    tls = {
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_certificates": [certificate], "alpn_protocols": ["h2", "http/1.1"]},
    }
    (chain,) = first["filter_chains"]
    inside = {**chain, "transport_socket": {"name": "tls", "typed_config": tls}}
    sends_back = {"name": "echo", "typed_config": {"@type": f"{FILTERS}.network.echo.v3.Echo"}}
    made["static_resources"]["listeners"] += [_listener(secure, inside), _listener(echo, {"filters": [sends_back]})]
    return made


def _listener(port: int, chain: dict[str, Any]) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"address": address, "filter_chains": [chain]}


@contextlib.contextmanager
def envoy(pair: Pair) -> Iterator[tuple[int, int, int]]:
    """Its ports."""
    with contextlib.ExitStack() as stack:
        unused = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        ports = [one.getsockname()[1] for one in unused]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(config(*ports, pair), file)
        file.flush()
        with subprocess.Popen(command(binary(), Path(file.name)), stderr=subprocess.DEVNULL) as process:
            try:
                pin(process.pid, 0)
                until(lambda: all(map(answers, ports)), within=20, what=lambda: "Envoy does not answer")
                yield ports[0], ports[1], ports[2]
            finally:
                process.kill()


def measure(name: str, port: int, request: str, **options: Any) -> None:
    """Print one line."""
    with tempfile.TemporaryDirectory() as directory:
        options = {"lanes": ["keepalive"], "concurrency": CONNECTIONS, "connections": CONNECTIONS} | options
        spec = LoadSpec.of(request, **options)
        load = Load(spec, Place(name="load", entrance=Entrance("127.0.0.1", port, False), directory=Path(directory)))
        load.start()
        pin(load.pid, 1)
        time.sleep(0.3)
        used, begin = cpu(load.pid), load.finished
        time.sleep(SECONDS)
        used, requests = cpu(load.pid) - used, load.finished - begin
        end = load.stop()
    failed = sum(count for fate, count in end.fates.items() if fate)
    started = statistics.median(_start(spec, port) for _ in range(STARTS))
    print(
        f"{name:<24} cpu {used / requests * 1e6:>6.1f} us/request  {requests / SECONDS:>7.0f}/s"
        f"  start {started * 1e3:>4.0f} ms  failed {failed}",
        flush=True,
    )


def _start(spec: LoadSpec, port: int) -> float:
    with tempfile.TemporaryDirectory() as directory:
        load = Load(spec, Place(name="load", entrance=Entrance("127.0.0.1", port, False), directory=Path(directory)))
        before = time.perf_counter()
        load.start()
        started = time.perf_counter() - before
        load.stop()
    return started


def main() -> None:
    authority = CertificateAuthority()
    tls = TlsAsk(ca=authority.root)
    with envoy(authority.pair("web")) as (clear, secure, echo):
        measure("http1", clear, "http://web/")
        measure("http1 fresh", clear, "http://web/", lanes=["fresh"])
        measure("https", secure, "https://web/", tls=tls)
        measure("https fresh", secure, "https://web/", tls=tls, lanes=["fresh"])
        measure("http2", clear, "http://web/", protocol="http2")
        measure("http2 fresh", clear, "http://web/", protocol="http2", lanes=["fresh"])
        measure("http2 inside TLS", secure, "https://web/", tls=tls, protocol="http2")
        measure("grpc", clear, "grpc://web/a.B/C")
        measure("tcp", echo, "tcp://web:1/", body="{id};")
    with WebSocketServer([hostile_stream.echoes]) as server:
        measure("websocket", server.port, "ws://web/")
    with GrpcStreamServer([hostile_stream.echoes]) as server:
        measure("grpc stream", server.port, "grpc://web/a.B/C", protocol="grpc_stream")
