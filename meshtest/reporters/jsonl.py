"""A run as lines of JSON for other tools: events, requests and findings, each with its `type`, in order of time."""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from meshtest.model.history import Event, History
from meshtest.model.request import Request
from meshtest.model.verdict import Verdict


def lines(history: History, verdict: Verdict | None = None) -> Iterator[str]:
    """Events and requests merged by time (of a request: when it was intended); the findings last."""
    events = ((e.at, _event(e)) for e in history.events)
    requests = ((r.at, _request(r)) for r in history.requests)
    for _, entry in heapq.merge(events, requests, key=lambda pair: pair[0]):
        yield _line(entry)
    for finding in verdict.findings if verdict is not None else ():
        yield _line({"type": "finding", **finding.as_data()})
    if verdict is not None:
        yield _line({"type": "verdict", "outcome": verdict.outcome.name, "sentence": verdict.sentence})


def write(path: Path, history: History, verdict: Verdict | None = None) -> None:
    """All lines into a file."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in lines(history, verdict))


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, default=str, separators=(",", ":"))


def _event(event: Event) -> dict[str, Any]:
    return {"type": "event", "at": event.at, "kind": event.kind, "subject": event.subject, "data": event.data}


def _request(request: Request) -> dict[str, Any]:
    return {
        "type": "request",
        "id": request.id,
        "at": round(request.at, 7),
        "late": request.late,
        "first_byte": request.first_byte,
        "latency": request.latency,
        "fate": request.fate.name.lower(),
        "status": request.status,
        "lane": request.lane.name.lower(),
        "attempts": request.attempts,
        "service": request.server.service,
        "version": request.server.version,
        "pod": request.server.pod,
    }
