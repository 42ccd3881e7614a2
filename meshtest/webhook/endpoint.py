"""What the handlers share: suites, runs, gates, and how to ask for them without holding up the event loop.

Reads are from memory (store.py), so a handler makes them itself; what waits for the disk goes to a thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from meshtest.errors import UsageError
from meshtest.lib.words import nearest
from meshtest.webhook.auth import CREDENTIALS, Guard
from meshtest.webhook.jobs import Draining, Jobs, Limits, ParametersDiffer, QueueFull
from meshtest.webhook.numbers import Numbers
from meshtest.webhook.payload import Payload
from meshtest.webhook.refusal import Refusal, listed, shown
from meshtest.webhook.revisions import Revisions
from meshtest.webhook.runs import RunKey, StoredRun
from meshtest.webhook.store import Gate, Store, StoreError
from meshtest.webhook.suites import Suite

Found = TypeVar("Found")
_EVENT = frozenset({"eventMessage", "eventType", "timestamp"})
"""What Flagger itself puts into the metadata of an event hook."""
HELD = 200
"""Answers that are held back at the same time; a further one comes at once."""
BODY_LIMIT = 256 * 1024
"""Bytes. Flagger's payload has some hundred; its metadata may carry a script that we refuse with a reason."""


class Endpoint:
    """One, for one event loop. `url` is what links begin with."""

    def __init__(
        self, store: Store, jobs: Jobs, suites: Mapping[str, Suite], *, limits: Limits | None = None,
        guard: Guard | None = None, body_limit: int = BODY_LIMIT, url: str = "",
        now: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self.store, self.jobs, self.suites = store, jobs, suites
        self.guard, self.body_limit, self.url, self.now = guard or Guard(), body_limit, url, now
        self.limits = limits or Limits()
        self.revisions = Revisions(store, jobs)
        self.numbers = Numbers()
        self.draining = False
        self.turning = asyncio.Lock()
        """Held while a gate is read and written; checks that change nothing do not take it."""
        self.starting = asyncio.Lock()
        """Held while it is decided whether a run is still good."""
        self._held: defaultdict[str, set[asyncio.Future[None]]] = defaultdict(set)
        self._end_listening: Callable[[], None] = lambda: None

    # ---- runs

    def listen(self) -> None:
        """To the ends of runs, on the running loop."""
        loop = asyncio.get_running_loop()

        def ended(run: StoredRun) -> None:
            if run.state.is_over:
                loop.call_soon_threadsafe(self._release, run.id)

        self._end_listening = self.jobs.subscribe(ended)

    def close(self) -> None:
        self._end_listening()

    def _release(self, id: str) -> None:
        for one in self._held.pop(id, ()):
            if not one.done():
                one.set_result(None)

    async def settled(self, run: StoredRun, within: float) -> StoredRun:
        """The run once it is over, or as it is after so many seconds."""
        if within <= 0 or run.state.is_over or sum(map(len, self._held.values())) >= HELD:
            return run
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._held[run.id].add(ended)
        try:
            if not self._now_of(run).state.is_over:
                await asyncio.wait_for(ended, within)
        except TimeoutError:
            pass
        finally:
            self._forget(run.id, ended)
        return self._now_of(run)

    def _forget(self, id: str, waiting: asyncio.Future[None]) -> None:
        if id in self._held:
            self._held[id].discard(waiting)
            if not self._held[id]:
                del self._held[id]

    def _now_of(self, run: StoredRun) -> StoredRun:
        return self.jobs.get(run.id) or run

    async def submit(self, suite: Suite, key: RunKey, parameters: Mapping[str, str], phase: str) -> StoredRun:
        """Joined or accepted; durable."""
        return await in_thread(lambda: self.jobs.submit(suite, key, parameters, phase=phase))

    def run(self, id: str) -> StoredRun:
        found = self.jobs.get(id)
        if found is None:
            raise Refusal(404, f"no run {shown(id)}; GET /runs lists them")
        self.guard.check_namespace(found.key.namespace)
        return found

    def ended_within(self, run: StoredRun, seconds: float) -> bool:
        """Of one that is over. One of the future has not: the clock was set back, and nobody knows how old it is."""
        return 0 <= self.now() - run.ended < seconds

    def page(self, run: StoredRun) -> str:
        """Where a person reads more."""
        return f"{self.url}/reports/{run.id}/"

    # ---- suites

    def suite(self, name: str, namespace: str) -> Suite:
        """By name, from the allow-list."""
        found = self.suites.get(name)
        if found is None:
            close = nearest(name, self.suites)
            hint = f"; did you mean {close!r}?" if close else f"; there is {listed(self.suites)}"
            raise Refusal(404, f"no suite {shown(name)}{hint}")
        if not found.admits(namespace):
            raise Refusal(403, f"suite {name!r} does not admit namespace {namespace!r}")
        return found

    def parameters(self, suite: Suite, asked: Payload) -> Mapping[str, str]:
        """From the metadata, but for what is no parameter of anybody's."""
        own = {name: value for name, value in asked.metadata.items() if name in suite.parameters}
        others = {n: v for n, v in asked.metadata.items() if n not in CREDENTIALS | _EVENT and n not in own}
        return resolved(suite, others | own)

    # ---- gates

    async def save(self, gate: Gate) -> None:
        await in_thread(lambda: self.store.set_gate(gate))


def resolved(suite: Suite, given: Mapping[str, str]) -> Mapping[str, str]:
    try:
        return suite.resolved(given)
    except UsageError as error:
        raise Refusal(400, str(error)) from None


async def in_thread(work: Callable[[], Found]) -> Found:
    """What waits for the disk. Its objections become answers."""
    try:
        return await asyncio.to_thread(work)
    except QueueFull as error:
        raise Refusal(429, str(error), {"Retry-After": "10"}) from None
    except (Draining, StoreError) as error:
        raise Refusal(503, str(error), {"Retry-After": "5"}) from None
    except ParametersDiffer as error:
        raise Refusal(409, str(error)) from None
    except UsageError as error:
        raise Refusal(409, str(error)) from None


def as_data(run: StoredRun, url: str) -> dict[str, Any]:
    """A run for programs."""
    return {
        "id": run.id, "suite": run.key.suite, "namespace": run.key.namespace, "canary": run.key.canary,
        "revision": run.key.revision, "state": str(run.state), "reason": run.reason, "parameters": dict(run.parameters),
        "accepted": run.accepted, "began": run.began, "ended": run.ended, "attempt": run.attempt,
        "current": run.current, "report": url,
    }  # fmt: skip
