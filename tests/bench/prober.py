"""The prober against one Envoy, beside wrk: rate, lateness, CPU a request, start; and judging a million records.

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
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from meshtest_envoy.envoy import binary, command

from meshtest.checks import judge, latency, no_downtime, reached, split
from meshtest.errors import LoadError
from meshtest.lib.wait import until
from meshtest.loads import Load, LoadSpec
from meshtest.model.history import Event, History
from meshtest.model.record import NO_CODE, RECORD
from meshtest.model.request import Requests
from meshtest.reporters.console import summary
from meshtest.spi.check import Check
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
MILLION = 1_000_000
BODY = (2, 0, 0, NO_CODE)
"""Size, target, transport and code of a record."""


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


def _row(i: int) -> bytes:
    status, server = 200 + 303 * (not i % 100_003), 1 + (not i % 10)
    return RECORD.pack((i ^ 1) * 100_000, i, 3, 5_000, 9_000 + i % 997, status, server, 0, i % 2, 1, 1, *BODY)


def million() -> None:
    """A million requests: neighbours swapped as two lanes do, 10 % to v2, a few failed."""
    raw = b"".join(_row(i) for i in range(MILLION))
    tracemalloc.start()
    requests, opened = timed(lambda: Requests.of_loads([("load", raw, ["web/v1/a", "web/v2/b"])]))
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    _, opened = timed(lambda: Requests.of_loads([("load", raw, ["web/v1/a", "web/v2/b"])]))
    print(f"a million records: open {opened:.2f} s, {kept / MILLION:.0f} bytes each (peak {peak / MILLION:.0f})")
    shares = {"web.default": {"v1": 90, "v2": 10}}
    applied = Event(-2.0, "config.apply", data={"number": 1, "shares": shares})
    events = [applied, Event(-1.0, "config.ack", data={"number": 1})]
    history = History(events, requests, start=-10.0)
    checks: list[Check] = [
        no_downtime(),
        split(host="web"),
        latency(below=1.0),
        reached(host="web", exactly=("v1", "v2")),
    ]
    for check in checks:
        _, seconds = timed(lambda check=check: check.judge(history))
        print(f"  {check.name:<12} {seconds:.2f} s")
    verdict, seconds = timed(lambda: judge(history, checks))
    print(f"  all together {seconds:.2f} s: {verdict.outcome.name}")
    _, seconds = timed(lambda: summary(history, verdict))
    print(f"  summary      {seconds:.2f} s; peak memory of this process {_peak():.0f} MB")


def timed(work: Any) -> tuple[Any, float]:
    before = time.perf_counter()
    result = work()
    return result, time.perf_counter() - before


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    loads()
    million()


if __name__ == "__main__":
    main()
