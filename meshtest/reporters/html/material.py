"""What several parts of the page are made from, worked out once: the failures, the colours, the time that is shown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from meshtest.model import deeper, tables
from meshtest.model.history import Event, History, Hop, same_host
from meshtest.model.record import NEVER, NOT_SENT
from meshtest.model.report import Change, RunReport
from meshtest.model.request import Request
from meshtest.model.sightings import is_choice
from meshtest.model.verdict import Finding, Outcome

COLORS = 6
"""Versions with a colour of their own; the others share a grey."""
NO_ROUTE = frozenset(("NR", "NC"))
"""Envoy's flags for an answer of its own because no route, or no cluster, was there."""
OUTAGES = 20
"""The check no_downtime lists so many of a run."""
UNKNOWN = "no known server"
"""Of requests that no one is known to have served."""
MOST_TOLD = 2000
"""Failures whose hops are looked at, to say what they were."""


class Failure(NamedTuple):
    """A failed request, and what the proxies said of it."""

    position: int
    request: Request
    flags: tuple[str, ...]
    culprit: str
    """Who failed first, where that was not whom the user called: `reviews/v2 503`."""

    @property
    def kind(self) -> str:
        """`503 UF`, `reset`, `502 by reviews/v2 503`."""
        word = str(self.request.status) if self.request.answered else self.request.fate.name.lower()
        return " ".join((word, *self.flags, *([f"by {self.culprit}"] if self.culprit else ())))

    @property
    def who(self) -> str:
        return named(self.request.server.service, self.request.server.version)


def named(service: str, version: str) -> str:
    return f"{service}/{version}" if service and version else version or service


