"""An endpoint's queue under 20 concurrent runs, killed by SIGKILL at 100 random moments.

Aim (the issue): 0 lost, 0 twice, 0 orphan processes. MESHTEST_BENCH_KILLS and MESHTEST_BENCH_SEED change the trial.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import Ground, Program
from tests.webhook import sigkill

KILLS = int(os.environ.get("MESHTEST_BENCH_KILLS", "100"))
SEED = int(os.environ.get("MESHTEST_BENCH_SEED", "6"))


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="sigkill-"))
    ground = Ground(folder)
    moments = random.Random(SEED)
    began = time.monotonic()
    try:
        orphans = sum(_life(ground, moments) for _ in range(KILLS))
        _program(ground, "last").wait()
        _print(sigkill.witness(folder), orphans, time.monotonic() - began)
    finally:
        ground.close()
        shutil.rmtree(folder)


def _program(ground: Ground, *words: str) -> Program:
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    return ground.start(sys.executable, "-m", "tests.webhook.sigkill", ground.folder, *words, env=environment)


def _life(ground: Ground, moments: random.Random) -> int:
    """One life of the program; what was left running a while after its death."""
    program = _program(ground)
    lines = len(sigkill.told(ground.folder)) + moments.randrange(100)
    program.until(lambda: len(sigkill.told(ground.folder)) >= lines, "enough to lose")
    time.sleep(moments.random() * 0.05)
    program.process.kill()
    program.wait()
    try:
        ground.nothing_left()
    except TimeoutError:
        return len(ground.processes())
    return 0


def _print(count: sigkill.Count, orphans: int, seconds: float) -> None:
    print(f"{KILLS} kills (seed {SEED}) under {sigkill.CONCURRENT} concurrent runs, in {seconds:.0f} s")
    print(f"  runs accepted {count.accepted}, ended {count.ended}, of them interrupted {count.interrupted}")
    print(f"  lost {count.lost} (aim 0), twice {count.twice} (aim 0), orphan processes {orphans} (aim 0)")
    print(f"  gates set {count.gates}, lost {count.gates_lost} (aim 0)")


if __name__ == "__main__":
    main()
