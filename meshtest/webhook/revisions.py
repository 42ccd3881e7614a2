"""Which revision a call is about, and what ends when another appears.

A payload carries the checksum of the revision that was applied *last*: until confirm-rollout is granted that is the
one before, from pre-rollout on the new one (but after a failed rollout it is the new one at once). So the same
checksum means two things, and a call has a *binding*:

    checksum c1        c1            c2           c2           c2           c2
    phase    Succeeded Waiting       Progressing  ...          Succeeded    Succeeded
    call     confirm-  confirm-      pre-rollout  confirm-     post-rollout confirm-
             rollout   rollout                    promotion                 rollout
    binding  after:c1  after:c1      c2           c2           after:c2     after:c2
             └── v2 waits ──┘        └─── v2 is rolled out ──┘ └ it is over; v3 waits

Whenever the binding of a canary changes, what was bound to another is over: its runs are cancelled or, if they have
ended, no longer joined; its gates close. That is how a run ends with its rollout, and how a verdict is good for one
rollout only. Runs of post-rollout hooks are bound to `ended:CHECKSUM` and left to end by themselves.

A call without a checksum, as people make, changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator

from meshtest.webhook import gates
from meshtest.webhook.jobs import Jobs
from meshtest.webhook.payload import BEFORE, Payload
from meshtest.webhook.runs import AFTER, StoredRun
from meshtest.webhook.store import Gate, Store

ENDED = "ended:"
BY_HAND = "cancelled by hand"
MOST = 10_000
"""Canaries whose last binding is remembered. A forgotten one costs a look at all runs."""


def before(asked: Payload) -> str:
    """The binding of a call that comes before or after a rollout."""
    return f"{AFTER}{asked.checksum}" if asked.checksum else ""


def during(asked: Payload) -> str:
    """Of one that comes while it is under way."""
    return asked.checksum


def by_phase(asked: Payload) -> str:
    """Of one whose address does not say: gates and events."""
    return before(asked) if asked.phase in BEFORE else during(asked)


class Revisions:
    """What is current of each canary; durable is only what follows from it, so that a restart is a change like any."""

    def __init__(self, store: Store, jobs: Jobs) -> None:
        self._store, self._jobs = store, jobs
        self._last: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._changing = asyncio.Lock()

    async def seen(self, asked: Payload, binding: str) -> None:
        """A call has come. Returns when what is over has been ended, durably."""
        if not binding or self._last.get(asked.canary) == binding:
            return
        async with self._changing:
            if self._last.get(asked.canary) != binding:
                await asyncio.to_thread(self._end_all_but, asked, binding)
                self._last[asked.canary] = binding
                self._last.move_to_end(asked.canary)
                if len(self._last) > MOST:
                    self._last.popitem(last=False)

    def _end_all_but(self, asked: Payload, binding: str) -> None:
        for run in list(self._joined(asked)):
            revision = run.key.revision
            if revision == binding or (revision.startswith(ENDED) and not run.state.is_over):
                continue
            if not run.state.is_over:
                why = f"superseded: {gates.told(revision)} is over, {gates.told(binding)} is current"
                self._jobs.cancel(run.key.namespace, run.key.canary, revision, why)
            self._store.retire(run.id)
        for gate in self._gates(asked):
            if closed := gates.expired(gate, binding):
                self._store.set_gate(closed)

    def _joined(self, asked: Payload) -> Iterator[StoredRun]:
        """Runs of the canary that calls still join."""
        return (run for run in self._store.runs() if run.current and run.key[:2] == asked.canary)

    def _gates(self, asked: Payload) -> Iterator[Gate]:
        found = (self._store.gate(kind, *asked.canary) for kind in gates.KINDS)
        return (gate for gate in found if gate)
