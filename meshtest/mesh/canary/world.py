"""Performs what a tick asks, does and says on a mesh: the Kubernetes, the hooks and the metrics that Flagger has.

    IsReady                    the pods as they are (rolled.py), judged by Flagger's rules (rollouts/canary/readiness)
    CreatePrimary ... Promote  documents by rollouts/canary/objects, into force as one change of the mesh
    CallHook                   hooks.py; the load tests among them are sent by us (traffic.py)
    Measure, MetricsOnline     measures.py; again, where what is read may be this machine's doing (doubt.py)

A change returns when every proxy has it; pods come and go by themselves, so that Flagger's rules and deadlines decide.
What a cluster would refuse, or a proxy does, is thrown into the tick, and becomes the event that Flagger would write.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from meshtest.errors import ConfigRejected, ManifestError
from meshtest.mesh.canary import doubt, machine
from meshtest.mesh.canary.clock import Clock
from meshtest.mesh.canary.machine import Strain
from meshtest.mesh.canary.rolled import Rolled, RolledDaemons
from meshtest.mesh.canary.traffic import Users
from meshtest.mesh.canary.window import Window, start_up
from meshtest.mesh.faults import COUNTERS, described
from meshtest.model.document import Documents
from meshtest.model.rehearsal import Called, Measured
from meshtest.model.route import Fault
from meshtest.model.service import Workload
from meshtest.model.topology import key
from meshtest.rollouts.canary import affinity, objects, readiness, routers
from meshtest.rollouts.canary.observations import Target
from meshtest.rollouts.canary.replies import YES, Answer, Readiness, Reading, Reply
from meshtest.rollouts.canary.spec import TOTAL, Canary, HookType, Metric, Strategy
from meshtest.rollouts.canary.state import Phase, Routes, Status
from meshtest.rollouts.canary.steps import (
    CallHook,
    CreatePrimary,
    CreateRoutes,
    Deed,
    IsReady,
    Measure,
    MetricsOnline,
    Promote,
    Refused,
    Scale,
    SetRoutes,
    Step,
    Who,
)

if TYPE_CHECKING:
    from meshtest.mesh.mesh import Mesh


OBJECTING = (HookType.PRE_ROLLOUT, HookType.ROLLOUT)
"""Webhooks whose no is a failed check."""
TRIES = 3
"""Times that a metric is read at most, a window after the other, if the machine may have spoilt the one before."""
LONGEST = 5.0
"""Seconds of ours that are waited for another window; one that is longer holds enough."""


class Calls(Protocol):
    """Answers webhooks (hooks.py)."""

    def call(self, step: CallHook) -> tuple[Answer, Called]: ...


class Reads(Protocol):
    """Answers queries (measures.py)."""

    def online(self) -> Answer: ...
    def read(self, question: Measure) -> Reading: ...
    def measured(self, question: Measure, reading: Reading) -> Measured: ...
    def seen(self, metric: Metric, strain: Strain) -> Window: ...
    def asked(self, question: Measure) -> doubt.Asked: ...


class World:
    """Of one Canary. Between ticks it is told where the rollout is (`status`)."""

    def __init__(self, mesh: Mesh, canary: Canary, clock: Clock) -> None:
        self._mesh, self.canary, self._clock = mesh, canary, clock
        target, primary = (f"{canary.namespace}/{name}" for name in (canary.target, f"{canary.target}-primary"))
        rolled = RolledDaemons if canary.kind == "DaemonSet" else Rolled
        self.rolled = {Who.CANARY: rolled(mesh, target, clock), Who.PRIMARY: rolled(mesh, primary, clock)}
        self.users: Users | None = None
        """Those of the present run."""
        self.status = Status()
        self._begun = (Status(), 0.0)
        """The status that the last tick began with, and when."""
        self.called: list[Called] = []
        self.measured: list[Measured] = []
        self.unproven = ""
        """Why the check that failed in this tick proves nothing against the version."""
        self.again: list[str] = []
        """Why metrics were read again in this tick."""
        self.elsewhere = 0.0
        """Seconds of ours for which this tick has waited for webhooks."""
        self._idle_since = machine.Reading.now()
        self.names: dict[str, str] = {}
        """What a revision is called by people, by Target.revision."""
        self._fault: Fault | None = None
        """What the new revision does wrong, wherever it runs."""
        self._promoted = ""
        self._told: set[str] = set()

    def open(self, hooks: Calls, measures: Reads) -> None:
        """Before the first tick."""
        self._hooks, self._measures = hooks, measures

    # ---- what is there

    @property
    def target(self) -> Target:
        return objects.target_of(self.canary, self._mesh.documents)

    def look(self) -> None:
        """Pods come and go between ticks."""
        for rolled in self.rolled.values():
            rolled.look()

    def ready(self, who: Who) -> bool:
        return not self._readiness(who).error

    def begin_tick(self, status: Status) -> None:
        self._note_write(status)
        self.status = status
        self.called, self.measured = [], []
        self.unproven, self.again, self.elsewhere = "", [], 0.0
        self._spread_fault()

    def _note_write(self, status: Status) -> None:
        """The tick before has written it, if it is another one; a failed Canary is written anew by each tick."""
        before, at = self._begun
        now = self._clock.after
        for rolled in self.rolled.values():
            if isinstance(rolled, RolledDaemons) and (status != before or status.phase is Phase.FAILED):
                rolled.written = now if status.phase is Phase.FAILED else min(at, now)
        self._begun = (status, now)

    def end_tick(self) -> None:
        """From here on users meet what it has changed."""
        self._idle_since = machine.Reading.now()

    # ---- steps

    def perform(self, step: Step) -> Reply:
        match step:
            case IsReady(who=who):
                return self._ready_in_time(who)
            case CallHook():
                return self._call(step)
            case Measure():
                return self._measure(step)
            case MetricsOnline():
                return self._measures.online()
            case CreatePrimary() | CreateRoutes() | SetRoutes() | Scale() | Promote():
                self._do(step)
        return None

    def _readiness(self, who: Who) -> Readiness:
        return readiness.of(self.canary, who, self.rolled[who].look())

    def _ready_in_time(self, who: Who) -> Readiness:
        found, rolled = self._readiness(who), self.rolled[who]
        if found.error and not found.retriable and rolled.workload is not None:
            others = start_up(self._mesh.history(), rolled.workload.template_hash)
            self.unproven = doubt.of_readiness(str(who), rolled.waiting, others)
        return found

    def _call(self, step: CallHook) -> Answer:
        began = time.monotonic()
        try:
            return self._asked(step)
        finally:
            self.elsewhere += time.monotonic() - began

    def _asked(self, step: CallHook) -> Answer:
        hook = step.hook
        if self.users is not None and self.users.is_load_test(hook.name):
            self.users.called(hook.name)
            answer, called = (
                YES,
                Called(name=hook.name, type=hook.type, url=hook.url, ok=True, reason="load is sent here"),
            )
        else:
            answer, called = self._hooks.call(step)
        if hook.type is not HookType.EVENT:  # these are told of each event, and object to nothing
            self.called.append(called)
            if not called.ok and hook.type in OBJECTING:
                seen = Window(seconds=called.seconds, strain=self._idle_since.until(machine.Reading.now()))
                self.unproven = doubt.of_hook(called, hook.timeout, seen)
        return answer

    def _measure(self, step: Measure) -> Reading:
        """Once, by a whole window; after another one, if what it says may be this machine's."""
        for left in reversed(range(TRIES)):
            reading = self._measures.read(step)
            measured = self._measures.measured(step, reading)
            self.unproven, seconds = self._doubt(step, reading, measured)
            if not (self.unproven and left and seconds <= LONGEST):
                break
            self.again.append(self.unproven)
            self.end_tick()
            self._clock.pause(seconds)
        self.measured.append(measured)
        return reading

    def _doubt(self, step: Measure, reading: Reading, measured: Measured) -> tuple[str, float]:
        """Why it proves nothing, and the seconds of its window."""
        if measured.ok or reading.error:
            return "", 0.0
        seen = self._measures.seen(step.metric, self._idle_since.until(machine.Reading.now()))
        asked = replace(self._measures.asked(step), expected=self._expected(seen.seconds))
        return doubt.of_metric(measured, asked, seen), seen.seconds

    def _expected(self, seconds: float) -> float | None:
        """Requests of users that the canary's weight sends to it in so many seconds."""
        by_weight = self.canary.analysis.strategy is Strategy.CANARY and not self.canary.analysis.mirror
        if self.users is None or not by_weight:
            return None
        return self.users.rate * seconds * self.status.weight / TOTAL

    # ---- deeds

    def _do(self, deed: Deed) -> None:
        canary = self.canary
        match deed:
            case CreatePrimary():
                self._change(lambda found: objects.created(canary, found), f"make the primary of {canary.full_name}")
                self._know(Who.PRIMARY, self.target.revision)
            case CreateRoutes(routes=routes):
                self._route(routes, f"take over the service of {canary.full_name}")
            case SetRoutes(routes=routes):
                self._route(routes, f"route {canary.full_name} {routes}")
            case Scale(replicas=replicas):
                reason = f"scale {canary.workload} to {replicas}"
                self._change(lambda found: objects.scaled(canary, found, replicas), reason)
            case Promote():
                # First: the primary's pods are replaced while the change is under way.
                self._mesh.record("canary.promoted", canary.full_name, revision=self.name(deed.revision))
                self._change(lambda found: objects.promoted(canary, found), f"promote {canary.workload}")
                self._know(Who.PRIMARY, deed.revision)
                self._promoted = deed.revision
        self.look()

    def _route(self, routes: Routes, reason: str) -> None:
        cookies = self.canary.analysis.affinity
        if cookies and routers.keeps_sessions(self.canary):
            self.status = affinity.after(self.status, self.canary, cookies, routes)
        self._change(lambda found: objects.routed(self.canary, found, routes, self.status), reason)

    def _change(self, edit: Callable[[Documents], Documents], reason: str) -> None:
        try:
            self._mesh.begin(objects.held(edit(self._mesh.documents)), reason)
        except (ConfigRejected, ManifestError) as error:
            raise Refused(str(error)) from None

    # ---- revisions

    def adopt(self) -> None:
        """What is deployed before Flagger comes."""
        self.names[self.target.revision] = objects.label_of(self.canary, self._mesh.documents)
        self._know(Who.CANARY, self.target.revision)

    def roll(self, documents: Documents, name: str) -> str:
        """A user applies the target anew; returns the name. How many of its pods there are is Flagger's business."""
        before = self._mesh.documents
        workload = self.rolled[Who.CANARY].workload
        replicas = workload.replicas if workload else 0
        self._mesh.begin(objects.held(objects.scaled(self.canary, before.apply(documents), replicas)), f"apply {name}")
        others = {known for revision, known in self.names.items() if revision != self.target.revision}
        while name in others:
            name += "'"
        self.names[self.target.revision] = name
        self._know(Who.CANARY, self.target.revision)
        self.look()
        return name

    def name(self, revision: str) -> str:
        return self.names.get(revision, revision)

    def _know(self, who: Who, revision: str) -> None:
        """Pods of what is wanted now are of this revision."""
        for workload in self._workloads(who):
            if workload.template_hash not in self._told:
                self._told.add(workload.template_hash)
                self._mesh.record("canary.revision", template=workload.template_hash, revision=self.name(revision))

    def _workloads(self, who: Who) -> Sequence[Workload]:
        """Whose pods they are: of a target that is a Service, those that it selects."""
        topology, rolled = self._mesh.topology, self.rolled[who]
        if self.canary.runs_pods:
            return [rolled.workload] if rolled.workload else []
        services = [one for one in topology.services if f"{one.namespace}/{one.name}" == rolled.key]
        return [workload for service in services for workload in topology.backends(service)]

    # ---- its fault

    @contextlib.contextmanager
    def broken(self, fault: Fault) -> Iterator[None]:
        """The new revision does this wrong, with the evidence that it did."""
        before, subject = self._mesh.provider.counters(COUNTERS), f"{self.canary.target}, new revision"
        self._mesh.record("fault.start", subject, fault=described(fault, {}))
        self._fault = fault
        self._spread_fault()
        try:
            yield
        finally:
            self._fault = None
            self._set_faults({})
            now = self._mesh.provider.counters(COUNTERS)
            grown = {name: count - before.get(name, 0) for name, count in now.items() if "inbound_" in name}
            self._mesh.record("fault.end", subject, evidence={name: count for name, count in grown.items() if count})

    def _spread_fault(self) -> None:
        """It is where the new revision is: with the canary, and with the primary once it has been rolled."""
        if self._fault is None:
            return
        broken = set(map(key, self._workloads(Who.CANARY)))
        if self._promoted == self.target.revision and self.ready(Who.PRIMARY):
            broken |= set(map(key, self._workloads(Who.PRIMARY)))
        self._set_faults(dict.fromkeys(broken, self._fault))

    def _set_faults(self, faults: dict[str, Fault]) -> None:
        ours = {key(workload) for who in Who for workload in self._workloads(who)}
        others = {name: fault for name, fault in self._mesh.topology.faults.items() if name not in ours}
        if {**others, **faults} != self._mesh.topology.faults:
            self._mesh.begin(self._mesh.documents, "faults of the new revision", faults={**others, **faults})
