"""A SIGKILL at any moment: nothing that was accepted or told is lost, nothing runs twice, nothing is left running."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from tests.conftest import Ground
from tests.webhook import sigkill

KILLS, CONCURRENT = 4, 6
PATH = {"PYTHONPATH": str(Path(__file__).parents[2])}


def test_an_endpoint_that_is_killed_again_and_again_loses_nothing(ground: Ground) -> None:
    moments = random.Random(6)
    words = (sys.executable, "-m", "tests.webhook.sigkill", ground.folder, CONCURRENT)
    for _ in range(KILLS):
        program = ground.start(*words, env=PATH)
        lines = len(sigkill.told(ground.folder)) + moments.randrange(1, 40)
        program.until(lambda: len(sigkill.told(ground.folder)) >= lines, "enough to lose")  # noqa: B023
        program.process.kill()
        program.wait()
        ground.nothing_left()
    last = ground.start(*words, "last", env=PATH)
    assert last.wait() == 0, last
    count = sigkill.witness(ground.folder)
    assert count.accepted >= KILLS
    assert (count.lost, count.twice, count.gates_lost) == (0, 0, 0), count
