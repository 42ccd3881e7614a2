"""Interim: hooks are assumed, builtin metrics come from the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.mesh.canary.clock import Clock
from meshtest.model.rehearsal import Called
from meshtest.model.series import NoData
from meshtest.rollouts.canary.replies import NO, YES, Answer, Reading
from meshtest.rollouts.canary.spec import Canary, HookType
from meshtest.rollouts.canary.steps import CallHook, Measure
from meshtest.telemetry import builtin

if TYPE_CHECKING:
    from meshtest.mesh.mesh import Mesh


class Hooks:
    def call(self, step: CallHook) -> tuple[Answer, Called]:
        hook = step.hook
        answer = NO if hook.type is HookType.ROLLBACK or hook.url.endswith("/gate/halt") else YES
        return answer, Called(
            name=hook.name, type=hook.type, url=hook.url, ok=answer.ok, reason="not called", answered_by="assumed"
        )


class Measures:
    def __init__(self, mesh: Mesh, canary: Canary, clock: Clock) -> None:
        self._mesh, self._canary, self._clock = mesh, canary, clock

    def online(self) -> Answer:
        return YES

    def read(self, step: Measure) -> Reading:
        metric = step.metric
        if not metric.is_builtin:
            return Reading(error="not asked")
        now = self._mesh.run.now
        history = builtin.window(self._mesh.history(flushed=True), self._clock.interval / self._clock.speed, now)
        names = [w.version for w in self._mesh.topology.workloads if w.name == self._canary.target]
        service = self._canary.service.canary
        value = (
            builtin.success_rate(history, service, names[0], "user")
            if metric.is_success_rate
            else builtin.duration(history, service, 0.99, names[0], "user")
        )
        if isinstance(value, NoData):
            return Reading()
        return Reading(value=value if metric.is_success_rate else value * 1000)
