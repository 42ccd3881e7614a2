"""Pods that lose requests when they start or stop. All ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from meshtest.manifests.quantities import seconds
from meshtest.model.document import Path
from meshtest.preflight.dig import Object, at, number, objects, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.injected import INJECT
from meshtest.preflight.kinds import SERVICE, WORKLOADS
from meshtest.preflight.rules import across
from meshtest.preflight.scene import Pods, Scene, hosts_of

GRACE = 30.0
"""terminationGracePeriodSeconds of Kubernetes."""
DRAIN = 5.0
"""terminationDrainDuration of Istio's proxy."""
TEMPLATE: Path = ("spec", "template", "spec")
_SLEEP = re.compile(r"\bsleep\s+(\d+(?:\.\d+)?)")
_DRAIN = re.compile(r"terminationDrainDuration['\"]?\s*:\s*['\"]?([0-9a-z.]+)")


def _serving(scene: Scene) -> Iterator[Pods]:
    """Templates whose pods a Service selects."""
    selectors = [host for document in scene.of(SERVICE) for host in hosts_of(document) if host.selector]
    told: set[int] = set()
    for host in selectors:
        for pods in scene.selected(host.selector, host.document.namespace):
            if not pods.single and id(pods) not in told:
                told.add(id(pods))
                yield pods


@across(*WORKLOADS)
def grace(scene: Scene) -> Iterator[Hit]:
    """MT015"""
    for pods in _serving(scene):
        grace = number(pods.spec, "terminationGracePeriodSeconds")
        grace = GRACE if grace is None else grace
        stops = max((_stop(container) or 0.0 for _, container in _containers(pods)), default=0.0)
        drain = _drain(pods)
        if grace < stops + drain:
            parts = f"{stops:g} s preStop + {drain:g} s drain"
            message = f"pods are killed after {grace:g} s, before {parts} are over"
            fix = f"Set `terminationGracePeriodSeconds: {stops + drain + 5:g}` or more."
            yield Hit("MT015", pods.document, (*TEMPLATE, "terminationGracePeriodSeconds"), message, fix)


@across(*WORKLOADS)
def stop_hooks(scene: Scene) -> Iterator[Hit]:
    """MT020"""
    for pods in _serving(scene):
        if all(not at(container, "lifecycle", "preStop") for _, container in _containers(pods)):
            message = (
                f"pods of `{pods.name}` may exit while callers still send to them: no container has a preStop hook"
            )
            yield Hit("MT020", pods.document, (*TEMPLATE, "containers"), message)


@across(*WORKLOADS)
def readiness(scene: Scene) -> Iterator[Hit]:
    """MT021"""
    for pods in _serving(scene):
        containers = _containers(pods)
        if containers and all("readinessProbe" not in container for _, container in containers):
            message = f"pods of `{pods.name}` count as ready as soon as they run: no container has a readiness probe"
            yield Hit("MT021", pods.document, (*TEMPLATE, "containers"), message)


def _containers(pods: Pods) -> Sequence[tuple[int, Object]]:
    return [(i, c) for i, c in objects(pods.spec, "containers") if text(c, "name") != "istio-proxy"]


def _stop(container: Object) -> float | None:
    """Seconds that the preStop hook sleeps, as far as can be told."""
    hook = at(container, "lifecycle", "preStop")
    if (slept := number(hook, "sleep", "seconds")) is not None:
        return slept
    command = at(hook, "exec", "command")
    words = " ".join(map(str, command)) if isinstance(command, list) else ""
    return sum(float(found) for found in _SLEEP.findall(words)) or None


def _drain(pods: Pods) -> float:
    if "false" in (pods.labels.get(INJECT), pods.annotations.get(INJECT)):
        return 0.0
    found = _DRAIN.search(pods.annotations.get("proxy.istio.io/config", ""))
    length = seconds(found[1]) if found else None
    return DRAIN if length is None else length
