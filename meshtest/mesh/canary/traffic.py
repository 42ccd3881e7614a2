"""The users of a rehearsal, and the load tests that the Canary's webhooks name.

Users come before the new revision does and stay until it is over. Who they are: what was asked for; else the load tests
of the Canary that call the service itself; else 50 requests/s. A load test that calls the canary or the primary is no
user: it runs as in production, from a call of its webhook on and for as long as its command line says.

Not here: sending (loads/), what became of it (checks/canary_users.py).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.mesh.canary.commands import Command, read
from meshtest.rollouts.canary.routers import GATEWAY_API, ISTIO, family
from meshtest.rollouts.canary.spec import Canary

if TYPE_CHECKING:
    from meshtest.mesh.load import Load
    from meshtest.mesh.mesh import Mesh

DEFAULT_RATE = 50.0
CHOSEN_RATE = 10.0
"""Of users that an A/B test chooses."""
SESSIONS = 20
"""Users with cookies of their own, where the Canary has sessionAffinity."""
PATIENCE = 0.1
"""Seconds for the first and the last requests."""
MOST = 500.0
"""Requests a second of one translated load test: more would measure this machine."""
_PAIR = re.compile(r"[\w-]+=[\w-]+")
"""A cookie in the regular expression of one."""
USAGE = "write `[METHOD] URL-or-path [RATE] [HEADER:VALUE ...]`, as `GET / 50rps` or `POST http://web/cart 20/s x-a:1`"
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:rps|/s)")
_METHOD = re.compile(r"[A-Z]+")
_HEADER = re.compile(r"[\w-]+:(?!//).+")


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Requests at an even rate. The rate is of our seconds, however compressed the Canary's are."""

    request: str
    """`GET http://podinfo.test:9898/path`"""
    rate: float = DEFAULT_RATE
    headers: tuple[str, ...] = ()
    body: str = ""
    source: str | None = None
    """None: by the host."""
    hook: str = ""
    """The webhook whose load test this is; empty: users."""
    seconds: float = 0.0
    """How long a load test lasts, in production."""
    sessions: int = 0
    """So many users that keep their cookies; 0: each request is somebody else's."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    users: tuple[Traffic, ...]
    tests: tuple[Traffic, ...] = ()
    notes: tuple[str, ...] = ()


def planned(canary: Canary, asked: Sequence[str | Traffic]) -> Plan:
    """Who sends what in a rehearsal of this Canary."""
    found = [_of(command, canary) for command in read(canary)]
    tests = tuple(traffic for traffic, _ in found if not _is_apex(traffic, canary))
    users = tuple(replace(traffic, hook="") for traffic, _ in found if _is_apex(traffic, canary))
    notes = [said for traffic, said in found if not (asked and _is_apex(traffic, canary))]
    if asked:
        users = tuple(parse(one, canary) if isinstance(one, str) else one for one in asked)
    elif not users:
        users = (Traffic(request=f"GET {apex(canary)}/"),)
        notes.append(f"no load test calls the service: {users[0].request} at {DEFAULT_RATE:g} requests/s in its place")
    if canary.analysis.match and not asked:
        chosen, said = _of_matching(canary, users[0])
        users, notes = (*users, *chosen), [*notes, said]
    return Plan(users=_with_cookies(users, canary), tests=tests, notes=tuple(notes))


def _with_cookies(users: Sequence[Traffic], canary: Canary) -> tuple[Traffic, ...]:
    """Where cookies keep users on a version, users keep cookies."""
    if canary.analysis.affinity is None:
        return tuple(users)
    bring = [any(header.lower().startswith("cookie:") for header in user.headers) for user in users]
    return tuple(user if own else replace(user, sessions=SESSIONS) for user, own in zip(users, bring, strict=True))


def parse(text: str, canary: Canary) -> Traffic:
    """`GET / 50rps x-group:testers`; a path alone is one of the service."""
    words = text.split()
    headers = tuple(word.replace(":", ": ", 1) for word in words if _HEADER.fullmatch(word))
    words = [word for word in words if not _HEADER.fullmatch(word)]
    rate = DEFAULT_RATE
    if len(words) > 1 and (found := _RATE.fullmatch(words[-1])):
        rate, words = float(found[1]), words[:-1]
    method = words.pop(0) if len(words) > 1 and _METHOD.fullmatch(words[0]) else "GET"
    if len(words) != 1 or not (words[0].startswith("/") or "://" in words[0]) or not 0 < rate <= 20_000:
        raise UsageError(f"traffic {text!r}: {USAGE}")
    url = f"{apex(canary)}{words[0]}" if words[0].startswith("/") else words[0]
    return Traffic(request=f"{method} {url}", rate=rate, headers=headers)


def apex(canary: Canary) -> str:
    """Where users call the service: by the first host that is one, if it has a gateway; else inside the mesh."""
    service = canary.service
    host = f"{service.name}.{canary.namespace}"
    if enters(canary):
        return f"http://{public_host(canary)}"
    return f"http://{host}" if service.port == 80 else f"http://{host}:{service.port}"


def public_host(canary: Canary) -> str:
    """A name that the gateway knows the service by; a wildcard takes any."""
    named = [host for host in canary.service.hosts if host != "*"]
    return named[0].replace("*", canary.service.name, 1) if named else f"{canary.service.name}.example"


def enters(canary: Canary) -> bool:
    """Users come in by a gateway."""
    if family(canary.provider) == GATEWAY_API:
        return any(reference.get("kind", "Gateway") == "Gateway" for reference in canary.service.gateway_refs)
    return family(canary.provider) == ISTIO and any(name != "mesh" for name in canary.service.gateways)


def _of(command: Command, canary: Canary) -> tuple[Traffic, str]:
    """A load test as a load of ours, and the sentence for the notes."""
    rate = min(command.rate or DEFAULT_RATE, MOST)
    traffic = Traffic(
        request=f"{command.method} {_within(command.url, canary)}", rate=rate, headers=command.headers,
        body=command.body, hook=command.hook, seconds=command.seconds,
    )  # fmt: skip
    why = "" if command.rate else f" ({command.tool} itself would send as fast as it can)"
    why = f" ({command.rate:g} in production)" if command.rate and command.rate > MOST else why
    left = f"; not understood: {' '.join(command.left)}" if command.left else ""
    said = (
        f"load test {command.hook!r} ({command.tool}) is sent here: {traffic.request} at {rate:g} requests/s{why}{left}"
    )
    return traffic, said


def _of_matching(canary: Canary, user: Traffic) -> tuple[tuple[Traffic, ...], str]:
    """Users whom the Canary's `match` chooses: else nobody would ever meet the new version."""
    for match in canary.analysis.match:
        headers = _matching(match.get("headers") or {})
        if headers:
            said = f"users that `match` chooses: {', '.join(headers)} at {CHOSEN_RATE:g} requests/s"
            return (replace(user, rate=CHOSEN_RATE, headers=(*user.headers, *headers)),), said
    return (), "nobody may match: say who does, as --traffic 'GET / cookie:canary=always 10rps'"


