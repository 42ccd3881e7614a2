"""What the kernel tells of Envoy's workers."""

from __future__ import annotations

import os
from pathlib import Path

from meshtest_envoy.cpu import of_workers

from meshtest.spi.provider import ProxyCpu


def test_the_busiest_worker_counts_and_the_main_thread_does_not(tmp_path: Path) -> None:
    for number, (comm, schedstat) in enumerate(
        [("envoy", "9000000000 9000000000 5"), ("wrk:worker_0", "2000000000 500000000 7"), ("wrk:worker_1", "1 1 1")]
    ):
        task = tmp_path / "7" / "task" / str(number)
        task.mkdir(parents=True)
        (task / "comm").write_text(comm + "\n")
        (task / "schedstat").write_text(schedstat + "\n")
    assert of_workers(7, tmp_path) == ProxyCpu(2.0, 0.5)


def test_a_process_without_workers_or_none_at_all_is_no_error(tmp_path: Path) -> None:
    assert of_workers(os.getpid()) == of_workers(1, tmp_path) == ProxyCpu(0.0, 0.0)
