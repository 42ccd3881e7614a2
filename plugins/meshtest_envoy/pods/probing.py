"""When the probes of one container run, and what their answers mean: Kubernetes' rules, with one difference.

Kubernetes' first probe runs after initialDelaySeconds and then every periodSeconds (10 by default), so a pod that is up
after 5 ms is used after 10 s. Here **startup and readiness are polled faster until the first success** - at once, then
every min(period, 0.05 s) - and the period applies afterwards. A failure during that time counts for nothing, as the
pod is not ready anyway; a startup probe still has initialDelay + failureThreshold x period until it kills.

A container without a readiness probe is ready in Kubernetes when it runs. A local process needs some time until its
port is bound, which the first request would notice; so it is ready when its first port accepts a connection.

Time is the loop's: tests run on a virtual clock. Not here: how a probe asks (handlers.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple, Protocol

from meshtest_envoy.pods.order import Probe

FASTEST, SLOWEST = 0.002, 0.05
"""Seconds between quick polls: doubled from the first to the second, so that a process up in 5 ms is not seen late."""

Ready = Callable[[bool, str], None]
"""ready(now, why): the container became ready, or unready for a reason."""


class Asks(Protocol):
    """What handlers.Handlers does for one pod."""

    def check(self, probe: Probe) -> Awaitable[str]:
        """ "" if the probe succeeds, else why not."""
        ...

    def accepts(self) -> Awaitable[str]:
        """ "" if the first port accepts."""
        ...


class Probes(NamedTuple):
    """The probes of one container."""

    startup: Probe | None = None
    readiness: Probe | None = None
    liveness: Probe | None = None


async def watch(probes: Probes, asks: Asks, ready: Ready) -> str:
    """Run the probes of a container that just started. Returns why it has to be killed; never, if all is well."""
    if probes.startup and (why := await _start(probes.startup, asks)):
        return f"startup probe failed: {why}"
    tasks = [asyncio.ensure_future(_readiness(probes.readiness, asks, ready))]
    if probes.liveness:
        tasks.append(asyncio.ensure_future(_liveness(probes.liveness, asks)))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()


def quick(period: float) -> Iterator[float]:
    """Pauses of the polls before the first success."""
    pause = FASTEST
    while True:
        yield min(pause, SLOWEST, period)
        pause *= 2


async def _start(probe: Probe, asks: Asks) -> str:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + probe.initial_delay + probe.failure_threshold * probe.period
    pauses = quick(probe.period)
    while why := await asks.check(probe):
        if loop.time() >= deadline:
            return why
        await asyncio.sleep(next(pauses))
    return ""


async def _readiness(probe: Probe | None, asks: Asks, ready: Ready) -> str:
    pauses = quick(probe.period if probe else SLOWEST)
    good = 0
    while good < (probe.success_threshold if probe else 1):
        good = 0 if await (asks.check(probe) if probe else asks.accepts()) else good + 1
        await asyncio.sleep(next(pauses) if not good else 0)
    ready(True, "")
    if probe is None:
        return await _for_ever()
    return await _keep_asking(probe, asks, ready)


async def _keep_asking(probe: Probe, asks: Asks, ready: Ready) -> str:
    """From the first success on: thresholds in both directions."""
    is_ready, good, bad = True, 0, 0
    while True:
        why = await _next(probe, asks)
        good, bad = (0, bad + 1) if why else (good + 1, 0)
        if is_ready and bad >= probe.failure_threshold:
            is_ready = False
            ready(False, f"readiness probe failed: {why}")
        elif not is_ready and good >= probe.success_threshold:
            is_ready = True
            ready(True, "")


async def _liveness(probe: Probe, asks: Asks) -> str:
    await asyncio.sleep(probe.initial_delay)
    why, bad = await asks.check(probe), 0
    while True:
        bad = bad + 1 if why else 0
        if bad >= probe.failure_threshold:
            return f"liveness probe failed: {why}"
        why = await _next(probe, asks)


async def _next(probe: Probe, asks: Asks) -> str:
    """The next answer, one period after the last one was asked for (or later, when an answer takes long)."""
    await asyncio.sleep(probe.period)
    return await asks.check(probe)


async def _for_ever() -> str:
    never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    return await never