def natural(name: str) -> list[tuple[int, str]]:
    """To sort v2 before v10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d{1,15})", name)]


class Material:
    """A report, looked at."""

    def __init__(self, report: RunReport) -> None:
        self.report = report
        self.history: History = report.history
        self.requests = report.history.requests
        self.events: Sequence[Event] = report.history.events
        self._choices: dict[str, list[Hop]] = {}

    # What it says.

    @property
    def name(self) -> str:
        return str(self.report.about.get("name") or "run")

    @cached_property
    def outcome(self) -> Outcome | None:
        """None: the run has not ended and nothing was judged yet."""
        if self.report.verdict.findings:
            return self.report.verdict.outcome
        word = str(self.report.about.get("outcome"))
        if word in Outcome.__members__:
            return Outcome[word]
        ended = self.report.about.get("ended") is not None or self.history.truncated
        return Outcome.UNKNOWN if ended else None

    @cached_property
    def decisive(self) -> Finding | None:
        return self.report.verdict.decisive if self.report.verdict.findings else None

    @cached_property
    def outages(self) -> Sequence[Mapping[str, Any]]:
        """As the check no_downtime measured them, with their error; each once, however often it was asked."""
        found: dict[tuple[Any, Any], Mapping[str, Any]] = {}
        for finding in self.report.verdict.findings:
            for outage in finding.figures.get("outages") or ():
                found.setdefault((outage.get("load"), outage["begin"]), outage)
        return sorted(found.values(), key=lambda outage: float(outage["begin"]))

    @property
    def more_outages(self) -> bool:
        """There may be more than the check tells, which are the first ones."""
        return len(self.outages) >= OUTAGES

    # Requests.

    @cached_property
    def sent(self) -> int:
        return len(self.requests) - self.requests.fates.count(NOT_SENT)

    @cached_property
    def lost(self) -> list[int]:
        """Positions of the requests that a user would call failed: no answer, 5xx, or 404 because no route was there.

        What never left is no failure of the mesh.
        """
        fates = self.requests.fates
        lost = {i for i in tables.failures(self.requests) if fates[i] != NOT_SENT}
        if len(self.history.hops):
            strange = self.requests.where(lambda kind: kind.status == 404)
            lost.update(i for i in strange if not NO_ROUTE.isdisjoint(_flags(self.history, self.requests[i].id)))
        return sorted(lost)

    @cached_property
    def failures(self) -> Sequence[Failure]:
        """The first of them, told."""
        return [self.told(position) for position in self.lost[:MOST_TOLD]]

    def told(self, position: int) -> Failure:
        request = self.requests[position]
        return Failure(position, request, _flags(self.history, request.id), _culprit(self.history, request))

    @cached_property
    def slowest(self) -> int | None:
        """Position of the slowest request that was answered."""
        positions = self.requests.where(lambda kind: not kind.fate)
        done = self.requests.done
        return max(positions, key=lambda i: 0 if done[i] == NEVER else done[i], default=None)

    @cached_property
    def rows(self) -> list[tables.Row]:
        """A row a version: of those that users reached, then of hosts further down that were shifted."""
        entries = tables.by_version(self.requests, self.lost) if len(self.requests) else []
        further = [row for host in self.moved for row in deeper.by_version(self.history, host)]
        return sorted(entries, key=lambda row: natural(row.version)) + further

    @cached_property
    def moved(self) -> list[str]:
        """Hosts further down the call graph that some configuration split."""
        return deeper.moved(self.history)

    def choices(self, host: str) -> list[Hop]:
        """The hops that chose a version of a host further down."""
        if host not in self._choices:
            start, end = self.history.start, self.history.end
            self._choices[host] = [h for h in self.history.hops if is_choice(h, host) and start <= h.at < end]
        return self._choices[host]

    # Time.

    @cached_property
    def moment(self) -> float | None:
        """When the first failure was noticed: a request that is cut was sent long before, and is no less lost."""
        return min(map(self.noticed, self.failures), default=None)

    def noticed(self, failure: Failure) -> float:
        """When it went wrong: its pod was stopped, a proxy saw it fail; its client heard of that later."""
        request = failure.request
        hops = [h for h in self.history.hops_of(request.id) if h.status >= 500 or h.status == 0]
        pods = {request.server.pod, *(h.server.pod for h in hops)} - {""}
        stops = (e.at for pod in pods for e in self.stops.get(pod, ()) if request.at <= e.at <= request.ended_at)
        return min([request.ended_at, *(h.at + h.seconds for h in hops), *stops])

    @cached_property
    def stops(self) -> Mapping[str, Sequence[Event]]:
        """By pod, when it was told to stop and when it ended."""
        found: dict[str, list[Event]] = {}
        for event in self.history.of("pod.terminate", "pod.exit"):
            found.setdefault(event.subject, []).append(event)
        return found

    @cached_property
    def span(self) -> tuple[float, float]:
        """The time that charts show: that of the load, with a margin; without one, that of the events."""
        if len(self.requests):
            first, last = self.requests[0].at, max(self.requests[-1].at, self._last_end)
        else:
            first, last = (self.events[0].at, self.events[-1].at) if self.events else (0.0, 0.0)
        margin = max((last - first) * 0.02, 0.005)
        return first - margin, last + margin

    def parts(self, most: int) -> int:
        """Parts of the time to count in: so many that a part has some ten requests, or every column would differ."""
        return max(min(most, len(self.requests) // 10), min(most, 24))

    @property
    def _last_end(self) -> float:
        ended = (event.at for event in self.history.of("load.end"))
        return min(max(ended, default=0.0), self.requests[-1].ended_at)

    # Looks.

    @cached_property
    def _colors(self) -> dict[str, str]:
        """By version: the same in all charts, whatever the service."""
        weight: Counter[str] = Counter()
        for row in self.rows:
            weight[row.version.rpartition("/")[2]] += row.requests
        weight.pop("", None)
        common = sorted((version for version, _ in weight.most_common(COLORS)), key=natural)
        return {version: f"c{number}" for number, version in enumerate(common)}

    def color(self, name: str) -> str:
        """The class that colours `web/v1`, or `v1`."""
        return self._colors.get(name.rpartition("/")[2], "other")

    # Configuration.

    @cached_property
    def applied(self) -> dict[int, Event]:
        return {int(e.data["number"]): e for e in self.history.of("config.apply") if "number" in e.data}

    @cached_property
    def acked(self) -> dict[int, Event]:
        return {int(e.data["number"]): e for e in self.history.of("config.ack") if "number" in e.data}

    @cached_property
    def reasons(self) -> dict[int, str]:
        found = {change.number: change.reason for change in self.report.changes}
        return found | {n: str(e.data["reason"]) for n, e in self.applied.items() if e.data.get("reason")}

    @cached_property
    def guilty(self) -> Change | None:
        """The change that was asked for last before the first failure was noticed; of those that pass, the last."""
        at = self.moment
        before = [c for c in self.report.changes if at is None or self._asked(c.number) <= at]
        return before[-1] if before else None

    def _asked(self, number: int) -> float:
        return self.applied[number].at if number in self.applied else 0.0

    def shares(self, host: str) -> list[tuple[float, Mapping[str, float]]]:
        """(second, percent by version) from when on each split of a host was in force."""
        found: list[tuple[float, Mapping[str, float]]] = []
        for number, event in sorted(self.acked.items()):
            asked = self.applied[number].data.get("shares") if number in self.applied else None
            split = next((split for name, split in (asked or {}).items() if same_host(name, host)), None)
            if split:
                found.append((event.at, split))
        return found


def _flags(history: History, request_id: str) -> tuple[str, ...]:
    found = (flag for hop in history.hops_of(request_id) for flag in hop.flags.split(",") if flag not in ("-", ""))
    return tuple(dict.fromkeys(found))


def _culprit(history: History, request: Request) -> str:
    """The failed hop furthest down the call graph, if it is not that of the service which the user called."""
    failed = [hop for hop in history.hops_of(request.id) if hop.status >= 500 or hop.status == 0]
    deepest = max(failed, key=lambda hop: hop.at, default=None)
    if deepest is None or not deepest.server.service or deepest.server.service == request.server.service:
        return ""
    return f"{named(deepest.server.service, deepest.server.version)} {deepest.status}"
