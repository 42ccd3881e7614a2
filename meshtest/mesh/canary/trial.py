"""What came of one mutant: was it stopped, at which weight, by what, and what did users pay? Pure, from the rehearsal.

A bad version that was promoted has survived: the policy is blind to it. A good one that was rolled back is a false
alarm. One that is neither promoted nor rolled back is held: nobody is exposed for longer, but nothing says so. Of one
that was rolled back for what this machine did, nothing is known.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed
from meshtest.mesh.canary.answers import Compared
from meshtest.mesh.canary.mutants import Mutant
from meshtest.model.rehearsal import Measured, Rehearsal, TickRow

Verdict = Literal["stopped", "survived", "passed", "false alarm", "held", "unknown"]


@dataclass(frozen=True)
class Trial:
    """One mutant, rehearsed."""

    mutant: Mutant
    rehearsal: Rehearsal
    compared: Compared = Compared()
    later: Rehearsal | None = None
    """The rollout after it, of a version without fault."""

    @property
    def verdict(self) -> Verdict:
        if self.rehearsal.unproven:
            return "unknown"
        if self.rehearsal.ending == "not finished":
            return "held"
        if self.mutant.good:
            return "passed" if self.rehearsal.promoted else "false alarm"
        return "survived" if self.rehearsal.promoted else "stopped"

    @property
    def is_as_it_should_be(self) -> bool:
        """A bad version that is held is not promoted, which is what counts; a good one that is held is."""
        return self.verdict in ("stopped", "passed") or (self.verdict == "held" and not self.mutant.good)

    @property
    def weight(self) -> int:
        """The share of the users, in percent, that the new version had when it was at most."""
        return max((_canary(row.routes) for row in self.rehearsal.ticks), default=0)

    @property
    def paid(self) -> int:
        """Requests that failed, and answers that were wrong: those are not counted one by one, but as the share that
        our own client found, of all that the new version served."""
        later = self.later.failed if self.later else 0
        return self.rehearsal.failed + round(self.compared.share * self._good_answers) + later

    @property
    def _good_answers(self) -> int:
        return max(0, self.rehearsal.exposed - self.rehearsal.exposed_failed)

    @property
    def by(self) -> str:
        """What stopped it: a metric, a hook, or that it was not ready in time. Empty where nothing did."""
        if self.rehearsal.ending != "rolled back":
            return ""
        asked = [hook.name for row in self.rehearsal.ticks for hook in row.hooks if hook.type == "rollback" and hook.ok]
        if asked:
            return f"rollback hook {asked[-1]}"
        found = [cause for row in self.rehearsal.ticks if (cause := _objection(row))]
        return found[-1] if found else f"readiness: {self.rehearsal.reason}" if self.rehearsal.reason else "readiness"

    @property
    def why(self) -> str:
        """Of what went wrong: why it survived, or what raised the false alarm."""
        if self.verdict == "unknown":
            return self.rehearsal.unproven
        if self.verdict == "false alarm":
            return self.by
        if self.verdict == "held":
            return self.rehearsal.reason or "it was neither promoted nor rolled back"
        return _survived(self) if self.verdict == "survived" else ""

    def as_data(self) -> dict[str, Any]:
        """For programs."""
        return {
            "mutant": self.mutant.name,
            "about": self.mutant.about,
            "good": self.mutant.good,
            "annotations": dict(self.mutant.annotations),
            "verdict": self.verdict,
            "weight": self.weight,
            "intervals": self.rehearsal.intervals,
            "by": self.by,
            "why": self.why,
            "paid": self.paid,
            "failed": self.rehearsal.failed,
            "exposed": self.rehearsal.exposed,
            "requests": self.rehearsal.requests,
            "compared": dataclasses.asdict(self.compared),
            "later": {"requests": self.later.requests, "failed": self.later.failed} if self.later else None,
            "notes": list(self.rehearsal.notes),
        }


def _survived(trial: Trial) -> str:
    """What looked at it and saw nothing, or that nothing looks at it."""
    if trial.mutant.later:
        lost = f"{trial.later.failed} of {trial.later.requests} requests failed then" if trial.later else "not tried"
        return f"it shows in the next rollout only ({lost}); a test must end a pod under load"
    if not trial.mutant.watched_by:
        seen = trial.compared
        lacks = f" ({seen.wrong} of {seen.answers} answers lacked {seen.first})" if seen.wrong else ""
        return f"no metric can see it{lacks}; a webhook must look at the answers"
    worst = _worst(trial.rehearsal, trial.mutant.watched_by)
    if not worst:
        return f"no check looks at it: the Canary has no metric {listed(trial.mutant.watched_by)}, nor one of its own"
    return f"within the limits: {', '.join(worst)}"


def _worst(rehearsal: Rehearsal, names: tuple[str, ...]) -> list[str]:
    """Of each metric that could have seen it the value that was nearest to its limit: a builtin one by its name, or one
    of the Canary's own, which may look at anything."""
    found: dict[str, Measured] = {}
    for row in rehearsal.ticks:
        for one in row.metrics:
            looks = one.name in names or not one.name.startswith("request-")
            if looks and one.value is not None and _margin(one) <= _margin(found.get(one.name, one)):
                found[one.name] = one
    return [f"{one.name} was {one.value:.4g} at worst ({_limits(one)})" for one in found.values()]


def _margin(one: Measured) -> float:
    """How far a value is from its limit; below 0 it is over it."""
    value = one.value or 0.0
    low = value - one.least if one.least is not None else float("inf")
    return min(low, one.most - value) if one.most is not None else low


def _objection(row: TickRow) -> str:
    """The check that failed in this tick: Flagger asks its hooks first, and counts one failure a tick."""
    for hook in row.hooks:
        if hook.type in ("rollout", "pre-rollout") and not hook.ok:
            return f"hook {hook.name}"
    for one in row.metrics:
        if not one.ok:
            return f"{one.name} {_value(one)}"
    return ""


def _value(one: Measured) -> str:
    return f"{one.value:.4g} ({_limits(one)})" if one.value is not None else "had no value"


def _limits(one: Measured) -> str:
    least = [f"min {one.least:g}"] if one.least is not None else []
    return ", ".join(least + ([f"max {one.most:g}"] if one.most is not None else [])) or "no limit"


def _canary(routes: str) -> int:
    """`90/10`, `100/0 mirrored`"""
    share = routes.partition("/")[2].partition(" ")[0].partition("/")[0]
    return int(share) if share.isdigit() else 0
