"""What Flagger does after a hook's yes or no, and what is wrong with how a hook says it. Pure.

Rules: rollouts/canary (hooks.py, tick.py), webhook/client.py; codes: rollouts/canary/surprises.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from meshtest.lib.dataclass import dataclass
from meshtest.rollouts.canary.replies import ACCEPTED
from meshtest.rollouts.canary.spec import HookType
from meshtest.webhook.client import Attempt, Exchange, is_retriable

Weight = Literal["error", "warning", "note"]
LONGEST = 1024
"""Bytes of the message of a Kubernetes event (apiserver, event validation)."""
LONG_PAUSE = 30.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something wrong, or worth to know, about a hook."""

    weight: Weight
    says: str
    code: str = ""
    """Of rollouts/canary/surprises.py, where it is one of Flagger's."""

    def __str__(self) -> str:
        return f"{self.weight}: {self.says}" + (f" [{self.code}]" if self.code else "")


class Effect(NamedTuple):
    yes: str
    no: str


EFFECTS: Mapping[HookType, Effect] = {
    HookType.CONFIRM_ROLLOUT: Effect(
        "the new revision is started", "phase Waiting: asked again at every interval, for ever; no failed check"
    ),
    HookType.PRE_ROLLOUT: Effect(
        "the canary gets its first traffic", "a failed check: asked again, rolled back at the threshold"
    ),
    HookType.ROLLOUT: Effect(
        "the metrics are checked next", "a failed check: the traffic stays as it is, rolled back at the threshold"
    ),
    HookType.CONFIRM_TRAFFIC_INCREASE: Effect(
        "the weight grows", "the weight stays, an alert at every interval; no failed check"
    ),
    HookType.CONFIRM_PROMOTION: Effect(
        "the primary gets the new version", "phase WaitingPromotion: asked again, while checks go on; no failed check"
    ),
    HookType.POST_ROLLOUT: Effect("nothing more", "an event tells it; post-rollout hooks after it are not called"),
    HookType.ROLLBACK: Effect("rolled back at once", "the rollout goes on"),
    HookType.EVENT: Effect("nothing", "a line in Flagger's log"),
}
PHASES: Mapping[HookType, str] = {
    HookType.CONFIRM_ROLLOUT: "Waiting",
    HookType.POST_ROLLOUT: "Succeeded",
}
"""That each type is sent with; the others are sent `Progressing`."""


def phase_of(type: HookType) -> str:
    return PHASES.get(type, "Progressing")


def effect(type: HookType, exchange: Exchange) -> str:
    return EFFECTS[type].yes if exchange.ok else EFFECTS[type].no


def findings(type: HookType, exchange: Exchange, *, timeout: float, interval: float = 60.0) -> Iterator[Finding]:
    """Of one call."""
    if not exchange.attempts:
        yield Finding(weight="error", says=f"Flagger calls nobody: {exchange.reason}", code="FL45" * (timeout < 0))
        return
    yield from _of_status(type, exchange, exchange.attempts[-1])
    yield from _of_time(exchange, timeout, interval)
    if hops := exchange.attempts[-1].hops:
        lost = " without the payload" if hops[-1].startswith("GET") else ""
        yield Finding(weight="warning", says=f"the call is redirected, and arrives as {hops[-1]}{lost}")


def _of_status(type: HookType, exchange: Exchange, last: Attempt) -> Iterator[Finding]:
    if last.status is None:
        yield Finding(weight="error", says=f"no reply: {last.error}{_cure(last.error)}")
    elif is_retriable(last.status):
        yield Finding(
            weight="error", code="FL18",
            says=f"{last.status}: Flagger takes the hook for broken, tries again as `retries` says, and its event "
            "says `giving up` and nothing of the body; a denial is 4xx but 429, with the reason as text",
        )  # fmt: skip
    elif last.error:
        yield Finding(weight="error", says=f"{last.status}, but the body did not come: {last.error}; that is a no")
    elif 300 <= last.status < 400:
        yield Finding(weight="error", says=f"{last.status} without a Location that can be followed is a no")
    elif ACCEPTED < last.status < 300:
        yield Finding(weight="error", code="FL17", says=f"{last.status} is a no to Flagger; say 200, 201 or 202")
    elif last.status in (404, 405):
        yield Finding(
            weight="warning",
            says=f"{last.status} may be a denial or a wrong URL, and Flagger cannot tell: deny with 403 or 412",
        )
    elif last.status > ACCEPTED:
        yield from _of_reason(last)
    elif type is HookType.ROLLBACK:
        yield Finding(weight="error", says="a rollback hook that says yes rolls every canary back at its first tick")


def _cure(error: str) -> str:
    """Flagger takes no certificate of one's own authority."""
    return "; disableTLS: true in the Canary does not verify it" if "failed to verify certificate" in error else ""


def _of_reason(last: Attempt) -> Iterator[Finding]:
    text = last.body.strip()
    if not text:
        yield Finding(weight="warning", says=f"{last.status} without a body: Flagger's event gives no reason")
    elif text[:1] == "<":
        yield Finding(weight="warning", says="the reason is HTML, which Flagger's event will show as it is")
    elif len(text.encode()) > LONGEST:
        yield Finding(weight="warning", says=f"the reason has {len(text.encode())} bytes; an event keeps {LONGEST}")
    elif _is_json(text):
        yield Finding(weight="note", says="the reason is JSON, which Flagger's event will show as it is")


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), (dict, list))
    except ValueError:
        return False


def _of_time(exchange: Exchange, timeout: float, interval: float) -> Iterator[Finding]:
    slowest = max(attempt.seconds for attempt in exchange.attempts)
    if exchange.seconds > interval:
        yield Finding(
            weight="warning", says=f"the call took {exchange.seconds:.1f} s, more than an interval of {interval:g} s: "
            "the Canary's next ticks are late or lost",
        )  # fmt: skip
    elif timeout and slowest > timeout / 2 and exchange.attempts[-1].status is not None:
        yield Finding(weight="warning", says=f"it took {slowest:.1f} s of its time-out of {timeout:g} s")
    for one, next in zip(exchange.attempts, exchange.attempts[1:], strict=False):
        if (pause := next.at - one.at - one.seconds) > LONG_PAUSE:
            yield Finding(weight="warning", says=f"Retry-After made Flagger wait {pause:.0f} s, which nothing limits")
