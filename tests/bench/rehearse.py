"""A Canary of ten steps, a minute each, rehearsed at speed 20 (the whole process), and its plan."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

AIM, PLAN_AIM = 35.0, 0.2
"""Seconds. 14 ticks are 13 minutes of production, 39 s at speed 20; three of these slots only wait for pods."""
CANARY = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: podinfo, namespace: test}
spec:
  provider: istio
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: podinfo}
  service: {port: 9898}
  analysis:
    interval: 1m
    threshold: 5
    maxWeight: 50
    stepWeight: 5
    metrics:
    - {name: request-success-rate, interval: 1m, thresholdRange: {min: 99}}
    - {name: request-duration, interval: 1m, thresholdRange: {max: 500}}
    webhooks:
    - name: load-test
      url: http://flagger-loadtester.test/
      metadata: {cmd: "hey -z 1m -q 10 -c 2 http://podinfo-canary.test:9898/"}
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "canary.yaml").write_text(CANARY)
        took, out = _timed(folder, "--to=v2", "--json")
        told = json.loads(out)
        weights = len({row["routes"] for row in told["ticks"]}) - 1
        print(f"{told['sentence']}")
        print(f"{weights} steps of 1 min at speed 20: {took:5.1f} s (whole process)   aim <= {AIM:g} s")
        took, _ = min((_timed(folder, "--plan") for _ in range(3)), key=lambda one: one[0])
        print(f"--plan only: {took:5.2f} s (whole process)   aim <= {PLAN_AIM:g} s")


def _timed(folder: str, *words: str) -> tuple[float, str]:
    command = [sys.executable, "-m", "meshtest", "rehearse", "canary.yaml", *words]
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return time.perf_counter() - began, done.stdout


if __name__ == "__main__":
    main()