def _matching(headers: Mapping[str, Any]) -> tuple[str, ...]:
    """Headers with values that match, where one can be told; else none."""
    found = {name: _value(condition) for name, condition in headers.items() if isinstance(condition, Mapping)}
    return tuple(f"{name}: {value}" for name, value in found.items()) if all(found.values()) else ()


def _value(condition: Mapping[str, Any]) -> str:
    for kind in ("exact", "prefix"):
        if condition.get(kind):
            return str(condition[kind])
    pattern = str(condition.get("regex") or "")
    literal = re.sub(r"[\\^$.*?+()]", "", pattern)
    for candidate in (*_PAIR.findall(pattern), literal):
        with contextlib.suppress(re.error):
            if candidate and re.fullmatch(pattern, candidate):
                return str(candidate)
    return ""


def _host(request: str) -> str:
    return request.partition("://")[2].partition("/")[0].partition(":")[0]


def _is_apex(traffic: Traffic, canary: Canary) -> bool:
    """Whether it meets the routes, and not one of the two workloads by its own Service."""
    own = {canary.service.canary, canary.service.primary}
    return _host(traffic.request).partition(".")[0] not in own


def _within(url: str, canary: Canary) -> str:
    """A short name means the Canary's namespace, where its webhooks' load tester is thought to be."""
    host = _host(url)
    services = (canary.service.name, canary.service.canary, canary.service.primary)
    return url.replace(host, f"{host}.{canary.namespace}", 1) if host in services else url


class Users:
    """The loads of one run."""

    def __init__(self, mesh: Mesh, plan: Plan, after: Callable[[], float]) -> None:
        self._mesh, self._plan, self._after = mesh, plan, after
        self._loads: list[Load] = []
        self._tests: dict[str, list[Load]] = {}
        self._until: dict[str, float] = {}

    @property
    def rate(self) -> float:
        """Requests a second of all of them."""
        return sum(user.rate for user in self._plan.users)

    @property
    def names(self) -> list[str]:
        return [load.name for load in self._loads]

    def come(self) -> None:
        """The names of their loads are known before the first request leaves."""
        self._loads = [self._load(traffic) for traffic in self._plan.users]

    def start(self, *, seen: int) -> None:
        """Returns when each load has had so many answers."""
        for load in self._loads:
            load.start()
        self.linger(seen=seen)

    def linger(self, *, seen: int) -> None:
        """Until each load has had so many answers since the last change; a slow one fewer, so that nobody waits."""
        for load, traffic in zip(self._loads, self._plan.users, strict=True):
            if load.sending:
                load.until(requests=max(1, min(seen, int(traffic.rate * PATIENCE))))

    def called(self, hook: str) -> None:
        """A webhook has started its load test, or kept it going."""
        wanted = [traffic for traffic in self._plan.tests if traffic.hook == hook]
        if wanted and hook not in self._tests:
            self._tests[hook] = [self._load(traffic).start() for traffic in wanted]
        if wanted:
            self._until[hook] = self._after() + max(traffic.seconds for traffic in wanted)

    def is_load_test(self, hook: str) -> bool:
        return any(traffic.hook == hook for traffic in self._plan.tests)

    def tidy(self) -> None:
        """End the load tests whose time is over."""
        for hook in [hook for hook, until in self._until.items() if self._after() >= until]:
            self._end(self._tests.pop(hook))
            del self._until[hook]

    def go(self) -> None:
        """End all."""
        for loads in self._tests.values():
            self._end(loads)
        self._tests.clear()
        self._until.clear()
        self._end(self._loads)

    def _load(self, traffic: Traffic) -> Load:
        return self._mesh.load(
            traffic.request, rps=traffic.rate, headers=list(traffic.headers), body=traffic.body, source=traffic.source,
            unreachable="record", users=traffic.sessions,
        )  # fmt: skip

    @staticmethod
    def _end(loads: Iterable[Load]) -> None:
        for load in loads:
            load.stop()
