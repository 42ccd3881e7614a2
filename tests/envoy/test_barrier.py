"""The barrier against a worker that answers late, or not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from meshtest_envoy.barrier import Barrier

from meshtest.errors import ProviderError
from tests.envoy.slow_worker import Worker


@pytest.fixture
def worker() -> Iterator[Callable[..., Worker]]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # short: it is the path of a socket
        made: list[Worker] = []

        def start(*answers: tuple[float, str]) -> Worker:
            made.append(Worker(Path(folder) / "s", list(answers)))
            return made[-1]

        yield start
        for one in made:
            one.close()


def test_it_asks_until_the_generation_is_served_and_once_more(worker: Callable[..., Worker]) -> None:
    one = worker((0, "1"), (0, "1"), (0, "2"), (0, "2"))
    barrier = Barrier(one.path)
    barrier.pass_(2, within=30)
    barrier.close()
    assert one.connections == 1


def test_a_late_answer_is_waited_for_on_the_same_connection(worker: Callable[..., Worker]) -> None:
    one = worker((2.2, "2"), (0, "2"))
    barrier = Barrier(one.path)
    barrier.pass_(2, within=30)
    barrier.close()
    assert one.connections == 1


def test_a_worker_that_stays_behind_is_said_so(worker: Callable[..., Worker]) -> None:
    one = worker(*[(0.01, "1")] * 1000)
    barrier = Barrier(one.path)
    with pytest.raises(ProviderError, match=r"acknowledged configuration 2, but its worker still serves 1 after 0.3 s"):
        barrier.pass_(2, within=0.3)
    barrier.close()
