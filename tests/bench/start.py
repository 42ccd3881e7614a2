"""What the pytest plugin costs a run that does not use it: whole runs with it and without it, in turn.

CPU time beside wall time: a few ms of the latter drown in the moods of a shared machine.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 25
AIM = 20.0
"""ms"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_nothing.py").write_text("def test_nothing(): pass\n")
        pairs = [(_once(folder, "-p", "no:pytest_meshtest.plugin"), _once(folder)) for _ in range(RUNS)]
    for number, what in enumerate(("wall", "CPU")):
        without, with_it = (statistics.median(pair[side][number] for pair in pairs) for side in (0, 1))
        cost = statistics.median(after[number] - before[number] for before, after in pairs)
        print(f"{what:<4} without {without:6.1f} ms, with the plugin unused {with_it:6.1f} ms, ", end="")
        print(f"cost {cost:5.1f} ms (median of {RUNS} pairs)   aim <= {AIM:g}")


def _once(folder: str, *arguments: str) -> tuple[float, float]:
    """(wall, CPU) in ms"""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    took, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took * 1e3, (now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime) * 1e3


if __name__ == "__main__":
    main()
