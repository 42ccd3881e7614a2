"""What a load is told to send, and how often: checked here, before anything starts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.loads.exchange import MODULES
from meshtest.loads.libraries import folders
from meshtest.loads.shape import Stage, check_shape, length
from meshtest.model.choices import salt
from meshtest.model.record import PART_BITS, REQUEST_ID
from meshtest.model.request import Lane, Transport
from meshtest.spi.load import check_name

if TYPE_CHECKING:
    from meshtest.loads.ask import TlsAsk

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
BOTH_LANES = (Lane.KEEPALIVE, Lane.FRESH)

Headers = Mapping[str, str] | Sequence[str]
"""`{"x-user": "7"}` or `["x-user: 7"]`."""

Arrivals = Literal["even", "poisson"]
Protocol = Literal["", "http1", "http2", "grpc", "grpc_stream", "websocket", "tcp"]

PROTOCOLS = {
    "http1": Transport.HTTP1, "http2": Transport.HTTP2, "grpc": Transport.GRPC, "grpc_stream": Transport.GRPC_STREAM,
    "websocket": Transport.WEBSOCKET, "tcp": Transport.TCP,
}  # fmt: skip
SCHEMES: dict[str, tuple[Literal["http1", "websocket", "grpc", "tcp"], bool, int]] = {
    "http": ("http1", False, 80), "https": ("http1", True, 443),
    "ws": ("websocket", False, 80), "wss": ("websocket", True, 443),
    "grpc": ("grpc", False, 80), "grpcs": ("grpc", True, 443),
    "tcp": ("tcp", False, 0), "tls": ("tcp", True, 443),
}  # fmt: skip
"""URL scheme: the protocol unless another is asked for, whether inside TLS, and the port (0: it must be written)."""

LONGEST = 300.0
"""Seconds of a request's timeout: its end is recorded as 32 bits of 100 ns after its intended time."""

SAMPLED = 0.01
"""Share of the requests whose traceparent asks for a sample: what Istio does by default. A load that had all of them
sampled would measure the collector."""


@dataclass(frozen=True)
class Target:
    """One kind of request of a load: `Target("POST http://web/cart", weight=2, body="@cart.json")`."""

    request: str
    """`GET http://web:9080/path`; the method may be left out."""
    _: KW_ONLY
    weight: float = 1.0
    """Its share of the requests is its weight over the sum of all."""
    headers: Headers = ()
    body: bytes | str = b""
    """`"@cart.json"` is what that file holds."""
    protocol: Protocol = ""
    """Instead of what the URL's scheme says: `http2` for an http URL, `grpc_stream` for a grpc one."""
    tls: TlsAsk | None = None
    """How to speak TLS; an https URL needs none of it."""

    def __post_init__(self) -> None:
        if not 0 < self.weight < float("inf"):
            raise UsageError(f"weight of {self.request!r} is {self.weight!r}; it must be above 0")
        if self.protocol and self.protocol not in PROTOCOLS:
            raise UsageError(f"protocol {self.protocol!r} of {self.request!r}: one of {', '.join(PROTOCOLS)}")
        if self.transport not in MODULES:
            spoken = ", ".join(name for name, transport in PROTOCOLS.items() if transport in MODULES)
            raise UsageError(
                f"request {self.request!r}: a load does not speak {self.transport.name} yet, only {spoken}"
            )
        if self.tls and bool(self.tls.certificate) != bool(self.tls.key):
            raise UsageError("a client certificate needs its key, and the key its certificate")
        if self.tls and (self.tls.ca or self.tls.certificate):
            from meshtest.loads.line import tls_context  # with ssl; and for its UsageError, now and not in the prober

            tls_context(self.tls.ca, self.tls.certificate, self.tls.key, (), "")
        _ = self.payload, self.fields

    @cached_property
    def parts(self) -> tuple[str, str, str, str]:
        """Method, scheme, authority, path and query."""
        return parse_request(self.request)

    @property
    def authority(self) -> str:
        """The Host header: host, and port unless it is the scheme's own."""
        return self.parts[2]

    @property
    def host(self) -> str:
        return urlsplit(f"//{self.authority}").hostname or self.authority

    @property
    def port(self) -> int:
        return urlsplit(f"//{self.authority}").port or SCHEMES[self.parts[1]][2]

    @property
    def transport(self) -> Transport:
        return PROTOCOLS[self.protocol or SCHEMES[self.parts[1]][0]]

    @property
    def secure(self) -> bool:
        """Inside TLS."""
        return self.tls is not None or SCHEMES[self.parts[1]][1]

    @cached_property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """The headers."""
        return parse_headers(self.headers)

    @cached_property
    def payload(self) -> bytes:
        """The body."""
        return read_body(self.body)

    def __str__(self) -> str:
        method, scheme, authority, path = self.parts
        return f"{method} {scheme}://{authority}{path}"

    def order(self, address: str, port: int, *, proxy: bool) -> dict[str, Any]:
        """As the prober is told (exchange.TargetOrder)."""
        method, scheme, authority, path = self.parts
        return {
            "transport": int(self.transport),
            "address": address,
            "port": port,
            "proxy": proxy,
            "tls": self._tls() if self.secure else None,
            "scheme": scheme,
            "method": method,
            "authority": authority,
            "host": self.host,
            "path": path,
            "headers": list(self.fields),
            "body": self.payload,
            "libraries": folders(self.transport),
        }

    def _tls(self) -> dict[str, Any]:
        asked = {"sni": "", "ca": "", "certificate": "", "key": "", "alpn": None, "max_version": ""}
        asked |= {name: getattr(self.tls, name) for name in asked} if self.tls else {}
        return asked | {"sni": asked["sni"] or self.host}


