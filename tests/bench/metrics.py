"""Metrics: 100,000 requests counted exactly, the time of /metrics for 20 services, Envoy's CPU per request."""

from __future__ import annotations

import contextlib
import http.client
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from meshtest_envoy import plane
from meshtest_envoy.xds.snapshot import Translator

from meshtest.mesh import open_mesh
from meshtest.mesh.mesh import Mesh
from meshtest.model.request import Fate
from meshtest.settings import Settings
from tests.envoy.test_metrics import CANARY, ROUTES

REQUESTS = 100_000
CONCURRENCY = 16
SERVICES = 20
ROUNDS = 15
"""With and without counting, in turns."""
SHARE = 1000
"""Requests a round."""
AIM_PAGE = 10.0
"""ms"""
AIM_CPU = 5.0
"""% of what Envoy needs for a request"""


def main() -> None:
    exact()
    page()
    cpu()


def opened(folder: str) -> Mesh:
    return open_mesh("bench", Settings(reports=Path(folder), preflight="off"))


def exact() -> None:
    with tempfile.TemporaryDirectory() as folder, opened(folder) as mesh:
        mesh.apply(text=CANARY + "---" + ROUTES)
        load = mesh.load("GET http://web/", requests=REQUESTS, concurrency=CONCURRENCY, source="shop").run()
        sent = sum(r.fate is not Fate.NOT_SENT for r in load.requests)
        metrics = mesh.metrics()
        hops = Counter(hop.direction for hop in mesh.hops())
        told = {r: metrics.value("istio_requests_total", reporter=r) for r in ("source", "destination")}
        flags = metrics.by("istio_requests_total", "response_flags", reporter="source")
        print(f"{sent} requests sent; counted by callers {told['source']:.0f}   aim {sent}")
        print(f"reached services {hops['inbound']}; counted there {told['destination']:.0f}   aim {hops['inbound']}")
        print("flags: " + ", ".join(f"{flag} {count:.0f}" for flag, count in sorted(flags.items())))


def page() -> None:
    with tempfile.TemporaryDirectory() as folder, opened(folder) as mesh:
        mesh.apply(text="---".join(chain(SERVICES)))
        url = urlsplit(mesh.metrics_url)
        connection = http.client.HTTPConnection(url.netloc)
        first = get(connection)
        mesh.load("GET http://s0/", requests=200, rps=100).run()
        warm = get(connection)
        still = min(get(connection) for _ in range(5))
        with mesh.load("GET http://s0/", rps=50) as load:
            busy = []
            for _ in range(10):
                load.until(requests=20)
                busy.append(get(connection))
        busy.sort()
        size = len(mesh.metrics().text)
        lines = mesh.metrics().text.count("\n")
        print(f"/metrics of {SERVICES} services that call each other, {lines} lines, {size / 1e6:.1f} MB:")
        print(f"  the first {first:.1f} ms, after the first requests {warm:.1f} ms, without news {still:.1f} ms")
        print(f"  under load, all series having grown: p50 {busy[5]:.1f} ms, max {busy[-1]:.1f}   aim <= {AIM_PAGE:g}")


def chain(count: int) -> list[str]:
    """A service calls the next; the last calls nobody."""
    return [service(number, f"http://s{number + 1}/" if number + 1 < count else "") for number in range(count)]


def service(number: int, calls: str) -> str:
    annotations = f"annotations: {{meshtest.dev/calls: {calls}}}" if calls else ""
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: s{number}}}
spec: {{selector: {{app: s{number}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: s{number}-v1}}
spec:
  selector: {{matchLabels: {{app: s{number}}}}}
  template:
    metadata:
      labels: {{app: s{number}, version: v1}}
      {annotations}
    spec: {{containers: [{{name: app, image: "app:1", ports: [{{containerPort: 8080}}]}}]}}
"""


def get(connection: http.client.HTTPConnection) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    connection.request("GET", "/metrics")
    connection.getresponse().read()
    return (time.perf_counter() - began) * 1e3


def cpu() -> None:
    """Envoy's CPU per request of two hops, of two meshes in turns: one counts, the other does not."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        meshes = {}
        for counting in (True, False):
            with mock.patch.object(plane, "Translator", Translator if counting else Uncounted):
                meshes[counting] = stack.enter_context(opened(folder))
                meshes[counting].apply(text=CANARY.replace("503:40", "503:0"))
        spent: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(ROUNDS):
            for counting, mesh in meshes.items():
                spent[counting].append(one_round(mesh))
    with_, without = (sorted(spent[counting][1:])[ROUNDS // 2] for counting in (True, False))
    print(f"Envoy's CPU per request, two proxies: {with_:.1f} us with metrics, {without:.1f} us without: ", end="")
    print(f"{(with_ / without - 1) * 100:+.1f} %   aim <= {AIM_CPU:g} %")


class Uncounted(Translator):
    def __init__(self, *, counting: Any = None, **more: Any) -> None:
        super().__init__(**more)


def one_round(mesh: Mesh) -> float:
    pid = mesh.provider.envoy_pid  # type: ignore[attr-defined]
    before = seconds(pid)
    mesh.load("GET http://web/", requests=SHARE, concurrency=CONCURRENCY, source="shop").run()
    return (seconds(pid) - before) / SHARE * 1e6


def seconds(pid: int) -> float:
    """Of its worker, by the kernel's account (docs.kernel.org/scheduler/sched-stats.html)."""
    found = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text().startswith("wrk:"):
            found += int((task / "schedstat").read_text().split()[0])
    return found / 1e9


if __name__ == "__main__":
    main()
