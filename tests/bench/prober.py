"""The prober against a bare server: rate, lateness, CPU a request, start.

The server is a process of its own. With two cores or more it gets the first and the prober the second; anything else
that runs on the machine is in the figures, so compare ratios, and run it twice.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meshtest.loads import Load, LoadSpec
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance

SERVER = r"""
import os, select, socket
if hasattr(os, "sched_setaffinity") and os.cpu_count() > 1:
    os.sched_setaffinity(0, {0})
listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
listener.setblocking(False)
print(listener.getsockname()[1], flush=True)
answer = b"HTTP/1.1 200 OK\r\nserver: envoy\r\nx-meshtest-served-by: web/v1/web-1\r\n" \
         b"x-envoy-attempt-count: 1\r\ncontent-length: 2\r\n\r\nok"
poll, connections = select.epoll(), {}
poll.register(listener, select.EPOLLIN)
while True:
    for fd, _ in poll.poll():
        if fd != listener.fileno():
            connection = connections[fd]
            try:
                data = connection.recv(65536)
                connection.send(answer) if data else None
            except OSError:
                data = b""
            if not data:
                del connections[fd]
                connection.close()
            continue
        try:
            while True:
                connection = listener.accept()[0]
                connection.setblocking(False)
                connections[connection.fileno()] = connection
                poll.register(connection, select.EPOLLIN)
        except BlockingIOError:
            pass
"""

SECONDS = 2.0
OPEN: tuple[tuple[float, list[str]], ...] = (
    (500, ["keepalive", "fresh"]), (2_000, ["keepalive"]), (2_000, ["keepalive", "fresh"]),
    (5_000, ["keepalive", "fresh"]), (10_000, ["keepalive"]), (20_000, ["keepalive"]),
)  # fmt: skip
CLOSED = (["keepalive"], ["fresh"])


@contextlib.contextmanager
def server() -> Iterator[Entrance]:
    process = subprocess.Popen([sys.executable, "-I", "-c", SERVER], stdout=subprocess.PIPE)
    with process:
        assert process.stdout
        try:
            yield Entrance("127.0.0.1", int(process.stdout.readline()), False)
        finally:
            process.kill()


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(entrance: Entrance, folder: Path, **options: Any) -> str:
    """One line: what a load reached, and what it cost."""
    spec = LoadSpec.of("http://web/", **options)
    load = Load(spec, Place(name=spec.name, entrance=entrance, directory=folder))
    before = time.perf_counter()
    load.start()
    started = time.perf_counter() - before
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(load.pid, {1})
    used, begin = cpu(load.pid), load.finished
    load.wait(seconds=SECONDS)
    used, requests = cpu(load.pid) - used, load.finished - begin
    end = load.stop()
    failed = sum(count for fate, count in end.fates.items() if fate)
    return (
        f"{end.rate:>9.0f}/s  late p50 {end.late_p50 * 1e6:>5.0f} us  p99 {end.late_p99 * 1e6:>6.0f} us  "
        f"cpu {used / requests * 1e6:>5.1f} us/request ({used / SECONDS:.2f} cores)  "
        f"gap {end.max_gap * 1e3:.1f} ms  start {started * 1e3:.0f} ms  failed {failed}"
    )


def loads() -> None:
    with server() as entrance, tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        for number, (rate, lanes) in enumerate(OPEN):
            line = measure(entrance, folder, name=f"open-{number}", rate=rate, lanes=lanes)
            print(f"open loop   {'+'.join(lanes):<15} {rate:>6.0f}/s  -> {line}")
        for number, lanes in enumerate(CLOSED):
            line = measure(entrance, folder, name=f"closed-{number}", rate=None, concurrency=20, lanes=lanes)
            print(f"closed loop {'+'.join(lanes):<15}     max  -> {line}")


def main() -> None:
    loads()


if __name__ == "__main__":
    main()
