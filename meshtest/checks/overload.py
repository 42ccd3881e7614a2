"""Was it the mesh, or the machine that tests it? What a generator or a proxy loses for lack of a CPU proves nothing.

load.end       saturated: the generator could not keep up. Nothing good is proven by it, and a time-out is no
               evidence against the mesh; a refusal, a reset or a 5xx of a service is, for somebody did that.
proxy.starved  seconds, ran, waited: up to this moment, for so long, the proxies were never idle - they ran, or
               waited for a CPU. A time-out that falls into such times may be theirs.
"""

from __future__ import annotations

from collections.abc import Sequence

from meshtest.checks.failures import Failure
from meshtest.checks.windows import union
from meshtest.model.history import History

PART = 0.5
"""A time-out is laid to starved proxies if they were starved for so much of its time."""


def saturated(history: History) -> str:
    """Why a generator was the bottleneck, or ""."""
    texts = _saturated(history)
    return "; ".join(f"load {load} was the bottleneck: {why}" for load, why in texts.items())


def _saturated(history: History) -> dict[str, str]:
    """By load, of those that sent something in this window."""
    ends = [e for e in history.of("load.end") if e.data.get("saturated")]
    present = set(history.requests.loads)
    return {e.subject: str(e.data["saturated"]) for e in ends if e.subject in present}


def starved(history: History) -> list[tuple[float, float]]:
    """Times in which the proxies had no CPU left."""
    return [(e.at - float(e.data["seconds"]), e.at) for e in history.of("proxy.starved")]


def excused(history: History, failed: Sequence[Failure]) -> tuple[list[Failure], str]:
    """Those that may be the fault of the machine, and the reason in words ("" if there are none)."""
    loads, times = _saturated(history), starved(history)
    waited = [f for f in failed if f.timed_out] if loads or times else []
    generator = [f for f in waited if f.request.load in loads]
    machine = [f for f in waited if f.request.load not in loads and _starving(f, times)]
    reasons = [saturated(history)] * bool(generator)
    reasons += [f"the proxies had no CPU left ({union(times):.1f} s of running or waiting for one)"] * bool(machine)
    return sorted([*generator, *machine], key=lambda f: f.position), " and ".join(reasons)


def _starving(failure: Failure, times: Sequence[tuple[float, float]]) -> bool:
    start, end = failure.sent_at, failure.request.ended_at
    inside = [(max(start, a), min(end, b)) for a, b in times if a < end and b > start]
    return union(inside) >= PART * (end - start) > 0
