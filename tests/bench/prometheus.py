"""A real Prometheus beside a mesh: ready, a scrape, an answer as of now; 20 services, each with its own traffic.

Prometheus' own scrape loop is there to compare with: when a target that it is given has its first sample, and that it
reads the endpoint as we do.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from meshtest_telemetry import prometheus_server
from meshtest_telemetry.prometheus_client import Client

from meshtest import Mesh, Settings, open_mesh
from meshtest.lib.wait import until

SERVICES, REQUESTS, TIMES = 20, 2000, 20
AIMS = {"ready": 500.0, "scrape": 150.0, "query": 50.0}
"""ms"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: s{n}}}
spec: {{selector: {{app: s{n}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: s{n}}}
spec:
  selector: {{matchLabels: {{app: s{n}}}}}
  template:
    metadata: {{labels: {{app: s{n}, version: v1}}}}
    spec: {{containers: [{{name: s, image: "example/s", ports: [{{containerPort: 8080}}]}}]}}
"""
ISTIO = '{__name__=~"istio_.*"}'
CONFIG = """\
global: {{scrape_interval: 1s}}
scrape_configs: [{{job_name: meshtest, honor_labels: true, static_configs: [{{targets: ["{target}"]}}]}}]
"""
QUERY = (
    'histogram_quantile(0.99, sum by (le) (rate(istio_request_duration_milliseconds_bucket{reporter="source"}[1m])))'
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, open_mesh("bench", Settings(reports=Path(folder), seed=7)) as mesh:
        mesh.apply(text="---".join(SERVICE.format(n=n) for n in range(SERVICES)))
        mesh.load([f"GET http://s{n}/" for n in range(SERVICES)], rps=300, requests=REQUESTS).run()
        began = time.perf_counter()
        asked = mesh.prometheus
        _say("ready", (time.perf_counter() - began) * 1e3, "from the first mention to its first sample")
        scrapes = _times(lambda: asked.refresh(0.0))
        series = float(mesh.query('count({job=~".+"})'))
        _say("scrape", scrapes, f"{series:.0f} series, handed over")
        _say("query", _times(lambda: asked.query(QUERY)), "a quantile over all buckets")
        exact = _times(lambda: mesh.duration("s0", reporter="source"), times=5)
        print(f"the same quantile of one service, exactly, from {REQUESTS} requests: {exact:.1f} ms")
        _own_loop(mesh)


def _times(action: Callable[[], Any], times: int = TIMES) -> float:
    """ms, the median."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        took.append((time.perf_counter() - began) * 1e3)
    return statistics.median(took)


def _say(what: str, took: float, more: str) -> None:
    print(f"{what:<7} {took:7.1f} ms   aim <= {AIMS[what]:g}{'' if took <= AIMS[what] else '  MISSED'}   ({more})")


def _own_loop(mesh: Mesh) -> None:
    """A Prometheus that scrapes the endpoint itself: how long until it does, and whether it reads the same."""
    port = prometheus_server.free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "prometheus.yml"
        config.write_text(CONFIG.format(target=mesh.metrics_url.split("/")[2]))
        words = [
            f"--config.file={config}",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        began = time.perf_counter()
        process = subprocess.Popen([prometheus_server.binary(), *words], stderr=subprocess.DEVNULL)
        try:
            until(lambda: _sampled(port), within=60.0, what=lambda: "no sample", every=0.05)
            took = time.perf_counter() - began
            found = Client(f"http://127.0.0.1:{port}").get("query", query=ISTIO)["result"]
        finally:
            process.terminate()
            process.wait()
    theirs = {tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in found}
    ours = {tuple(sorted(one.labels.items())): one.value for one in mesh.query(ISTIO)}
    same = "the same" if theirs == ours else "OTHER"
    print(f"its own scrape loop: first sample {took:.1f} s after the start; {same} {len(theirs)} series and values")


def _sampled(port: int) -> bool:
    try:
        return bool(Client(f"http://127.0.0.1:{port}").get("query", query="up")["result"])
    except Exception:
        return False


if __name__ == "__main__":
    main()
