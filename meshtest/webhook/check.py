"""Somebody's webhook, called in every way in which it may be called, and what is wrong with it.

    as each type      the right phase and payload, with retries and the time-out
    again             the same call twice: Flagger repeats each at every tick, and after every time-out
    at once           eight of the same: the canaries of a cluster do not wait for one another
    bad payloads      what is not Flagger must be refused with 4xx, and not believed
    GET               what a redirect makes of a call, and what anybody's browser sends

Every call is real. The canary and the revision that they are about exist nowhere, so a hook that looks can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from meshtest.lib.dataclass import dataclass
from meshtest.rollouts.canary.spec import HookType
from meshtest.webhook.client import Caller, Exchange
from meshtest.webhook.effects import Finding, effect, findings, phase_of

NAME = NAMESPACE = "meshtest-check"
AT_ONCE = 8
NEVER = "nothing"

BAD: Mapping[str, bytes] = {
    "no body": b"",
    "no JSON": b"name=podinfo&namespace=test",
    "half of it": b'{"name": "podinfo", "names',
    "a list": b"[]",
    "null": b"null",
    "no name": b'{"namespace":"test","phase":"Progressing","checksum":"c"}',
    "numbers": b'{"name":1,"namespace":2,"phase":3,"checksum":4}',
    "metadata a list": b'{"name":"podinfo","namespace":"test","phase":"Progressing","checksum":"c","metadata":[1]}',
    "nested deeply": b'{"name":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "one megabyte": b'{"name":"podinfo","namespace":"test","metadata":{"k":"' + b"x" * (1 << 20) + b'"}}',
}


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One case."""

    case: str
    exchange: Exchange
    would: str
    """What Flagger would do."""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Check:
    """A hook and how a Canary would call it."""

    url: str
    types: Sequence[HookType] = tuple(HookType)
    name: str = NAME
    namespace: str = NAMESPACE
    checksum: str = NEVER
    metadata: Mapping[str, str]
    timeout: float = 10.0
    retries: int = 0
    insecure: bool = False
    interval: float = 60.0
    """Of the Canary, in seconds."""
    bad: bool = True
    """Also calls that Flagger itself would not make."""

    @property
    def calls(self) -> int:
        """At least so many; retries come on top."""
        return len(self.types) + 1 + AT_ONCE + (len(BAD) + 1 if self.bad else 0)

    def run(self, caller: Caller | None = None) -> Iterator[Checked]:
        made = _Checking(self, caller or Caller())
        yield from made.types()
        if made.answers:
            yield made.again()
            yield made.at_once()
            if self.bad:
                yield from made.bad_payloads()
                yield made.get()


class _Checking:
    def __init__(self, check: Check, caller: Caller) -> None:
        self._check, self._caller = check, caller
        self._type = check.types[0]
        self._first: Exchange | None = None

    @property
    def answers(self) -> bool:
        """Somebody is there."""
        return self._first is not None and any(one.status is not None for one in self._first.attempts)

    def types(self) -> Iterator[Checked]:
        for type in self._check.types:
            exchange = self._call(type)
            self._first = self._first or exchange
            found = tuple(findings(type, exchange, timeout=self._check.timeout, interval=self._check.interval))
            yield Checked(case=f"as {type}", exchange=exchange, would=effect(type, exchange), findings=found)

    def again(self) -> Checked:
        exchange = self._call(self._type)
        assert self._first is not None
        found = () if _word(exchange) == _word(self._first) else (self._differs(exchange),)
        return Checked(
            case=f"the same {self._type} again", exchange=exchange, would=self._would(exchange), findings=found
        )

    def _differs(self, exchange: Exchange) -> Finding:
        assert self._first is not None
        says = f"the same call got {_word(self._first)}, then {_word(exchange)}: ticks and retries repeat every call"
        harmless = exchange.ok and not self._first.ok
        return Finding(weight="note" if harmless else "warning", says=says)

    def at_once(self) -> Checked:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            exchanges = list(threads.map(lambda _: self._call(self._type), range(AT_ONCE)))
        words = sorted({_word(one) for one in exchanges})
        worst = next((one for one in exchanges if not one.ok), exchanges[0])
        found = []
        if len(words) > 1:
            found.append(Finding(weight="warning", says=f"{AT_ONCE} calls at once got {', '.join(words)}"))
        return Checked(
            case=f"{AT_ONCE} at once", exchange=worst, would=self._would(worst), findings=tuple(found)
        )  # fmt: skip

    def bad_payloads(self) -> Iterator[Checked]:
        for name, body in BAD.items():
            exchange = self._caller.call(
                self._check.url, body, timeout=self._check.timeout, insecure=self._check.insecure
            )
            found = tuple(_of_bad(name, exchange))
            yield Checked(case=f"payload: {name}", exchange=exchange, would="Flagger never sends it", findings=found)

    def get(self) -> Checked:
        exchange = self._call(self._type, method="GET")
        says = "GET is answered with a yes: a redirect, or anybody's browser, passes this hook without a payload"
        found = (Finding(weight="warning", says=says),) if exchange.ok else ()
        return Checked(case="GET", exchange=exchange, would="sent after a 301, 302 or 303", findings=found)

    def _would(self, exchange: Exchange) -> str:
        return effect(self._type, exchange)

    def _call(self, type: HookType, *, method: str = "POST") -> Exchange:
        check = self._check
        call: Callable[..., Exchange] = self._caller.call
        return call(
            check.url, payload(check, type), method=method, timeout=check.timeout,
            retries=check.retries if method == "POST" else 0, insecure=check.insecure,
        )  # fmt: skip


def payload(check: Check, type: HookType) -> dict[str, Any]:
    """As Flagger sends it for this type."""
    metadata = dict(check.metadata)
    if type is HookType.EVENT:
        own = {"eventMessage": f"New revision detected! {check.name}.{check.namespace}", "eventType": "Normal"}
        metadata |= own | {"timestamp": "0"}
    return {
        "name": check.name, "namespace": check.namespace, "phase": phase_of(type), "checksum": check.checksum,
        "metadata": metadata,
    }  # fmt: skip


def _of_bad(name: str, exchange: Exchange) -> Iterator[Finding]:
    last = exchange.attempts[-1] if exchange.attempts else None
    if exchange.ok:
        yield Finding(weight="warning", says="it is believed: a hook that says yes to this says yes to anybody")
    elif last and (last.status is None or last.status >= 500):
        yield Finding(weight="warning", says=f"{_word(exchange)}: it breaks on what is malformed; 400 would do")


def _word(exchange: Exchange) -> str:
    """The status, or that there is none."""
    last = exchange.attempts[-1] if exchange.attempts else None
    return "no reply" if last is None or last.status is None else str(last.status)