@dataclass(frozen=True, kw_only=True)
class LoadSpec:
    """One load. `rate` a second, or a `shape` (open loop); or, when both are None, `concurrency` at a time (closed)."""

    name: str
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
    unreachable: Literal["error", "record"] = "error"
    """What it means that nobody listens when the load starts: a mistake in the test, or what it is to measure."""

    @classmethod
    def of(
        cls,
        request: str | Target | Sequence[str | Target],
        *,
        name: str = "load",
        headers: Headers = (),
        body: bytes | str = b"",
        protocol: Protocol = "",
        tls: TlsAsk | None = None,
        rate: float | None = None,
        shape: Sequence[Stage] = (),
        arrivals: Arrivals = "even",
        concurrency: int | None = None,
        requests: int | None = None,
        seconds: float | None = None,
        lanes: Sequence[Lane | str] = BOTH_LANES,
        connections: int = 16,
        timeout: float = 5.0,
        processes: int = 1,
        users: int = 0,
        fault_headers: Mapping[str, float] | None = None,
        sampled: float = SAMPLED,
        unreachable: Literal["error", "record"] = "error",
    ) -> LoadSpec:
        """From what a person writes: `GET http://web:9080/path`, the method being optional; or several Targets.

        `headers`, `body`, `protocol` and `tls` are those of a request given as a string. Without rate, shape and
        concurrency it is 100 a second. Raises UsageError, which says what was wrong and what is meant.
        """
        given = [request] if isinstance(request, str | Target) else list(request)
        if not given:
            raise UsageError("a load needs at least one request to send")
        check_name(name)
        _positive(rate=rate, requests=requests, seconds=seconds, timeout=timeout)
        _positive(concurrency=concurrency, connections=connections)
        _whole(users=users, processes=processes - 1)
        stages = check_shape(shape) if shape else ()
        _one_pace(rate, stages, concurrency, arrivals)
        spec = cls(
            name=name,
            targets=tuple(
                Target(one, headers=headers, body=body, protocol=protocol, tls=tls) if isinstance(one, str) else one
                for one in given
            ),
            rate=None if concurrency or stages else rate or 100.0,
            shape=stages,
            arrivals=arrivals,
            concurrency=concurrency,
            requests=requests,
            seconds=seconds,
            lanes=parse_lanes(lanes),
            connections=connections,
            timeout=timeout,
            processes=processes,
            users=users,
            fault_headers=parse_fault_headers(fault_headers or {}),
            sampled=sampled,
            unreachable=unreachable,
        )
        spec._check()
        return spec

    def _check(self) -> None:
        if self.timeout > LONGEST:
            raise UsageError(f"timeout is {self.timeout!r}; at most {LONGEST:g} seconds, or a record could not hold it")
        if not 0 <= self.sampled <= 1:
            raise UsageError(f"sampled is {self.sampled!r}; it is a share, from 0 to 1")
        if self.unreachable not in ("error", "record"):
            raise UsageError(f"unreachable is {self.unreachable!r}: `error` or `record`")
        for what, number in (("users", self.users or None), ("concurrency", self.concurrency)):
            if number is not None and number < self.processes:
                raise UsageError(f"{what} is {number}, but there are {self.processes} processes to share them")
        given = {name.lower() for target in self.targets for name, _ in target.fields}
        if REQUEST_ID in given:
            raise UsageError(f"header {REQUEST_ID!r} is the load's own: by it each request is found again")
        if self.users and "cookie" in given:
            raise UsageError("users keep their own cookies; leave the header `cookie` out, or `users`")
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
        if len(self.targets) > 1:
            data["targets"] = [{"request": str(target), "weight": target.weight} for target in self.targets]
        if self.processes > 1:
            data["processes"] = self.processes
        if self.users:
            data["users"] = self.users
        if self.fault_headers:
            data["fault_headers"] = {f"{name}: {value}": share for name, value, share in self.fault_headers}
        return data


