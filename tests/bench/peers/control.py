"""The control: a loop that does nothing but spin and send on time. What it is late by, the host is late by."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bench.peers.tool import Order, Program, Told

_SPIN = r"""
import gc, socket, sys, time
port, rate, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
gc.disable()
link = socket.create_connection(("127.0.0.1", port))
link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
link.setblocking(False)
request = b"GET / HTTP/1.1\r\nhost: web\r\n\r\n"
start, period, clock = time.monotonic_ns(), 1e9 / rate, time.monotonic_ns
for k in range(int(rate * seconds)):
    due = start + int(k * period)
    while clock() < due:
        pass
    link.send(request)
    try:
        link.recv(65536)
    except BlockingIOError:
        pass
time.sleep(0.05)
"""


class Control(Program):
    name = "spinning control"
    program = "python"

    def missing(self) -> str:
        return ""

    def command(self, order: Order, folder: Path) -> list[str]:
        return [sys.executable, "-I", "-S", "-c", _SPIN, str(order.port), str(order.rate), str(order.seconds)]

    def told(self, order: Order, folder: Path, output: str) -> Told:
        return Told(counts={})
