"""A Canary, rehearsed: `mesh.canary("canary.yaml").run(to="v2")`.

     apply ── initialise (un-timed) ── users come ── new revision ── tick, tick, tick ... ── it is over ── users go

A tick comes each interval of production, which is interval/speed seconds of ours. Slots in which Flagger does nothing
but wait for pods - after the scale-up, between promotion and scale-down - are cut short once the pods are ready: they
count as whole intervals. Not here: what a tick is (rollouts/canary), how its steps are performed (world.py), who the
users are (traffic.py).
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.checks.canary_proven import CanaryProven
from meshtest.checks.canary_users import met_by_users
from meshtest.errors import UsageError
from meshtest.lib import wait
from meshtest.lib.dataclass import dataclass
from meshtest.lib.journal import write_atomically
from meshtest.manifests.reader import read, read_text
from meshtest.mesh.canary import stage, traffic
from meshtest.mesh.canary.clock import Clock
from meshtest.mesh.canary.fault import Asked, fault_of
from meshtest.mesh.canary.hooks import Hooks
from meshtest.mesh.canary.length import most_ticks
from meshtest.mesh.canary.measures import Measures
from meshtest.mesh.canary.revision import Wanted
from meshtest.mesh.canary.story import Story
from meshtest.mesh.canary.world import World
from meshtest.model.document import Documents
from meshtest.model.rehearsal import FILE, Ending, Rehearsal, TickRow
from meshtest.rollouts.canary import Phase, State, Tick, drive, objects, tick
from meshtest.rollouts.canary.spec import Canary
from meshtest.rollouts.canary.state import OVER
from meshtest.rollouts.canary.status import is_new
from meshtest.rollouts.canary.steps import Who

if TYPE_CHECKING:
    from meshtest.mesh.mesh import Mesh

SPEED = 20.0
"""A minute of production in three seconds."""
SHORTEST = 0.05
"""Seconds of ours between ticks: a tick itself takes a few milliseconds."""
FIRST = 5
"""Answers to each load before the new revision comes, and after it is over."""
TRIES = 5
"""Ticks until the primary is made and ready: two, if all goes well."""
IN_FLIGHT = 0.2
"""Seconds of ours between the last route to the canary and its end: in production a whole interval, in which whatever
is under way there ends."""
GONE = 5.0
"""Seconds for the canary's last pods to end before the users go."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """Who answers webhooks and queries; see Rehearsing.of."""

    allow: tuple[str, ...] = ()
    suites: Path | None = None
    approve: bool = True
    assume: Mapping[str, float] = field(default_factory=dict)


