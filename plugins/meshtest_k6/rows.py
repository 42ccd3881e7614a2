"""Rows of k6's CSV output made into requests: one request from its dozen samples, and its fate from k6's error codes.

k6 stamps a sample with the end of the request and tells its parts as durations, to the ns; so a request began at
end - blocked - duration. Of one that failed the parts are incomplete: then the wrapper's word (ms) is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from meshtest.lib.dataclass import dataclass
from meshtest.model.record import (
    ANSWERED,
    CLOSED,
    FRESH,
    GARBLED,
    HTTP1,
    HTTP2,
    KEEPALIVE,
    MOST_SIZE,
    NEVER,
    NO_CODE,
    NOT_SENT,
    PART_BITS,
    REFUSED,
    RESET,
    TICK_NS,
    TIMEOUT,
    TLS,
)  # fmt: skip

HEADER = (
    "metric_name", "timestamp", "metric_value", "check", "error", "error_code", "expected_response", "group", "method",
    "name", "proto", "scenario", "service", "status", "subproto", "tls_version", "url", "extra_tags", "metadata",
)  # fmt: skip
METRIC, AT, VALUE, ERROR, CODE, PROTO, STATUS, TAGS, METADATA = (
    HEADER.index(name)
    for name in (
        "metric_name", "timestamp", "metric_value", "error", "error_code", "proto", "status", "extra_tags", "metadata",
    )
)  # fmt: skip
SYSTEM_TAGS = ",".join(HEADER[3:-2])
"""So that the script cannot ask for fewer columns."""
KEY = "meshtest="
SERVED, DROPPED = "meshtest_served", "dropped_iterations"
OTHERS = ("grpc_req_duration", "ws_sessions")
"""Calls of k6 that are not HTTP requests and leave no record; they are counted."""

_CODES = {1050: TIMEOUT, 1201: RESET, 1211: TIMEOUT, 1212: REFUSED, 1220: RESET}
_RANGES = (
    (1020, 1021, NOT_SENT), (1100, 1200, NOT_SENT), (1210, 1220, REFUSED), (1300, 1400, TLS), (1600, 1650, RESET),
    (1650, 1700, GARBLED), (1700, 1800, GARBLED),
)  # fmt: skip
"""k6's error codes (its documentation, javascript-api/error-codes). 14xx and 15xx are statuses: answered."""
_TEXTS = (
    ("EOF", CLOSED), ("closed", CLOSED), ("malformed", GARBLED), ("timeout", TIMEOUT), ("deadline", TIMEOUT),
    ("reset", RESET), ("broken pipe", RESET),
)  # fmt: skip
"""Code 1000 is "anything else"; what it was is only in Go's words."""


def fate_of(code: str, error: str) -> int:
    number = int(code or 0)
    if number == 0 or 1400 <= number < 1600:
        return ANSWERED if number or not error else _by_text(error)
    if number in _CODES:
        return _CODES[number]
    return next((fate for low, high, fate in _RANGES if low <= number < high), None) or _by_text(error)


def _by_text(error: str) -> int:
    return next((fate for word, fate in _TEXTS if word in error), GARBLED)


@dataclass
class Sample:
    """A request as far as its rows have been read. Where k6 followed redirects it is all of them together."""

    begin: int = 0
    """ns of the wall clock."""
    end: int = 0
    first: int = 0
    status: int = 0
    fate: int = ANSWERED
    proto: str = ""
    parts: dict[str, float] = field(default_factory=dict)
    reused: bool = False

    def add(self, row: Sequence[str]) -> None:
        metric = row[METRIC]
        if metric == "http_reqs":  # the first of its rows
            self._measure()
            self.end, self.proto, self.parts = int(row[AT]), row[PROTO], {}
            self.status, self.fate = int(row[STATUS] or 0), fate_of(row[CODE], row[ERROR])
        else:
            self.parts[metric] = float(row[VALUE])

    def _measure(self) -> None:
        """Of the answer whose rows have been read."""
        part = {name: round(value * 1e6) for name, value in self.parts.items()}
        if self.end and self.fate == ANSWERED:
            begin = self.end - part.get("http_req_duration", 0) - part.get("http_req_blocked", 0)
            self.begin = self.begin or begin
            self.first = self.end - part.get("http_req_receiving", 0)
            self.reused = part.get("http_req_connecting", 0) == 0

    def row(self, index: int, begun_ms: int, behind: int, size: int, attempts: str, lane: int) -> tuple[int, ...]:
        """All fields of RECORD but the server; `behind` is CLOCK_MONOTONIC minus the wall clock, in ns."""
        self._measure()
        answered = self.fate == ANSWERED
        begin = self.begin or min(begun_ms * 1_000_000, self.end)
        ticks = [NEVER if not answered else (self.first - begin) // TICK_NS, (self.end - begin) // TICK_NS]
        first, done = (min(max(t, 0), NEVER) for t in ticks)
        tries = min(int(attempts), 255) if attempts.isdigit() else 0
        return (
            begin + behind, index, 0 if self.fate != NOT_SENT else NEVER, first, done, self.status if answered else 0,
            self.fate, lane, tries, int(self.reused and lane == KEEPALIVE), min(size, MOST_SIZE), 0,
            HTTP2 if self.proto.startswith("HTTP/2") else HTTP1, NO_CODE,
        )  # fmt: skip


def key_of(row: Sequence[str]) -> str:
    """The wrapper's key of the request that a row is of: `VU-NUMBER-MS`; "" if it has none."""
    for column in (METADATA, TAGS):
        for pair in row[column].split("&"):
            if pair.startswith(KEY):
                return pair[len(KEY) :]
    return ""


def index_of(key: str) -> tuple[int, int]:
    """(index, ms of the wall clock at which it began)."""
    vu, number, ms = key.split("-")
    return (int(vu) - 1) << PART_BITS | int(number), int(ms)


def tags_of(row: Sequence[str]) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in row[TAGS].split("&") if "=" in pair)


LANES = {False: FRESH, True: KEEPALIVE}
"""By whether connections are reused."""
