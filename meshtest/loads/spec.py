"""What a load is told to send, and how often: checked here, before anything starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.loads.parse import Headers, parse_headers
from meshtest.loads.shape import Stage, check_shape, length
from meshtest.loads.target import Protocol, Target
from meshtest.model.choices import salt
from meshtest.model.record import PART_BITS, REQUEST_ID
from meshtest.model.request import Lane
from meshtest.spi.load import check_name

if TYPE_CHECKING:
    from meshtest.loads.ask import TlsAsk

BOTH_LANES = (Lane.KEEPALIVE, Lane.FRESH)

Arrivals = Literal["even", "poisson"]
Unreachable = Literal["error", "record"]

LONGEST = 300.0
"""Seconds of a request's timeout: its end is recorded as 32 bits of 100 ns after its intended time."""

SAMPLED = 0.01
"""Share of the requests whose traceparent asks for a sample: what Istio does by default. A load that had all of them
sampled would measure the collector."""


def sampled_by(traces: str) -> float:
    """The share that goes with the setting `traces`. With `off` it stays: services may have their own collector."""
    return 1.0 if traces == "all" else SAMPLED


class Others(TypedDict, total=False):
    """What a LoadSpec takes as it is written; its fields say what each means."""

    name: str
    arrivals: Arrivals
    requests: int | None
    seconds: float | None
    connections: int
    timeout: float
    processes: int
    users: int
    sampled: float
    b3: bool
    unreachable: Unreachable


