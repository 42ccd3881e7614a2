"""The answers a tick gets: is a workload ready, what does a hook say, what does a metric read."""

from __future__ import annotations

from typing import TypeAlias

from meshtest.lib.dataclass import dataclass

ACCEPTED = 202
"""The last status that a webhook call accepts: 203, 204 and redirects that lead nowhere are denials."""


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """Whether a workload is rolled out; `error` says what it waits for."""

    error: str = ""
    retriable: bool = True
    """False: its deadline has passed, waiting is over."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Of a webhook: yes, or no with the text that Flagger puts into its event."""

    ok: bool = True
    reason: str = ""

    @classmethod
    def of(cls, status: int, body: str = "") -> Answer:
        """What Flagger makes of a reply. (It retries 429 and 5xx, and then loses their body: that is the caller's.)"""
        return cls() if status <= ACCEPTED else cls(ok=False, reason=body)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Of a metric: a value, none (no requests, no series, NaN), or an error of the query.

    Of `request-success-rate` in per cent, of `request-duration` in milliseconds, whatever the query counts in.
    """

    value: float | None = None
    error: str = ""


READY = Readiness()
YES = Answer()
NO = Answer(ok=False)

Reply: TypeAlias = Readiness | Answer | Reading | None
"""None: to a deed or a word."""
