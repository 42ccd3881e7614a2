"""`meshtest rehearse canary.yaml --plan`, whole processes: from the command to the last line.

Aim: 0.2 s. Bytecode is kept as an installation keeps it.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.rollouts.podinfo import ALL_HOOKS, document

RUNS = 15
AIM = 0.2
METRICS = [{"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "canary.yaml"
        told = document(stepWeight=10, threshold=5, metrics=METRICS, webhooks=ALL_HOOKS)
        path.write_text(json.dumps(told.data))
        for name, more in (("--plan", ()), ("--plan --traffic", ("--traffic", "GET / 50rps"))):
            _once(path, folder, *more)  # writes the bytecode
            runs = [_once(path, folder, *more) for _ in range(RUNS)]
            wall, cpu = (statistics.median(run[side] for run in runs) for side in (0, 1))
            print(f"{name:<18} {wall:.3f} s wall, {cpu:.3f} s CPU (median of {RUNS})   aim <= {AIM:g} s")


def _once(path: Path, folder: str, *more: str) -> tuple[float, float]:
    """(wall, CPU) in seconds"""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = folder
    command = [sys.executable, "-m", "meshtest", "rehearse", str(path), "--plan", *more]
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    took, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


if __name__ == "__main__":
    main()
