"""What pods cost: start of the supervisor, fork to listening, memory of 50 pods, requests a second and core.

python tests/bench/pods.py
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, cast

from meshtest_envoy.pods import procs
from meshtest_envoy.pods.client import Supervisor
from meshtest_envoy.pods.runtime import make_runtime_dir
from meshtest_envoy.pods.spec import PodEvent, PodSpec

PODS = 50
SERVED = 1000
REQUEST = (
    b"GET /reviews/1 HTTP/1.1\r\nhost: reviews:9080\r\nuser-agent: bench\r\nx-request-id: 5ba783b8-cb67-4077-80cd\r\n"
    b"x-meshtest-id: main-1234\r\nx-forwarded-proto: http\r\nx-envoy-attempt-count: 1\r\naccept: */*\r\n\r\n"
)
ROUNDS, CONNECTIONS = 300, 64
BARE_PORT = 29999


class Ready:
    """When each pod became ready, on the supervisor's clock."""

    def __init__(self) -> None:
        self.at: dict[str, int] = {}
        self._changed = threading.Condition()

    def __call__(self, event: PodEvent) -> None:
        if event.kind == "ready":
            with self._changed:
                self.at[event.pod] = event.at_ns
                self._changed.notify_all()

    def wait(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.at) >= count, 60), f"{len(self.at)} of {count} ready"


@contextmanager
def supervisor() -> Iterator[tuple[Supervisor, Ready]]:
    ready = Ready()
    made = Supervisor(make_runtime_dir(), ready)
    try:
        yield made, ready
    finally:
        made.close()


def spec(name: str, logs: Path) -> PodSpec:
    return PodSpec(name=name, workload="web", service="web", version="v1", ports=((9080, "http"),), log=logs / name)


def memory(pid: int, *names: str) -> float:
    """Sum of these lines of smaps_rollup, in MiB."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return sum(int(lines[name].split()[0]) for name in names) / 1024


def cpu(pid: int) -> float:
    """Seconds of CPU the process used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_of_supervisor() -> float:
    """Milliseconds from start() to the first reply."""
    with supervisor() as (made, _):
        began = time.perf_counter()
        made.start()
        made.ping()
        return 1e3 * (time.perf_counter() - began)


class Pods(NamedTuple):
    """What PODS stand-ins cost."""

    listening: float
    """Milliseconds a pod until all listen, ..."""
    ready: float
    """... until all are ready."""
    own: float
    """MiB of the median pod after one request, ..."""
    own_later: float
    """... after SERVED requests."""
    share: float
    """MiB of all processes by pods."""
    closed: float
    """Milliseconds."""


def pods(logs: Path) -> Pods:
    with supervisor() as (made, ready):
        made.start()
        made.ping()
        began = time.monotonic_ns()
        started = [made.start_pod(spec(f"web-{n}", logs)) for n in range(PODS)]
        listening = time.monotonic_ns()
        ready.wait(PODS)
        all_ready = max(ready.at.values())
        own = []
        for count in (1, SERVED):
            for one in started:
                served(one.ports[9080], count, 1)
            own.append(statistics.median(memory(one.pid, "Private_Clean", "Private_Dirty") for one in started))
        everyone = [made.pid, *(one.pid for one in procs.descendants(made.pid, procs.everyone()))]
        share = sum(memory(pid, "Pss") for pid in everyone) / PODS
        closing = time.perf_counter()
        made.close()
        closed = 1e3 * (time.perf_counter() - closing)
    return Pods((listening - began) / PODS / 1e6, (all_ready - began) / PODS / 1e6, own[0], own[1], share, closed)


def served(port: int, rounds: int, connections: int) -> None:
    """Ask once on each connection, then wait for all answers; so many rounds."""
    peers = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    for _ in range(rounds):
        for peer in peers:
            peer.sendall(REQUEST)
        for peer in peers:
            peer.recv(65536)
    for peer in peers:
        peer.close()


def bare() -> int:
    """The pid of the least that asyncio can do: the same bytes for whatever comes in. Listens on BARE_PORT."""
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n" + b"x" * 400

    class Bare(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.Transport, transport)

        def data_received(self, data: bytes) -> None:
            self.transport.write(answer)

    async def serve() -> None:
        await (await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", BARE_PORT)).serve_forever()

    if pid := os.fork():
        return pid
    try:
        asyncio.run(serve())
    finally:
        os._exit(0)


def rate(pid: int, port: int) -> float:
    """Requests answered in one second of the server's CPU time."""
    before = cpu(pid)
    served(port, ROUNDS, CONNECTIONS)
    return ROUNDS * CONNECTIONS / (cpu(pid) - before)


def requests(logs: Path) -> tuple[float, float]:
    """The stand-in's rate, and that of bare asyncio, measured in turns."""
    other = bare()
    try:
        with supervisor() as (made, ready):
            made.start()
            pod = made.start_pod(spec("web-0", logs))
            ready.wait(1)
            while not _listens(BARE_PORT):
                pass
            pairs = [(rate(pod.pid, pod.ports[9080]), rate(other, BARE_PORT)) for _ in range(3)]
    finally:
        os.kill(other, signal.SIGKILL)
        os.waitpid(other, 0)
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def _listens(port: int) -> bool:
    with socket.socket() as peer:
        return peer.connect_ex(("127.0.0.1", port)) == 0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        starts = [start_of_supervisor() for _ in range(10)]
        spread = f"min {min(starts):.1f}, max {max(starts):.1f}"
        print(f"start of supervisor      {statistics.median(starts):8.1f} ms ({spread})")
        cost = pods(logs)
        print(f"fork to listening        {cost.listening:8.1f} ms a pod ({PODS} pods, one after the other)")
        print(f"... to ready             {cost.ready:8.1f} ms a pod")
        print(f"memory of its own (USS)  {cost.own:8.2f} MiB a pod (median, after one request)")
        print(f"... later                {cost.own_later:8.2f} MiB a pod (after {SERVED} requests)")
        print(f"memory, all by pods      {cost.share:8.2f} MiB (PSS with the supervisor and its zygote)")
        print(f"close with {PODS} pods       {cost.closed:8.1f} ms")
        ours, least = requests(logs)
        print(f"requests, keep-alive     {ours:8.0f} /s and core (echo of 8 headers as JSON)")
        print(f"... bare asyncio         {least:8.0f} /s and core (constant bytes, nothing parsed)")


if __name__ == "__main__":
    main()
