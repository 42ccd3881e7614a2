"""Rehearsals beside busy processes: is a version ever blamed for what the machine did, and is a bad one found out?

A good version must not be rolled back and proven bad; a bad one must be, on a machine that is not short of CPU.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meshtest.mesh import open_mesh
from meshtest.mesh.canary import machine
from meshtest.model.rehearsal import Rehearsal
from meshtest.settings import Settings

BUSY = (0, 6)
"""Processes, one after the other."""
LONGEST = 120.0
"""Seconds after which a busy process ends by itself."""
SPEEDS = (20, 60, 120)
VERSIONS = {
    "good": {},
    "1 of 3 fails": {"meshtest.dev/errors": "503:33"},
    "slow": {"meshtest.dev/delay": "600ms"},
    "never ready": {"meshtest.dev/ready-after": "10h"},
}
CANARY = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: test}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: example/web:v1
        ports: [{containerPort: 9898}]
        readinessProbe: {httpGet: {path: /, port: 9898}, periodSeconds: 5}
---
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: web, namespace: test}
spec:
  provider: istio
  progressDeadlineSeconds: 180
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  service: {port: 9898}
  analysis:
    interval: 1m
    threshold: 2
    stepWeights: [20, 40]
    metrics:
    - {name: request-success-rate, interval: 1m, thresholdRange: {min: 99}}
    - {name: request-duration, interval: 1m, thresholdRange: {max: 500}}
"""


def main() -> None:
    for count in BUSY:
        with busy(count):
            for speed in SPEEDS:
                for name, annotations in VERSIONS.items():
                    _show(count, speed, name, annotations)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that want a CPU."""
    hogs = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(count)]
    for hog in hogs:
        hog.start()
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.join()


def _spin() -> None:
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        pass


def _show(count: int, speed: float, name: str, annotations: dict[str, str]) -> None:
    before, began = machine.Reading.now(), time.monotonic()
    found = rehearsed(speed, annotations)
    strain, took = before.until(machine.Reading.now()), time.monotonic() - began
    failing = sum(row.failed_checks > 0 for row in found.ticks)
    print(
        f"{count} busy, stolen {strain.stolen:.0%}, pressed {strain.pressed:.0%}; speed {speed:<3g} {name:<12} "
        f"{outcome(found):<11} {len(found.ticks)} ticks, {failing} with a failed check, {took:.1f} s  {found.unproven}",
        flush=True,
    )


def rehearsed(speed: float, annotations: dict[str, str]) -> Rehearsal:
    with tempfile.TemporaryDirectory() as folder, open_mesh("starved", Settings(reports=Path(folder))) as mesh:
        return mesh.canary(text=CANARY, speed=speed).run(to="v2", annotations=annotations)


def outcome(found: Rehearsal) -> str:
    return "UNKNOWN" if found.unproven else found.ending


if __name__ == "__main__":
    main()
