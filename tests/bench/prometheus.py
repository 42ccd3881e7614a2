"""A real Prometheus beside a mesh: ready, a scrape, an answer as of now; 20 services, each with its own traffic.

Prometheus' own scrape loop is there to compare with: how long until a target that it is given has its first sample.
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

from meshtest import Settings, open_mesh
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
    print(f"its own scrape loop: first sample {_own_loop():.1f} s after the start")


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


def _own_loop() -> float:
    """Seconds from the start of a Prometheus that scrapes itself."""
    port = prometheus_server._free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\n"
            f"scrape_configs: [{{job_name: own, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
        )
        words = [
            f"--config.file={config}",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        began = time.perf_counter()
        process = subprocess.Popen([prometheus_server.binary(), *words], stderr=subprocess.DEVNULL)
        try:
            until(lambda: _sampled(port), within=60.0, what=lambda: "no sample", every=0.05)
            return time.perf_counter() - began
        finally:
            process.terminate()
            process.wait()


def _sampled(port: int) -> bool:
    try:
        return bool(Client(f"http://127.0.0.1:{port}").get("query", query="up")["result"])
    except Exception:
        return False


if __name__ == "__main__":
    main()
