"""From the state of a run to the status and the line that Flagger shows.

What Flagger makes of a status was measured: 200 to 202 pass; 4xx but 429 deny, and the body becomes the event's text;
429 and 5xx are tried again, and their text is lost; 203, 204 and 206 deny without one; redirects are followed. So

    a pass is 200, "still running" from a hook that starts a run 202, a denial 403 or 412 with the reason first,
    5xx only if the endpoint itself is broken or leaves, with Retry-After.

| hook                      | queued, running | passed | failed | unknown, cancelled, interrupted |
|---------------------------|-----------------|--------|--------|---------------------------------|
| pre-, post-, rollout      | 202             | 200    | 412    | 412                             |
| confirm-*                 | 403             | 200    | 412    | 412                             |
| rollback                  | 403             | 403    | 200    | 403                             |

403 to a confirm-* hook holds the rollout and counts as no failed check.

A `rollback` hook asks the opposite: 200 rolls back. It says so for FAILED only; that nothing was proven is no proof of
a failure, and UNKNOWN holds the rollout at its other hooks anyway.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from meshtest.lib.dataclass import dataclass
from meshtest.webhook.refusal import Refusal
from meshtest.webhook.runs import RunState, StoredRun

TEXT, JSON, HTML = "text/plain; charset=utf-8", "application/json", "text/html; charset=utf-8"
LONGEST = 1000
"""Characters of a reason: Kubernetes cuts the message of an event at 1,024 bytes (apiserver, event validation)."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    status: int = 200
    body: str | bytes = ""
    media: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


class Asks(enum.Enum):
    """What a hook wants of a run."""

    START = "start"
    CONFIRM = "confirm"
    ROLLBACK = "rollback"


PENDING = {Asks.START: 202, Asks.CONFIRM: 403, Asks.ROLLBACK: 403}
GRANTED, DENIED, HELD = 200, 412, 403


def status(asks: Asks, state: RunState | None) -> int:
    """None: there is no run."""
    if asks is Asks.ROLLBACK:
        return GRANTED if state is RunState.FAILED else HELD
    if state is None or not state.is_over:
        return PENDING[asks]
    return GRANTED if state is RunState.PASSED else DENIED


def of_run(asks: Asks, run: StoredRun, page: str) -> Reply:
    """The first line is the reason, the second where more is."""
    line = f"suite {run.key.suite} {_told(run)}"
    return Reply(status=status(asks, run.state), body=f"{_one_line(line)}\n{page}\n")


def of_no_run(suite: str) -> Reply:
    """To a rollback hook, which starts none."""
    return Reply(status=HELD, body=f"no run of suite {suite} for this revision: nothing has failed\n")


def _told(run: StoredRun) -> str:
    if run.state is RunState.QUEUED:
        return "is queued"
    if run.state is RunState.RUNNING:
        return f"is ending: {run.cancelling}" if run.cancelling else "is running"
    if run.state is RunState.PASSED:
        return "PASSED"
    return f"{run.state.upper()}: {run.reason or 'no reason is known'}"


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


def refused(refusal: Refusal) -> Reply:
    return Reply(status=refusal.status, body=f"{_one_line(refusal.reason)}\n", headers=refusal.headers)


def broken(why: str, *, after: int = 5) -> Reply:
    """503: ask again. It is no verdict."""
    return Reply(status=503, body=f"{_one_line(why)}\n", headers={"Retry-After": str(after)})


def data(value: Any, status: int = 200) -> Reply:
    return Reply(status=status, body=json.dumps(value, ensure_ascii=False) + "\n", media=JSON)
