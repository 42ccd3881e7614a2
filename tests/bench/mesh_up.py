"""From YAML on disk to the first served request, and what a pod costs in memory.

Bookinfo (the demo's shop: 4 services, 6 versions or so) and 10 services of 2 versions, each in a process of its own,
with its bytecode at hand as after an installation. CPU is that of the runner alone.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RUNS = 7
AIMS = {"bookinfo": 0.6, "ten": 1.0}
MEMORY_AIM = 3.0
"""MiB a pod in the shared mesh."""

CHILD = """
import json, sys, time, urllib.request
from pathlib import Path
began = time.perf_counter()
from meshtest.mesh import open_mesh
from meshtest.settings import Settings
imported = time.perf_counter()
with open_mesh("bench", Settings(reports=Path(sys.argv[2]))) as mesh:
    mesh.apply(sys.argv[1])
    applied = time.perf_counter()
    name = mesh.topology.services[0].name
    port = mesh.topology.services[0].ports[0].number
    proxy = urllib.request.ProxyHandler({"http": mesh.provider.describe()["proxy"]})
    assert urllib.request.build_opener(proxy).open(f"http://{name}:{port}/").status == 200
    served = time.perf_counter()
    pids = [pod.pid for pod in mesh.provider.pods()]
    uss = [sum(int(line.split()[1]) for line in open(f"/proc/{pid}/smaps_rollup") if line.startswith("Private_"))
           for pid in pids]
    mapped = Path(f"/proc/{mesh.provider.envoy_pid}/smaps_rollup").read_text()
    print(json.dumps({"imports": imported - began, "apply": applied - imported, "total": served - began,
                      "cpu": time.process_time(), "pods": len(pids), "uss": uss, "envoy": mapped}))
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("bookinfo", _bookinfo()), ("ten", _ten_by_two())):
            path = Path(folder) / f"{name}.yaml"
            path.write_text(text)
            _, *found = [_once(path, folder) for _ in range(1 + RUNS)]  # the first compiles
            total, cpu = ([f[key] for f in found] for key in ("total", "cpu"))
            print(
                f"{name:<9} {found[0]['pods']:>3} pods: YAML to first served request {statistics.median(total):.3f} s "
                f"(min {min(total):.3f}, max {max(total):.3f}; CPU {statistics.median(cpu):.3f})"
                f"   aim <= {AIMS[name]:g}"
            )
            uss = statistics.median(statistics.mean(f["uss"]) for f in found) / 1024
            envoy = statistics.median(_private(f["envoy"]) for f in found) / 1024
            print(f"{'':<9} memory a pod {uss:.2f} MiB USS (Envoy itself {envoy:.1f} MiB)   aim <= {MEMORY_AIM:g}")


def _once(path: Path, folder: str) -> dict[str, object]:
    command = [sys.executable, "-c", CHILD, str(path), str(Path(folder) / "reports")]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "bytecode")
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, env=env)
    return dict(json.loads(done.stdout))


def _private(smaps: object) -> int:
    """KiB; without the binary's pages, which every Envoy on the machine shares."""
    return sum(int(n) for n in re.findall(r"^Private_Dirty:\s+(\d+) kB", str(smaps), re.MULTILINE))


def _bookinfo() -> str:
    from importlib.resources import files

    return (files("meshtest.cli") / "scenes" / "shop.yaml").read_text()


SERVICE = """
apiVersion: v1
kind: Service
metadata: {{name: s{n}}}
spec: {{selector: {{app: s{n}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: s{n}}}
spec: {{host: s{n}, subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: s{n}}}
spec:
  hosts: [s{n}]
  http:
  - route:
    - {{destination: {{host: s{n}, subset: v1}}, weight: 90}}
    - {{destination: {{host: s{n}, subset: v2}}, weight: 10}}
---
"""
VERSION = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: s{n}-{v}}}
spec:
  selector: {{matchLabels: {{app: s{n}, version: {v}}}}}
  template:
    metadata: {{labels: {{app: s{n}, version: {v}}}}}
    spec: {{containers: [{{name: s, image: "s:{v}", ports: [{{containerPort: 8080}}]}}]}}
---
"""


def _ten_by_two() -> str:
    services = "".join(SERVICE.format(n=n) for n in range(10))
    return services + "".join(VERSION.format(n=n, v=v) for n in range(10) for v in ("v1", "v2"))


if __name__ == "__main__":
    main()