class Rehearsing:
    """One Canary on one mesh. Each run() rolls out another revision, from where the one before has led to."""

    def __init__(self, mesh: Mesh, canary: Canary, documents: Documents, plan: traffic.Plan, speed: float) -> None:
        """`documents`: those that are still to be applied; see `of`."""
        self.canary, self.speed = canary, speed
        self._mesh, self._documents, self._plan = mesh, documents, plan
        self._base: Path | None = None
        self._clock = Clock(interval=canary.analysis.interval, speed=speed)
        self._world = World(mesh, canary, self._clock)
        self._state = State()
        self._answers = Answers()
        self._notes: tuple[str, ...] = ()
        self._runs = 0
        self.last: Rehearsal | None = None
        """The newest; of one that was interrupted, as far as it came."""

    @classmethod
    def of(
        cls,
        mesh: Mesh,
        files: Sequence[str | Path] = (),
        *,
        text: str = "",
        base: Path | None = None,
        name: str = "",
        speed: float = SPEED,
        provider: str = "",
        traffic: Sequence[str] = (),
        allow: Sequence[str] = (),
        suites: Path | None = None,
        approve: bool = True,
        assume: Mapping[str, float] | None = None,
    ) -> Rehearsing:
        """`name`: which Canary, where the files hold several. `speed`: seconds of production in one of ours.
        `provider`: Flagger's, where the Canary names none (istio, or gatewayapi:v1). `traffic`: the users, as `GET http://web.test/
        50rps`; left out, those of the Canary's own load tests, or 50 requests/s. `allow`: beginnings of the webhook
        URLs that may be called; the others are answered here, by `suites` (a folder of them) if they are named as the
        endpoint names them. `approve`: people open the gates that wait for them at once. `assume`: what metrics read
        that cannot be asked here."""
        documents = read(*map(str, files), base=base) if files else Documents()
        if text:
            documents = documents.apply(read_text(text, "<text>"))
        canary, plan = examined(mesh.documents.apply(documents), name, provider, speed, traffic)
        made = cls(mesh, canary, documents, plan, speed)
        made._base = base
        made._answers = Answers(allow=tuple(allow), suites=suites, approve=approve, assume=assume or {})
        return made

    # ---- run

    def run(
        self,
        to: str = "",
        *,
        image: str = "",
        images: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        then: Mapping[int, str] | None = None,
        faults: Sequence[str] = (),
        most: int | None = None,
        told: Callable[[TickRow], None] | None = None,
    ) -> Rehearsal:
        """Roll a new revision out, until it is promoted or rolled back, or after `most` ticks.

        `to`: a tag for the image of the target's first container, or a YAML file with the new Deployment. `image`, or
        `images` by container: whole images, or tags. `annotations`: of the new pods, as `meshtest.dev/errors`; they
        travel to the primary with the promotion. `then`: revisions that come later, by the number of the tick that
        sees them first. `faults`: what the new revision does wrong in its proxy, as `abort=503 percent=10`, or another
        service, as `redis delay=50ms`. `told` is called with each tick.
        """
        wanted = Wanted(to=to, image=image, images=images or {}, annotations=annotations or {}, base=self._base)
        broken = [fault_of(text) for text in faults]
        self._initialise(wanted)
        target = stage.target_document(self.canary, self._mesh.documents)
        revision, documents = wanted.revised(target)
        stage.check_pods(self.canary, self._mesh.documents.apply(documents))
        later = {number: replace(wanted, to=name, image="", images={}) for number, name in (then or {}).items()}
        own = [one for one in broken if one.is_own(self.canary, revision)]
        with self._users() as story, self._broken(own, [one for one in broken if one not in own]):
            story.revision = self._roll(revision, documents)
            self._tick_on(story, later, most_ticks(self.canary) if most is None else most, told)
        assert self.last is not None
        return self.last

    def _initialise(self, wanted: Wanted) -> None:
        """Apply what is to be applied, and let Flagger make the primary: once, and not against the clock."""
        if self._state.phase not in (Phase.NEW, Phase.INITIALIZING):
            return
        mesh, world = self._mesh, self._world
        mesh.hasten = self.speed
        documents, self._notes = stage.furnished(self.canary, mesh.documents.apply(self._documents))
        documents = objects.held(documents)
        wanted.revised(stage.target_document(self.canary, documents))  # what is wrong with it is said before all else
        mesh.put(documents, f"the Canary {self.canary.full_name} and what belongs to it")
        self._open()
        world.adopt()
        self._state = State(replicas=self._replicas())
        for _ in range(TRIES):
            ticked = self._tick()
            self._await_primary()
            if self._state.phase is Phase.INITIALIZED:
                return
        raise UsageError(f"{self.canary.full_name} is not initialised: {_last_warning(ticked) or self._state.phase}")

    def _open(self) -> None:
        """Hooks and metrics; both end with the mesh."""
        mesh, asked = self._mesh, self._answers
        measures = Measures(mesh, self.canary, speed=self.speed, assumed=asked.assume)
        mesh.run.undo.push("end the Prometheus of the rehearsal", measures.close)
        hooks = Hooks(
            mesh.run.directory / "webhook", allow=asked.allow, suites=asked.suites, approve=asked.approve,
            speed=self.speed,
        )  # fmt: skip
        mesh.run.undo.push("end the webhook endpoint of the rehearsal", hooks.close)
        hooks.prepare(self.canary)
        self._notes += tuple(measures.notes)
        self._world.open(hooks, measures)

    def _replicas(self) -> int:
        found = self._world.rolled[Who.CANARY].workload
        return found.replicas if found else 1

    def _await_primary(self) -> None:
        within = self._mesh.settings.start_timeout
        with contextlib.suppress(TimeoutError):
            wait.until(lambda: self._world.ready(Who.PRIMARY), within=within, what=str)

    def _tick(self) -> Tick:
        world, began = self._world, time.monotonic()
        world.begin_tick(self._state.status)
        ticked = drive(tick(self.canary, self._state, world.target), world.perform)
        world.end_tick()
        self._clock.stood(time.monotonic() - began - world.elsewhere)
        self._state = ticked.state
        return ticked

    # ---- users and faults

    @contextlib.contextmanager
    def _users(self) -> Iterator[Story]:
        """From before the change to after the end, and the account of them, whatever happens in between."""
        mesh, world = self._mesh, self._world
        users = world.users = traffic.Users(mesh, self._plan, lambda: self._clock.after)
        users.come()
        before = world.name(self._state.primary)
        story = Story(self.canary, self.speed, (*self._notes, *self._plan.notes))
        mesh.record(
            "canary.start", self.canary.full_name, provider=self.canary.provider, speed=self.speed,
            strategy=str(self.canary.analysis.strategy), users=users.names, before=before,
        )  # fmt: skip
        try:
            users.start(seen=FIRST)
            yield story
            self._settle(users)
        finally:
            self._clock.stop()
            world.users = None
            try:
                users.go()
            finally:
                self._keep(story)

    def _settle(self, users: traffic.Users) -> None:
        """Until the canary's pods have gone, if it is over; and a little of what users meet then."""
        key = self._world.rolled[Who.CANARY].key
        if self._state.replicas == 0:
            with contextlib.suppress(TimeoutError):
                wait.until(lambda: not self._mesh.provider.pods(key), within=GONE, what=str, every=0.01)
        users.linger(seen=FIRST)

    @contextlib.contextmanager
    def _broken(self, own: Sequence[Asked], others: Sequence[Asked]) -> Iterator[None]:
        """Faults of the new revision and of other services, for the length of the rehearsal."""
        with contextlib.ExitStack() as stack:
            for one in others:
                stack.enter_context(self._mesh.fault(one.target, **one.options))
            if own:
                stack.enter_context(self._world.broken(own[-1].fault))
            yield

    def _roll(self, revision: str, documents: Documents) -> str:
        self._clock.start()
        for rolled in self._world.rolled.values():
            rolled.restart()
        return self._world.roll(documents, revision)

    # ---- ticks

    def _tick_on(
        self, story: Story, later: Mapping[int, Wanted], most: int, told: Callable[[TickRow], None] | None
    ) -> None:
        for number in range(1, most + 1):
            if number in later:
                self._roll_later(story, later[number])
            row = story.add(number, self._mesh.run.now, self._clock, self._tick(), self._world)
            self._mesh.record("canary.tick", self.canary.full_name, **dataclasses.asdict(row))
            if told is not None:
                told(row)
            if self._is_over:
                break
            if number < most:
                self._await_next(story)
        story.came_too_late(later)
        story.ending = self._ending

    def _roll_later(self, story: Story, wanted: Wanted) -> None:
        name, documents = wanted.revised(stage.target_document(self.canary, self._mesh.documents))
        story.revision = self._world.roll(documents, name)

    def _await_next(self, story: Story) -> None:
        self._cut_short(story)
        self._clock.wait(self._look)

    def _look(self) -> None:
        self._world.look()
        if self._world.users is not None:
            self._world.users.tidy()

    def _cut_short(self, story: Story) -> None:
        """A slot in which nothing is looked at but whether pods are ready."""
        who = story.waits_for(self._state)
        least = IN_FLIGHT if self._state.phase is Phase.FINALISING else 0.0
        within = self._clock.left - least
        if who is None or within <= 0:
            return
        with contextlib.suppress(TimeoutError):
            wait.until(lambda: self._world.ready(who), within=within, what=str, every=0.01)
            self._clock.skip(least)

    @property
    def _is_over(self) -> bool:
        """Nothing is under way, and there is no revision that nobody has seen."""
        return self._state.phase in OVER and not is_new(self._state.status, self._world.target)

    @property
    def _ending(self) -> Ending:
        if not self._is_over:
            return "not finished"
        return "promoted" if self._state.phase is Phase.SUCCEEDED else "rolled back"

    # ---- what came of it

    def _keep(self, story: Story) -> None:
        """The account of every request, in the run folder and in the history."""
        mesh = self._mesh
        history = mesh.history(flushed=story.ending is not None)  # what went wrong is the thing to tell
        start = history.of("canary.start")[-1]
        story.pods_in_trouble(event.data.get("text", "") for event in history.of("note") if event.at >= start.at)
        self.last = story.rehearsal(met_by_users(history, start))
        self._runs += 1
        name = FILE if self._runs == 1 else FILE.replace(".", f"-{self._runs}.")
        write_atomically(mesh.run.directory / name, self.last.as_data())
        ended = {"ending": self.last.ending, "reason": self.last.reason, "sentence": str(self.last)}
        doubt = self.last.doubt if self.last.unproven else ""
        mesh.record("canary.end", self.canary.full_name, **ended, doubt=doubt)
        if doubt:
            mesh.run.judge([CanaryProven()])


def examined(
    documents: Documents, name: str, provider: str, speed: float, asked: Sequence[str]
) -> tuple[Canary, traffic.Plan]:
    """What is rehearsed, and who the users are; UsageError or ManifestError before anything is started."""
    canary = stage.canary_of(documents, name, provider)
    _check_speed(speed, canary)
    return canary, traffic.planned(canary, asked)


def _check_speed(speed: float, canary: Canary) -> None:
    slot = canary.analysis.interval / speed if speed >= 1 else 0.0
    if not (speed >= 1 and math.isfinite(speed)):
        raise UsageError(f"speed is {speed!r}; 1 is real time, 20 makes a minute three seconds")
    if slot < SHORTEST:
        most = canary.analysis.interval / SHORTEST
        raise UsageError(f"speed {speed:g} leaves {slot * 1e3:.0f} ms for a tick; at most {most:g} with this interval")


def _last_warning(ticked: Tick) -> str:
    return next((event.message for event in reversed(ticked.events) if event.warning), "")
