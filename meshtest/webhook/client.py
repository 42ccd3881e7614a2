"""How Flagger calls a webhook: which replies are a yes, what is tried again and after how long, what its event says.

    200, 201, 202        yes
    203 and above        no, with the body as the reason; a redirect is followed first (wire.py)
    429, 5xx but not 501 tried again, at last a no whose body is lost; so are no reply at all, and one that is too late
    between attempts     1 s, 2 s, 4 s ... 30 s; what Retry-After says of 429 and 503, however long

Rules: callWebhook of fluxcd/flagger pkg/controller/webhook.go with hashicorp/go-retryablehttp 0.7.8, both recorded in
tests/webhook/flagger_client.jsonl. Time is a parameter: nothing here sleeps unless it is told how.
"""

from __future__ import annotations

import datetime
import email.utils
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from meshtest.lib.dataclass import dataclass
from meshtest.rollouts.canary.replies import ACCEPTED, Answer
from meshtest.webhook.wire import BodyLost, NoReply, Request, deliver, redacted, unparsable

TIMEOUT = 10.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
ASKED_TO_WAIT = (429, 503)
NOT_IMPLEMENTED = 501


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One delivery of the payload."""

    at: float
    """Seconds after the first one began."""
    seconds: float
    status: int | None = None
    """None: no reply came."""
    error: str = ""
    """Why there was no reply, or not all of it."""
    body: str = ""
    """What Flagger reads of it: nothing of a status that is tried again."""
    hops: tuple[str, ...] = ()
    """The redirects that were followed."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """All attempts of one call, and what Flagger makes of them."""

    url: str
    attempts: tuple[Attempt, ...]
    """None at all: the URL or the time-out cannot be parsed."""
    ok: bool
    reason: str = ""
    """What Flagger puts into its event; not always what the hook has said."""

    @property
    def answer(self) -> Answer:
        return Answer(ok=self.ok, reason=self.reason)

    @property
    def seconds(self) -> float:
        """From the first attempt to the end of the last."""
        return self.attempts[-1].at + self.attempts[-1].seconds if self.attempts else 0.0


@dataclass(frozen=True, kw_only=True)
class Caller:
    """One that calls as Flagger does, on a clock of its own."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    wall: Callable[[], float] = time.time
    """For a Retry-After that is a date."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Sent with every call; Flagger sends none of its own."""

    def call(
        self,
        url: str,
        payload: Mapping[str, Any] | bytes,
        *,
        method: str = "POST",
        timeout: float = TIMEOUT,
        retries: int = 0,
        insecure: bool = False,
    ) -> Exchange:
        """`timeout`: seconds of each attempt, as in the Canary; below 0, it was one that Go cannot parse, and nothing
        is sent. `insecure`: its disableTLS. `method`: Flagger itself posts."""
        body = payload if isinstance(payload, bytes) else encoded(payload)
        if impossible := "time: invalid duration" if timeout < 0 else unparsable(url):
            return Exchange(url=url, attempts=(), ok=False, reason=impossible)
        request = Request(method=method, url=url, body=body, timeout=timeout, insecure=insecure, headers=self.headers)
        return _Call(self, request, retries).made()


def encoded(payload: Mapping[str, Any]) -> bytes:
    """As Go writes it: no spaces, metadata sorted and left out when there is none, nothing that HTML would mind."""
    written = dict(payload)
    if metadata := dict(written.pop("metadata", None) or {}):
        written["metadata"] = dict(sorted(metadata.items()))
    text = json.dumps(written, separators=(",", ":"), ensure_ascii=False)
    return _HTML.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


_HTML = re.compile("[<>&\u2028\u2029]")


class _Call:
    """Attempts until one is not tried again."""

    def __init__(self, caller: Caller, request: Request, retries: int) -> None:
        self._caller, self._request, self._retries = caller, request, max(0, retries)
        self._began = caller.now()
        self._attempts: list[Attempt] = []

    def made(self) -> Exchange:
        while True:
            attempt, retriable, asked = self._attempt()
            self._attempts.append(attempt)
            if not retriable or len(self._attempts) > self._retries:
                return self._exchange(attempt, retriable)
            self._caller.sleep(backoff(len(self._attempts) - 1) if asked is None else asked)

    def _attempt(self) -> tuple[Attempt, bool, float | None]:
        """With whether it is tried again, and how long the hook asks to wait."""
        began = self._caller.now()
        found: dict[str, Any] = {}
        retriable, asked = True, None
        try:
            with deliver(self._request, now=self._caller.now) as reply:
                found = {"status": reply.status, "hops": reply.hops}
                retriable = is_retriable(reply.status)
                if retriable:
                    reply.drain()
                    asked = self._asked_to_wait(reply.status, reply.header("Retry-After"))
                else:
                    found["body"] = reply.body()
        except BodyLost as lost:
            found["error"] = f"error reading body: {lost}"
        except NoReply as none:
            found["error"], retriable = str(none), not none.final
        seconds = self._caller.now() - began
        return Attempt(at=began - self._began, seconds=seconds, **found), retriable, asked

    def _asked_to_wait(self, status: int, text: str) -> float | None:
        return retry_after(text, self._caller.wall()) if status in ASKED_TO_WAIT else None

    def _exchange(self, last: Attempt, retriable: bool) -> Exchange:
        ok = not (retriable or last.error) and (last.status or 0) <= ACCEPTED
        reason = "" if ok else self._reason(last, retriable)
        return Exchange(url=self._request.url, attempts=tuple(self._attempts), ok=ok, reason=reason)

    def _reason(self, last: Attempt, retriable: bool) -> str:
        if last.status is not None and not retriable:
            return last.error or last.body
        gave_up = f"POST {redacted(self._request.url)} giving up after {len(self._attempts)} attempt(s)"
        return f"{gave_up}: {last.error}" if last.error else gave_up


def is_retriable(status: int) -> bool:
    """A status that is tried again: the hook is taken for broken."""
    return status in (0, 429) or (status >= 500 and status != NOT_IMPLEMENTED)


def backoff(number: int) -> float:
    """Seconds after attempt `number`, counted from 0."""
    return float(min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(number, 10)))


def retry_after(text: str, wall: float) -> float | None:
    """Seconds, or a date as RFC 1123 writes it. None: nothing that counts; a date that has passed is 0."""
    if re.fullmatch(r"[+-]?[0-9]+", text):
        return float(text) if int(text) >= 0 else None
    if not _RFC_1123.fullmatch(text):
        return None
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=datetime.UTC)).timestamp() - wall)


_RFC_1123 = re.compile(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} \S+")
