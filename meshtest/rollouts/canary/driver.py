"""Who performs a tick: data (`advance`), or whatever the caller has (`drive`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from meshtest.lib.dataclass import dataclass
from meshtest.rollouts.canary.observations import Observations
from meshtest.rollouts.canary.replies import Answer, Reply
from meshtest.rollouts.canary.spec import Canary
from meshtest.rollouts.canary.state import State
from meshtest.rollouts.canary.steps import Alert, CallHook, Deed, Event, Note, Refused, Script, Step
from meshtest.rollouts.canary.tick import tick


@dataclass(frozen=True)
class Done:
    """A step, and what came of it."""

    step: Step
    reply: Reply = None
    refused: str = ""


@dataclass(frozen=True)
class Tick:
    """What one tick led to, and everything that it asked, did and said, in order."""

    state: State
    log: tuple[Done, ...]

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(done.step for done in self.log if isinstance(done.step, Event))

    @property
    def alerts(self) -> tuple[Alert, ...]:
        return tuple(done.step for done in self.log if isinstance(done.step, Alert))

    @property
    def actions(self) -> tuple[Deed, ...]:
        """What was done to the cluster; refused deeds are not among them."""
        return tuple(done.step for done in self.log if isinstance(done.step, Deed) and not done.refused)

    @property
    def hooks(self) -> tuple[tuple[CallHook, Answer], ...]:
        """The webhook calls with their answers."""
        return tuple(
            (done.step, done.reply)
            for done in self.log
            if isinstance(done.step, CallHook) and isinstance(done.reply, Answer)
        )

    @property
    def surprises(self) -> tuple[str, ...]:
        """Codes of surprises.py that bit in this tick, each once."""
        return tuple(dict.fromkeys(done.step.code for done in self.log if isinstance(done.step, Note)))


def advance(canary: Canary, state: State, seen: Observations) -> Tick:
    """One tick as a pure function: the same three make the same tick."""
    return drive(tick(canary, state, seen.target), seen.answer)


def run(canary: Canary, observed: Iterable[Observations], state: State | None = None) -> Iterator[Tick]:
    """Tick after tick, each from where the one before has led to."""
    state = state or State()
    for seen in observed:
        ticked = advance(canary, state, seen)
        state = ticked.state
        yield ticked


def drive(script: Script[State], perform: Callable[[Step], Reply]) -> Tick:
    """Perform a tick step by step. `perform` answers questions, does deeds, and raises Refused where it cannot."""
    log: list[Done] = []
    try:
        step = next(script)
        while True:
            done = _performed(step, perform)
            log.append(done)
            step = script.throw(Refused(done.refused)) if done.refused else script.send(done.reply)
    except StopIteration as end:
        state: State = end.value
        return Tick(state, tuple(log))


def _performed(step: Step, perform: Callable[[Step], Reply]) -> Done:
    try:
        return Done(step, perform(step))
    except Refused as refused:
        return Done(step, refused=str(refused) or "refused")