@dataclass(frozen=True, kw_only=True)
class LoadSpec:
    """One load. `rate` a second, or a `shape` (open loop); or, when both are None, `concurrency` at a time (closed)."""

    name: str = "load"
    targets: tuple[Target, ...]
    rate: float | None = None
    shape: tuple[Stage, ...] = ()
    arrivals: Arrivals = "even"
    concurrency: int | None = None
    requests: int | None = None
    """End after so many."""
    seconds: float | None = None
    """End after so long."""
    lanes: tuple[Lane, ...] = BOTH_LANES
    connections: int = 16
    """Kept connections of each target; more are opened when all are busy, as an open loop must not wait."""
    timeout: float = 5.0
    """For each request, from when it begins to leave."""
    processes: int = 1
    users: int = 0
    """Virtual users, in turn, each with a session of its own: the cookies that it was given. 0: no sessions."""
    fault_headers: tuple[tuple[str, str, float], ...] = ()
    """(name, value, share of the requests that carry it)."""
    sampled: float = SAMPLED
    b3: bool = False
    """The trace goes along in B3's headers too."""
    unreachable: Unreachable = "error"
    """What it means that nobody listens when the load starts: a mistake in the test, or what it is to measure."""

    @classmethod
    def of(
        cls,
        request: str | Target | Sequence[str | Target],
        *,
        headers: Headers = (),
        body: bytes | str = b"",
        protocol: Protocol = "",
        tls: TlsAsk | None = None,
        rate: float | None = None,
        shape: Sequence[Stage] = (),
        concurrency: int | None = None,
        lanes: Sequence[Lane | str] = BOTH_LANES,
        fault_headers: Mapping[str, float] | None = None,
        **others: Unpack[Others],
    ) -> LoadSpec:
        """From what a person writes: `GET http://web:9080/path`, the method being optional; or several Targets.

        `headers`, `body`, `protocol` and `tls` are those of a request given as a string. Without rate, shape and
        concurrency it is 100 a second. Raises UsageError, which says what was wrong and what is meant.
        """
        given = [request] if isinstance(request, str | Target) else list(request)
        if not given:
            raise UsageError("a load needs at least one request to send")
        _positive(rate=rate, concurrency=concurrency)
        stages = check_shape(shape) if shape else ()
        _one_pace(rate=rate, shape=stages, concurrency=concurrency)
        spec = cls(
            targets=tuple(
                Target(one, headers=headers, body=body, protocol=protocol, tls=tls) if isinstance(one, str) else one
                for one in given
            ),
            rate=None if concurrency or stages else rate or 100.0,
            shape=stages,
            concurrency=concurrency,
            lanes=parse_lanes(lanes),
            fault_headers=parse_fault_headers(fault_headers or {}),
            **others,
        )
        spec._check()
        return spec

    def _check(self) -> None:
        self._check_numbers()
        check_name(self.name)
        if self.arrivals not in ("even", "poisson"):
            raise UsageError(f"arrivals {self.arrivals!r}: `even` or `poisson`")
        if self.concurrency and self.arrivals != "even":
            raise UsageError("a closed loop (concurrency) has no arrivals of its own; give a rate or a shape")
        if self.unreachable not in ("error", "record"):
            raise UsageError(f"unreachable is {self.unreachable!r}: `error` or `record`")
        given = {name.lower() for target in self.targets for name, _ in target.fields}
        if REQUEST_ID in given:
            raise UsageError(f"header {REQUEST_ID!r} is the load's own: by it each request is found again")
        if self.users and "cookie" in given:
            raise UsageError("users keep their own cookies; leave the header `cookie` out, or `users`")

    def _check_numbers(self) -> None:
        _positive(requests=self.requests, seconds=self.seconds, timeout=self.timeout, connections=self.connections)
        _whole(users=self.users, processes=self.processes - 1)
        if self.timeout > LONGEST:
            raise UsageError(f"timeout is {self.timeout!r}; at most {LONGEST:g} seconds, or a record could not hold it")
        if not 0 <= self.sampled <= 1:
            raise UsageError(f"sampled is {self.sampled!r}; it is a share, from 0 to 1")
        for what, number in (("users", self.users or None), ("concurrency", self.concurrency)):
            if number is not None and number < self.processes:
                raise UsageError(f"{what} is {number}, but there are {self.processes} processes to share them")
        most = (1 << PART_BITS) * self.processes
        if (self.requests or 0) > most or (self.rate or 0) * (self.seconds or 0) > most:
            raise UsageError(
                f"{self.processes} process(es) of a load number {most:,} requests at most; use more processes"
            )

    @property
    def authority(self) -> str:
        """Of the first target."""
        return self.targets[0].authority

    @property
    def lasts(self) -> float | None:
        """Seconds after which it ends by itself, if anything but a number of requests ends it."""
        lengths = [length(stage) for stage in self.shape]
        whole = sum(one or 0.0 for one in lengths) if lengths and lengths[-1] is not None else None
        given = [one for one in (self.seconds, whole) if one is not None]
        return min(given, default=None)

    def due_in(self, requests: int, rate: float | None) -> float:
        """Seconds in which so many requests are surely due, at its rate now; of a closed loop, if all time out."""
        if rate:
            return requests / rate
        if not self.shape:
            return requests * self.timeout / (self.concurrency or 1)
        before = sum(length(stage) or 0.0 for stage in self.shape)
        kind, last, every, seconds = self.shape[-1].order()
        if seconds is not None:
            return before
        return before + (requests / last * every if kind == "burst" else requests / last)

    def order(self, part: int, seed: int, targets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What one of the processes is told (prober.Order), without the files. `targets` know their address."""
        from meshtest.model.choices import edges

        parts, seeded = self.processes, (self.name, str(part))
        return {
            "part": part,
            "parts": parts,
            "targets": list(targets),
            "edges": edges([target.weight for target in self.targets]),
            "target_salt": salt(seed, self.name, "target"),
            "stamp": {
                "name": self.name,
                "trace_salt": salt(seed, self.name, "trace"),
                "sampled": self.sampled,
                "b3": self.b3,
                "faults": [(*fault, salt(seed, self.name, "fault", fault[0])) for fault in self.fault_headers],
                "users": self.users,
                "parts": parts,
            },
            "pace": None if self.concurrency else self._pace(),
            "poisson": salt(seed, *seeded, "arrivals") if self.arrivals == "poisson" else None,
            "concurrency": None if self.concurrency is None else _part(self.concurrency, part, parts),
            "requests": None if self.requests is None else _part(self.requests, part, parts),
            "seconds": self.seconds,
            "lanes": [int(lane) for lane in self.lanes],
            "connections": max(_part(self.connections, part, parts), 1),
            "timeout": self.timeout,
            "must_listen": self.unreachable == "error",
        }

    def _pace(self) -> list[tuple[str, float, float, float | None]]:
        if self.shape:
            return [stage.order() for stage in self.shape]
        rate = float(self.rate or 0)
        return [("rate", rate, rate, None)]

    def describe(self) -> dict[str, Any]:
        """For the history and for people."""
        pace: dict[str, Any] = {"rate": self.rate} if self.rate else {"concurrency": self.concurrency}
        if self.shape:
            pace = {"shape": [str(stage) for stage in self.shape]}
        if self.arrivals != "even":
            pace["arrivals"] = self.arrivals
        data = {"request": str(self.targets[0]), **pace, "lanes": [lane.name.lower() for lane in self.lanes]}
        data["sampled"] = self.sampled
        if len(self.targets) > 1:
            data["targets"] = [{"request": str(target), "weight": target.weight} for target in self.targets]
        if self.processes > 1:
            data["processes"] = self.processes
        if self.users:
            data["users"] = self.users
        if self.fault_headers:
            data["fault_headers"] = {f"{name}: {value}": share for name, value, share in self.fault_headers}
        return data


def parse_fault_headers(shares: Mapping[str, float]) -> tuple[tuple[str, str, float], ...]:
    """From `{"x-fault": 0.1}` or `{"x-envoy-fault-abort-request: 503": 0.1}`; a name alone has the value 1."""
    if not isinstance(shares, Mapping):
        raise UsageError(f"fault_headers {shares!r}: give a mapping of header to share, as {{'x-fault': 0.1}}")
    found = []
    for line, share in shares.items():
        ((name, value),) = parse_headers([line if ":" in line else f"{line}: 1"])
        if not 0 < share <= 1:
            raise UsageError(f"fault header {name!r}: its share is {share!r}; above 0, at most 1")
        found.append((name.lower(), value, float(share)))
    return tuple(found)


def parse_lanes(lanes: Sequence[Lane | str]) -> tuple[Lane, ...]:
    known = {lane.name.lower(): lane for lane in BOTH_LANES}
    names = [lanes] if isinstance(lanes, str) else lanes
    wrong = [lane for lane in names if lane not in known and lane not in known.values()]
    if wrong or not names:
        raise UsageError(f"lanes {lanes!r}: one or more of {', '.join(known)}")
    return tuple(lane if isinstance(lane, Lane) else known[lane] for lane in names)


def _one_pace(**paces: object) -> None:
    given = [name for name, pace in paces.items() if pace]
    if len(given) > 1:
        raise UsageError(f"a load has one pace; {' and '.join(given)} were given")


def _part(number: int, part: int, parts: int) -> int:
    """Those of 0 … number - 1 that fall to one of so many parts."""
    return (number - part + parts - 1) // parts


def _positive(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{name} is {value!r}; it must be above 0")


def _whole(*, users: int, processes: int) -> None:
    if not isinstance(users, int) or users < 0:
        raise UsageError(f"users is {users!r}; a whole number, 0 for no sessions")
    if not isinstance(processes, int) or not 0 <= processes < 256:
        raise UsageError(f"processes is {processes + 1!r}; a whole number from 1 to 256")
