"""One tick in progress: what was read at its start, what has been written since, and how it speaks.

Flagger reads the Canary once and then works on that copy while it writes to the cluster: an event after a change of
phase still names the old phase, a hook still carries the old revision. So there are two: `seen` and `state`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any

from meshtest.rollouts.canary import affinity, routers
from meshtest.rollouts.canary.checksum import checksum
from meshtest.rollouts.canary.observations import Target
from meshtest.rollouts.canary.replies import Answer, Readiness, Reading
from meshtest.rollouts.canary.spec import Canary, Hook, HookType, Metric, Severity
from meshtest.rollouts.canary.state import Phase, Routes, State, Status
from meshtest.rollouts.canary.status import entered, is_new
from meshtest.rollouts.canary.steps import (
    Alert,
    CallHook,
    CreatePrimary,
    CreateRoutes,
    Deed,
    Event,
    IsReady,
    Measure,
    MetricsOnline,
    Note,
    Payload,
    Promote,
    Refused,
    Scale,
    Script,
    SetRoutes,
    Source,
    Who,
)


class Turn:
    """The hands of one tick."""

    def __init__(self, canary: Canary, state: State, target: Target) -> None:
        self.canary = canary
        self.analysis = canary.analysis
        """Of this tick: plain Kubernetes changes it on the way."""
        self.target = target
        self.seen: Status = state.status
        self.state: State = state

    # -- asking

    def ready(self, who: Who) -> Script[Readiness]:
        if not self.canary.runs_pods:
            return Readiness()
        reply = yield IsReady(who)
        assert isinstance(reply, Readiness)
        return reply

    def call(self, hook: Hook, phase: Phase) -> Script[Answer]:
        return (yield from self._post(hook, self._payload(phase, dict(hook.metadata))))

    def measure(self, metric: Metric, source: Source) -> Script[Reading]:
        reply = yield Measure(metric, source)
        assert isinstance(reply, Reading)
        return reply

    def metrics_online(self) -> Script[Answer]:
        reply = yield MetricsOnline()
        assert isinstance(reply, Answer)
        return reply

    def _post(self, hook: Hook, payload: Payload) -> Script[Answer]:
        reply = yield CallHook(hook, payload)
        assert isinstance(reply, Answer)
        return reply

    def _payload(self, phase: Phase, metadata: dict[str, str]) -> Payload:
        seen = self.seen
        return Payload(
            name=self.canary.name, namespace=self.canary.namespace, phase=phase, metadata=metadata,
            checksum=checksum(seen.applied, seen.configs),
        )  # fmt: skip

    # -- doing

    def do(self, deed: Deed) -> Script[None]:
        """A deed and what it changes; a refused one changes nothing."""
        yield deed
        match deed:
            case Scale(replicas=replicas):
                self.state = replace(self.state, replicas=replicas)
            case CreateRoutes(routes=routes) | SetRoutes(routes=routes):
                self.state = replace(self.state, routes=routes)
            case CreatePrimary(revision=revision, replicas=replicas):
                self.state = replace(self.state, primary=revision, primary_replicas=replicas)
            case Promote(revision=revision):
                size = self.state.primary_replicas if self.canary.autoscaler else self.state.replicas
                self.state = replace(self.state, primary=revision, primary_replicas=size)

    def route(self, routes: Routes) -> Script[None]:
        """Set weights, as far as the provider has any."""
        if not routers.moves_traffic(self.canary):
            return
        if self.state.routes is None:
            yield from self.note("FL55")
            raise Refused(routers.absent(self.canary))
        routes = routers.written(self.canary, routes)
        yield from self.do(SetRoutes(routes))
        if routers.keeps_sessions(self.canary) and self.analysis.affinity:
            status = affinity.after(self.state.status, self.canary, self.analysis.affinity, routes)
            self.state = replace(self.state, status=status)

    def scale(self, replicas: int) -> Script[None]:
        if self.canary.runs_pods:
            yield from self.do(Scale(replicas))

    def write(self, status: Status) -> None:
        self.state = replace(self.state, status=status)

    def count(self, **changes: Any) -> None:
        """Change single numbers of the status."""
        self.state = self.state.with_status(**changes)

    def enter(self, phase: Phase) -> None:
        self.write(entered(self.state.status, phase, iterations=self.analysis.iterations))

    def read_again(self) -> None:
        """From here on with a fresh copy of the Canary."""
        self.seen = self.state.status

    @property
    def has_new_target(self) -> bool:
        return is_new(self.seen, self.target)

    # -- speaking

    def tell(self, message: str, phase: Phase | None = None) -> Script[None]:
        yield from self._say(Event(False, self.seen.phase if phase is None else phase, message))

    def warn(self, message: str, phase: Phase | None = None) -> Script[None]:
        yield from self._say(Event(True, self.seen.phase if phase is None else phase, message))

    def _say(self, event: Event) -> Script[None]:
        """Event hooks hear of it at once; what they answer does not matter."""
        yield event
        for hook in self.analysis.of(HookType.EVENT):
            own = {"eventMessage": event.message, "eventType": "Warning" if event.warning else "Normal"}
            yield from self._post(hook, self._payload(event.phase, {**hook.metadata, **own}))

    def alert(self, severity: Severity, message: str, *, detailed: bool = False) -> Script[None]:
        rules = self.analysis.alerts
        to = tuple(rule.name for rule in rules if rule.takes(severity)) if rules else None
        if to != ():
            yield Alert(severity=severity, message=message, detailed=detailed, to=to)
        if any(rule.severity is None for rule in rules):
            yield from self.note("FL26")

    def note(self, code: str) -> Generator[Note, None, None]:
        yield Note(code)
