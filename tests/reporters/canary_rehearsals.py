"""Rehearsals of Canaries made by hand: one that was rolled back, one of which that proves nothing, one that was
promoted, one of hostile words."""

from __future__ import annotations

from dataclasses import replace

from meshtest.model.rehearsal import Called, Measured, Rehearsal, TickRow

GATE = Called(name="gate", type="confirm-rollout", url="http://tester/gate", ok=True, answered_by="embedded")
SLOW = Called(name="load", type="rollout", url="http://tester/", ok=False, reason="no", attempts=3, answered_by="url")


def success(value: float | None, *, ok: bool = True, error: str = "") -> Measured:
    return Measured(name="request-success-rate", value=value, least=99.0, ok=ok, requests=60, error=error)


def row(number: int, routes: str, phase: str = "Progressing", failed: int = 0, **more: object) -> TickRow:
    weight = int(routes.partition(" ")[0].partition("/")[2] or 0)
    told = {"number": number, "at": number * 1.5, "after": (number - 1) * 30.0, "phase": phase, "weight": weight}
    return TickRow(**told, routes=routes, failed_checks=failed, **more)  # type: ignore[arg-type]


def rolled_back() -> Rehearsal:
    """Two failed checks at 10 %."""
    halt = ("Warning Halt web.shop advancement success rate 96.67% < 99%",)
    ticks = (
        row(1, "100/0", hooks=(GATE,), events=("Normal New revision detected! Scaling up web.shop",)),
        row(2, "90/10", surprises=("FL05",), events=("Normal Advance web.shop canary weight 10",)),
        row(3, "90/10", failed=1, metrics=(success(96.67, ok=False),), events=halt),
        row(4, "90/10", failed=2, hooks=(SLOW,), metrics=(success(None, ok=False, error="no values found"),)),
        row(5, "100/0", "Failed", events=("Warning Canary failed! Scaling down web.shop",)),
    )
    return Rehearsal(
        canary="web.shop", strategy="canary", provider="istio", revision="v2", ending="rolled back",
        reason="failed checks threshold reached 2", speed=20.0, interval=30.0, intervals=4, ticks=ticks,
        requests=1200, failed=4, exposed=120, exposed_failed=4, notes=("hook 'gate' was answered here",),
    )  # fmt: skip


def doubtful() -> Rehearsal:
    """The same, and the machine may have done it."""
    told = rolled_back()
    why = "metric request-success-rate had no value, and requests left up to 2 s late"
    ticks = tuple(replace(tick, unproven=why) if tick.number == 4 else tick for tick in told.ticks)
    return replace(told, ticks=ticks, unproven=f"1 of 2 failed checks: {why}")


def promoted() -> Rehearsal:
    """After a tick of mirroring."""
    ticks = (
        row(1, "100/0"),
        row(2, "100/0 mirrored"),
        row(3, "50/50", metrics=(success(100.0),)),
        row(4, "50/50", "Promoting", metrics=(success(100.0),)),
        row(5, "100/0", "Finalising"),
        row(6, "100/0", "Succeeded"),
    )
    return Rehearsal(
        canary="web.shop", strategy="canary", provider="istio", revision="v3", ending="promoted", speed=20.0,
        interval=30.0, intervals=5, ticks=ticks, requests=900, exposed=300,
    )  # fmt: skip


def unfinished(word: str) -> Rehearsal:
    """Every word that can be somebody else's is this one."""
    called = Called(name=word, type=word, url=word, ok=False, reason=word)
    measured = Measured(name=word, value=None, error=word, ok=False)
    tick = row(1, "", word, hooks=(called,), metrics=(measured,), events=(word,), surprises=("FL99",))
    return Rehearsal(
        canary=word, strategy=word, provider=word, revision=word, ending="not finished", reason=word, speed=1.0,
        interval=10.0, ticks=(tick,), notes=(word,),
    )  # fmt: skip
