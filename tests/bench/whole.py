"""Whole processes, cold: `meshtest demo` and the smoke suite."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 5
ROOT = Path(__file__).parents[2]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        _bench("meshtest demo", [sys.executable, "-m", "meshtest", "demo"], folder, 6.0)
        smoke = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(ROOT / "suites" / "smoke")]
        _bench("pytest suites/smoke", [*smoke, "--rootdir", folder, f"--mesh-reports={folder}"], folder, 3.0)


def _bench(name: str, command: list[str], folder: str, aim: float) -> None:
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
        took.append(time.perf_counter() - began)
        if done.returncode:
            raise SystemExit(f"{name} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    print(f"{name:<22} {statistics.median(took):.2f} s (min {min(took):.2f}, max {max(took):.2f})   aim <= {aim:g} s")


if __name__ == "__main__":
    main()
