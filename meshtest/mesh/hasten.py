"""Kubernetes' waits on a compressed clock: a probe that is due every ten seconds there is due every half second here.

Not here: time-outs and grace periods, for processes and networks are as fast as they are; what a program does itself.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from meshtest.model.service import Container, Handler, Probe, Workload
from meshtest.model.topology import Topology

SHORTEST = 0.1
"""Seconds between two probes: below that they would be a load."""


def hastened(topology: Topology, speed: float) -> Topology:
    return replace(topology, workloads=tuple(_workload(workload, speed) for workload in topology.workloads))


@lru_cache(maxsize=256)
def _containers(containers: tuple[Container, ...], speed: float) -> tuple[Container, ...]:
    return tuple(_container(container, speed) for container in containers)


def _workload(workload: Workload, speed: float) -> Workload:
    containers = _containers(workload.containers, speed)
    return workload if containers == workload.containers else replace(workload, containers=containers)


def _container(container: Container, speed: float) -> Container:
    return replace(
        container,
        readiness=_probe(container.readiness, speed),
        liveness=_probe(container.liveness, speed),
        startup=_probe(container.startup, speed),
        pre_stop=_hook(container.pre_stop, speed),
    )


def _probe(probe: Probe | None, speed: float) -> Probe | None:
    if probe is None:
        return None
    period = min(probe.period, max(SHORTEST, probe.period / speed))
    return replace(probe, initial_delay=probe.initial_delay / speed, period=period)


def _hook(hook: Handler | None, speed: float) -> Handler | None:
    return replace(hook, seconds=hook.seconds / speed) if hook is not None and hook.seconds else hook
