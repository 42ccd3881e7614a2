"""The prober against one Envoy, beside wrk: rate, lateness, CPU a request, start.

Envoy answers by itself, so that nothing but it and the client is measured. With two cores or more it gets the first and
the prober the second; anything else that runs on the machine is in the figures, so compare ratios, and run it twice.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meshtest_envoy.envoy import binary, command

from meshtest.errors import LoadError
from meshtest.lib.wait import until
from meshtest.loads import Load, LoadSpec
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance

ANSWER = {
    "status": 200,
    "body": {"inline_string": "ok"},
}
FILTERS = "type.googleapis.com/envoy.extensions.filters"
HEADERS = {"x-meshtest-served-by": "web/v1/web-1", "x-envoy-attempt-count": "1"}

SECONDS = 2.0
OPEN: tuple[tuple[float, list[str]], ...] = (
    (500, ["keepalive", "fresh"]), (2_000, ["keepalive"]), (2_000, ["keepalive", "fresh"]),
    (5_000, ["keepalive", "fresh"]), (10_000, ["keepalive"]), (20_000, ["keepalive"]),
)  # fmt: skip
CONNECTIONS = 20
CLOSED = (["keepalive"], ["fresh"])


def bootstrap(port: int) -> dict[str, Any]:
    """An Envoy that answers by itself, with the headers of a mesh."""
    added = [{"header": {"key": name, "value": value}} for name, value in HEADERS.items()]
    route = {"match": {"prefix": "/"}, "direct_response": ANSWER, "response_headers_to_add": added}
    router = {"@type": f"{FILTERS}.http.router.v3.Router"}
    manager = {
        "@type": f"{FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": router}],
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    return {"static_resources": {"listeners": [{"address": address, "filter_chains": [chain]}]}}


@contextlib.contextmanager
def server() -> Iterator[Entrance]:
    """On the first core."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(bootstrap(port), file)
        file.flush()
        process = subprocess.Popen(command(binary(), Path(file.name)), stderr=subprocess.DEVNULL)
        with process:
            try:
                pin(process.pid, 0)
                until(lambda: answers(port), within=20, what=lambda: "Envoy does not answer")
                yield Entrance("127.0.0.1", port, False)
            finally:
                process.kill()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


def pin(pid: int, core: int) -> None:
    """All threads of a process that has just begun."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        for task in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})


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
    pin(load.pid, 1)
    used, begin = cpu(load.pid), load.finished
    time.sleep(SECONDS)
    used, requests = cpu(load.pid) - used, load.finished - begin
    try:
        end = load.stop()
    except LoadError as error:
        return str(error)
    failed = sum(count for fate, count in end.fates.items() if fate)
    return (
        f"{end.rate:>9.0f}/s  late p50 {end.late_p50 * 1e6:>5.0f} us  p99 {end.late_p99 * 1e6:>6.0f} us  "
        f"cpu {used / requests * 1e6:>5.1f} us/request ({used / SECONDS:.2f} cores)  "
        f"gap {end.max_gap * 1e3:.1f} ms  start {started * 1e3:.0f} ms  failed {failed}"
        + (f"\n    saturated: {end.saturated}" if end.saturated else "")
    )


def wrk(entrance: Entrance) -> str:
    """The yardstick, on the core of the prober: one thread, as many connections."""
    if not shutil.which("wrk"):
        return "not installed (apt install wrk)"
    asked = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS:.0f}s", f"http://{entrance.address}:{entrance.port}/"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(asked, stdout=subprocess.PIPE, text=True)
    pin(process.pid, 1)
    out, _ = process.communicate()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    requests = int(re.findall(r"(\d+) requests in", out)[0])
    return f"{requests / SECONDS:>9.0f}/s  cpu {used / requests * 1e6:.1f} us/request"


def loads() -> None:
    with server() as entrance, tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        for number, (rate, lanes) in enumerate(OPEN):
            line = measure(entrance, folder, name=f"open-{number}", rate=rate, lanes=lanes)
            print(f"open loop   {'+'.join(lanes):<15} {rate:>6.0f}/s  -> {line}")
        for number, lanes in enumerate(CLOSED):
            line = measure(
                entrance,
                folder,
                name=f"closed-{number}",
                rate=None,
                concurrency=CONNECTIONS,
                connections=CONNECTIONS,
                lanes=lanes,
            )
            print(f"closed loop {'+'.join(lanes):<15}     max  -> {line}")
        print(f"closed loop wrk                 max  -> {wrk(entrance)}")


def main() -> None:
    loads()


if __name__ == "__main__":
    main()
