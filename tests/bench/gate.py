"""Gate checks at 500 a second: latency and CPU, beside a plain Starlette application that does next to nothing.

Both are one process, uvicorn with httptools; the prober takes turns between them, so that whatever else runs on the
machine meets both. Latency counts from the intended moment; how late the prober itself was is what the machine took
from both, and the share of CPU that its host gave to others (`steal`) is why: above 5 ms the aim cannot be seen on it.
The endpoint checks a token, reads the payload as strictly as ever,
and answers from a gate that is open for this revision; the plain one parses the JSON and looks into a dict.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from meshtest.lib.wait import until
from meshtest.loads import Load, LoadSpec
from meshtest.mesh.canary.machine import Reading
from meshtest.model.request import Fate, Requests
from meshtest.model.tables import quantile
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance
from tests.bench.prober import cpu

RATE, SECONDS, ROUNDS = 500.0, 5.0, 4
AIM = 5.0
"""ms, p99"""
TOKEN = "0123456789abcdef"
PAYLOAD = json.dumps({"name": "web", "namespace": "shop", "checksum": "c2", "phase": "Progressing"})
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
PLAIN = """
import socket, uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
gates = {("shop", "web"): True}
async def check(request):
    asked = await request.json()
    is_open = gates.get((asked["namespace"], asked["name"]))
    return PlainTextResponse("Approved" if is_open else "Forbidden", 200 if is_open else 403)
bound = socket.create_server(("127.0.0.1", 0))
bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
print(f"listening on http://127.0.0.1:{bound.getsockname()[1]},", flush=True)
app = Starlette(routes=[Route("/gate/check", check, methods=["POST"])])
uvicorn.Server(uvicorn.Config(app, http="httptools", loop="asyncio", access_log=False, log_config=None)).run([bound])
"""


class Served(NamedTuple):
    name: str
    pid: int
    port: int


class Taken(NamedTuple):
    """Of one server over all rounds."""

    latencies: list[float]
    """ms"""
    late: list[float]
    """ms that the sender woke up after the intended moment"""
    cpu: list[float]
    """us a request, a round"""
    failed: list[int]


@contextlib.contextmanager
def served(name: str, folder: Path, *words: object) -> Iterator[Served]:
    out = folder / f"{name}.out"
    with out.open("w") as file:
        process = subprocess.Popen([sys.executable, *map(str, words)], cwd=folder, stdout=file)
    with process:
        try:
            until(lambda: "\n" in out.read_text(), within=60, what=lambda: f"{name} does not come up")
            yield Served(name, process.pid, int(re.findall(r":(\d+),", out.read_text())[0]))
        finally:
            process.terminate()


def one_round(server: Served, folder: Path, number: int, taken: Taken) -> None:
    entrance = Entrance("127.0.0.1", server.port, False)
    name = f"{server.name}-{number}"
    spec = LoadSpec.of(
        "POST http://gate/gate/check", name=name, body=PAYLOAD, headers=HEADERS, rate=RATE, lanes=["keepalive"],
    )  # fmt: skip
    load = Load(spec, Place(name=name, entrance=entrance, directory=folder))
    before = cpu(server.pid)
    load.start()
    until(lambda: load.finished >= RATE * SECONDS, within=60, what=lambda: f"{name} is too slow", every=0.25)
    load.stop()
    requests = Requests.as_written(name, (folder / "requests" / f"{name}.bin").read_bytes(), [""])
    answered = [one for one in requests if one.fate is Fate.ANSWERED and one.status == 200]
    taken.latencies.extend((one.latency or 0.0) * 1e3 for one in answered)
    taken.late.extend((one.late or 0.0) * 1e3 for one in answered)
    taken.failed.append(len(requests) - len(answered))
    taken.cpu.append((cpu(server.pid) - before) / len(requests) * 1e6)


def main() -> None:
    with tempfile.TemporaryDirectory() as made, contextlib.ExitStack() as open_:
        folder = Path(made)
        (folder / "suites" / "a").mkdir(parents=True)
        (folder / "suites" / "a" / "test_a.py").touch()
        (folder / "token").write_text(TOKEN)
        (folder / "requests").mkdir()
        ours = served(
            "endpoint", folder, "-m", "meshtest", "webhook", "serve", "--suites", "suites", "--listen", ":0",
            "--token-file", "token",
        )  # fmt: skip
        servers = [open_.enter_context(one) for one in (ours, served("starlette", folder, "-c", PLAIN))]
        opening = urllib.request.Request(f"http://127.0.0.1:{servers[0].port}/gate/open", PAYLOAD.encode(), HEADERS)
        urllib.request.urlopen(opening, timeout=60).close()
        taken = {server: Taken([], [], [], []) for server in servers}
        before = Reading.now()
        for number in range(ROUNDS):
            for server in servers:
                one_round(server, folder, number, taken[server])
        stolen = before.until(Reading.now()).stolen
        for server, found in taken.items():
            _print(server.name, found)
        print(f"the host stole {stolen * 100:.1f} % of the CPU during the rounds")


def _print(name: str, taken: Taken) -> None:
    ordered = sorted(taken.latencies)
    p50, p99, late = quantile(ordered, 0.5), quantile(ordered, 0.99), quantile(sorted(taken.late), 0.99)
    aim = f"   aim <= {AIM:g} ms" if name == "endpoint" else ""
    print(
        f"{name:<10} {len(ordered)} checks at {RATE:g}/s, {sum(taken.failed)} failed: p50 {p50:.2f} ms, p99 {p99:.2f} "
        f"ms (the sender was late by {late:.2f} ms), cpu {min(taken.cpu):.0f} us each{aim}"
    )


if __name__ == "__main__":
    main()