def parse_request(text: str) -> tuple[str, str, str, str]:
    """(method, scheme, authority, path and query)."""
    words = text.split()
    method, url = ("", *words) if len(words) == 1 else (words if len(words) == 2 else ("", ""))
    if not TOKEN.fullmatch(method or "GET") or "://" not in url:
        raise UsageError(f"request {text!r}: write `GET http://host:port/path`; the method may be left out")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"request {text!r}: {error}") from None
    if parts.scheme not in SCHEMES:
        raise UsageError(f"request {text!r}: scheme {parts.scheme!r} is none of {', '.join(SCHEMES)}")
    if not host or parts.username is not None or not url.isascii() or not url.isprintable():
        raise UsageError(f"request {text!r}: a URL has a host, no user, and only printable ASCII (quote the rest)")
    protocol, _, default = SCHEMES[parts.scheme]
    if not default and port is None:
        raise UsageError(f"request {text!r}: {parts.scheme} has no usual port; write {parts.scheme}://{host}:PORT")
    host = f"[{host}]" if ":" in host else host
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    authority = f"{host}:{port}" if port not in (None, default) else host
    return "POST" if protocol == "grpc" else method.upper() or "GET", parts.scheme, authority, path


def parse_targets(requests: str | Sequence[str], weights: str = "", **more: Any) -> list[Target]:
    """From a command line: requests, and `9,1` as their weights."""
    texts = [requests] if isinstance(requests, str) else list(requests)
    try:
        numbers = [float(word) for word in weights.split(",")] if weights else [1.0] * len(texts)
    except ValueError:
        raise UsageError(f"weights {weights!r}: numbers, as 9,1") from None
    if len(numbers) != len(texts):
        raise UsageError(f"weights {weights!r}: {len(numbers)} for {len(texts)} request(s)")
    return [Target(text, weight=number, **more) for text, number in zip(texts, numbers, strict=True)]


def parse_headers(headers: Headers) -> tuple[tuple[str, str], ...]:
    if isinstance(headers, str):
        raise UsageError(f"headers {headers!r}: give a mapping, or a list of `name: value`")
    pairs = headers.items() if isinstance(headers, Mapping) else [_header(line) for line in headers]
    for name, value in pairs:
        if not TOKEN.fullmatch(name):
            raise UsageError(f"header {name!r}: not a valid name")
        if any(c in value for c in "\r\n\0"):
            raise UsageError(f"header {name!r}: a value has no line break")
    return tuple((name, value.strip()) for name, value in pairs)


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


def read_body(body: bytes | str) -> bytes:
    """`@FILE` is what the file holds."""
    if isinstance(body, bytes):
        return body
    if not body.startswith("@"):
        return body.encode()
    try:
        return Path(body[1:]).expanduser().read_bytes()
    except OSError as error:
        where = Path(body[1:]).expanduser().absolute()
        why = f"{error.strerror} ({where})"
        raise UsageError(f"body {body!r}: {why}; `@` names a file, give bytes if the body begins with it") from None


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise UsageError(f"header {line!r}: write `name: value`")
    return name.strip(), value.strip()


def parse_lanes(lanes: Sequence[Lane | str]) -> tuple[Lane, ...]:
    known = {lane.name.lower(): lane for lane in BOTH_LANES}
    names = [lanes] if isinstance(lanes, str) else lanes
    wrong = [lane for lane in names if lane not in known and lane not in known.values()]
    if wrong or not names:
        raise UsageError(f"lanes {lanes!r}: one or more of {', '.join(known)}")
    return tuple(lane if isinstance(lane, Lane) else known[lane] for lane in names)


def _one_pace(rate: float | None, shape: Sequence[Stage], concurrency: int | None, arrivals: str) -> None:
    given = [name for name, value in (("rate", rate), ("shape", shape), ("concurrency", concurrency)) if value]
    if len(given) > 1:
        raise UsageError(f"a load has one pace; {' and '.join(given)} were given")
    if arrivals not in ("even", "poisson"):
        raise UsageError(f"arrivals {arrivals!r}: `even` or `poisson`")
    if concurrency and arrivals != "even":
        raise UsageError("a closed loop (concurrency) has no arrivals of its own; give a rate or a shape")


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
