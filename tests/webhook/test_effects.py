"""What is told of a hook from one call, without calling anybody."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest.rollouts.canary.spec import HookType
from meshtest.rollouts.canary.surprises import SURPRISES
from meshtest.webhook.client import Attempt, Exchange
from meshtest.webhook.effects import EFFECTS, effect, findings


def exchange(*attempts: Attempt, ok: bool = False) -> Exchange:
    return Exchange(url="http://hook/", attempts=attempts, ok=ok)


def attempt(status: int | None = 403, **more: Any) -> Attempt:
    return Attempt(**{"at": 0.0, "seconds": 0.01, "status": status, "body": "not today", **more})


def said(call: Exchange, type: HookType = HookType.ROLLOUT, timeout: float = 10.0, interval: float = 60.0) -> list[str]:
    found = list(findings(type, call, timeout=timeout, interval=interval))
    assert all(not one.code or one.code in SURPRISES for one in found)
    return [str(one) for one in found]


def test_a_denial_with_a_reason_is_as_it_should_be() -> None:
    assert said(exchange(attempt(412))) == []


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (exchange(), "error: Flagger calls nobody"),
        (exchange(attempt(None, error="EOF")), "error: no reply: EOF"),
        (
            exchange(attempt(None, error="tls: failed to verify certificate: x509: unknown authority")),
            "unknown authority; disableTLS: true in the Canary does not verify it",
        ),
        (exchange(attempt(429)), "takes the hook for broken"),
        (exchange(attempt(404)), "404 may be a denial or a wrong URL"),
        (exchange(attempt(206)), "206 is a no to Flagger"),
        (exchange(attempt(200, error="unexpected EOF")), "the body did not come"),
        (exchange(attempt(304)), "304 without a Location"),
        (exchange(attempt(403, body="x" * 2000)), "has 2000 bytes; an event keeps 1024"),
        (exchange(attempt(403, body='{"why": 1}')), "note: the reason is JSON"),
        (exchange(attempt(200, seconds=6.0), ok=True), "took 6.0 s of its time-out of 10 s"),
        (exchange(attempt(200, seconds=61.0), ok=True), "more than an interval of 60 s"),
        (
            exchange(attempt(503), attempt(200, at=45.0), ok=True),
            "Retry-After made Flagger wait 45 s, which nothing limits",
        ),
        (exchange(attempt(200, hops=("POST http://hook/there",)), ok=True), "arrives as POST http://hook/there"),
        (exchange(attempt(200, hops=("GET http://hook/there",)), ok=True), "without the payload"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named(call: Exchange, says: str) -> None:
    assert any(says in one for one in said(call)), said(call)


def test_a_timeout_that_go_cannot_parse_is_a_surprise_of_flaggers() -> None:
    assert said(exchange(), timeout=-1.0)[0].endswith("[FL45]")


def test_every_type_has_an_effect() -> None:
    assert set(EFFECTS) == set(HookType)
    assert effect(HookType.ROLLBACK, exchange(attempt(200), ok=True)) == "rolled back at once"
    assert effect(HookType.ROLLBACK, exchange(attempt(403))) == "the rollout goes on"
