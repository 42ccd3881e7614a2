"""What a tick is told about the world: the target's revision, who is ready, what hooks and metrics answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from meshtest.lib.dataclass import dataclass
from meshtest.rollouts.canary.replies import NO, READY, YES, Answer, Readiness, Reading, Reply
from meshtest.rollouts.canary.spec import HookType
from meshtest.rollouts.canary.state import Configs
from meshtest.rollouts.canary.steps import CallHook, IsReady, Measure, MetricsOnline, Step, Who


@dataclass(frozen=True, kw_only=True)
class Target:
    """The deployed target: what a user has applied."""

    revision: str
    """Changes whenever the pod template does: Flagger hashes it."""
    configs: Configs = ()
    """The ConfigMaps and Secrets that its pods use: a change of their data is a new version too."""
    least_replicas: int = 1
    """Of its autoscaler, if the Canary names one."""


@dataclass(frozen=True, kw_only=True)
class Observations:
    """The answers of one tick, as data. A hook or metric that is not named here does not object."""

    target: Target
    primary: Readiness = READY
    canary: Readiness = READY
    hooks: Mapping[str, Answer] = field(default_factory=dict)
    """By name. A rollback hook asks for a rollback only if it stands here with a yes."""
    metrics: Mapping[str, Reading] = field(default_factory=dict)
    """By name. One that is missing has a value within its bounds."""
    metrics_online: Answer = YES

    def answer(self, step: Step) -> Reply:
        """The reply to a question; None to a deed."""
        match step:
            case IsReady(who=Who.PRIMARY):
                return self.primary
            case IsReady():
                return self.canary
            case CallHook(hook=hook):
                return self.hooks.get(hook.name, NO if hook.type is HookType.ROLLBACK else YES)
            case Measure(metric=metric):
                return self.metrics.get(metric.name, Reading(value=within(step)))
            case MetricsOnline():
                return self.metrics_online
            case _:
                return None


def within(question: Measure) -> float:
    """A value that the metric accepts."""
    metric = question.metric
    bounds = metric.bounds
    if bounds is None:
        return 100.0 if metric.is_success_rate else 0.0
    if bounds.least is not None:
        return bounds.least
    return bounds.most if bounds.most is not None else 0.0
