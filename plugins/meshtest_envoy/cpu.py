"""How much CPU Envoy's workers got, and how long they waited for it in the run queue: the kernel's schedstat."""

from __future__ import annotations

from pathlib import Path

from meshtest.spi.provider import ProxyCpu

WORKER = "wrk:worker_"
"""Envoy's name for the threads that serve requests; its main thread may wait without a request noticing."""


def of_workers(pid: int, proc: Path = Path("/proc")) -> ProxyCpu:
    """Of the busiest worker; zero where the kernel does not tell."""
    found = [_of(task) for task in _workers(proc / str(pid) / "task")]
    return max(found, key=lambda cpu: cpu.ran + cpu.waited, default=ProxyCpu(0.0, 0.0))


def _workers(tasks: Path) -> list[Path]:
    try:
        return [task for task in tasks.iterdir() if (task / "comm").read_text().startswith(WORKER)]
    except OSError:
        return []


def _of(task: Path) -> ProxyCpu:
    """Both are in nanoseconds: https://docs.kernel.org/scheduler/sched-stats.html"""
    try:
        ran, waited, *_ = map(int, (task / "schedstat").read_text().split())
    except (OSError, ValueError):
        return ProxyCpu(0.0, 0.0)
    return ProxyCpu(ran / 1e9, waited / 1e9)
