"""confirm-rollout: may the next revision be started? Asked before there is anything to call it by.

The trap: Flagger sends the checksum of the revision *before* (rollouts/canary/surprises.py, FL19), asks at every tick
until it gets a yes, and asks about whatever revision is deployed by then. Nothing in the payload tells v2 from the v3
that took its place. So a run is kept for the rollout *after* a checksum, and its verdict wears out:

                    ask (Initialized, Succeeded, Failed, Waiting)
        ┌────────────────────────────────────────────────────────────┐
        ▼                                                            │
    ┌─────────┐ passed   ┌────────┐ told once   ┌─────────┐  ask in Waiting: 200, another hook of the
    │ PENDING │────────► │ PASSED │───────────► │ GRANTED │  list still denies, or the answer was lost
    │   403   │          └────────┘     200     └─────────┘
    └─────────┘                                   │ │ │
        │ failed, unknown...                      │ │ └─ an hour has passed ──────────────► forgotten
        ▼                                         │ └─── ask in another phase: a new one ─► forgotten
    ┌─────────┐  an ask after a minute            └───── any call of another binding ─────► forgotten
    │ DENIED  │──────────────────────► forgotten                                  (revisions.py)
    │   412   │
    └─────────┘                        forgotten: the next ask starts a new run, PENDING

- One rollout only. Every further call of a rollout that was granted has another binding, which forgets the verdict. If
  none of them comes here, the next ask for approval tells itself: it begins in phase Succeeded or Failed, and Waiting
  only follows. (Its checksum may be the same one: v1 is live, v2 is granted and taken back to v1 during its analysis,
  and v3 is asked about with the checksum of v1 again.)
- No denial for ever. While it waits, v2 may be mended as v3, and Flagger would ask with the same words; counting no
  failed checks, it would ask for ever.
- What remains: a verdict about v2 may let v3 through that replaced it in Waiting. Whoever needs better uses
  pre-rollout, which knows the revision.
"""

from __future__ import annotations

from collections.abc import Mapping

from meshtest.webhook.endpoint import Endpoint, in_thread
from meshtest.webhook.payload import OVER, Payload
from meshtest.webhook.runs import AFTER, RunKey, RunState, StoredRun
from meshtest.webhook.store import Gate
from meshtest.webhook.suites import Suite

DENIED_FOR = 60.0
"""Seconds; an interval of Flagger's by default."""
GRANTED_FOR = 3600.0
FIRST = OVER | {"Initialized"}
"""Phases in which Flagger asks for the first time; then it waits."""


async def run_for(
    endpoint: Endpoint, suite: Suite, asked: Payload, parameters: Mapping[str, str], denied_for: float = DENIED_FOR
) -> StoredRun:
    """The run that answers this ask; a new one where the verdict of the last is worn out."""
    key = RunKey(*asked.canary, f"{AFTER}{asked.checksum}", suite.name)
    async with endpoint.starting:
        known = endpoint.jobs.find(key)
        if known and known.state.is_over:
            if not _worn_out(endpoint, known, asked, denied_for):
                return known
            await in_thread(lambda: endpoint.store.retire(known.id))
        return await endpoint.submit(suite, key, parameters, asked.phase)


def _worn_out(endpoint: Endpoint, run: StoredRun, asked: Payload, denied_for: float) -> bool:
    age = endpoint.now() - run.ended
    if run.state is not RunState.PASSED:
        return age >= denied_for
    return age >= GRANTED_FOR or (asked.phase in FIRST and _is_granted(endpoint, run))


def _is_granted(endpoint: Endpoint, run: StoredRun) -> bool:
    grant = endpoint.store.gate(_kind(run), run.key.namespace, run.key.canary)
    return grant is not None and grant.reason == run.id


async def grant(endpoint: Endpoint, run: StoredRun) -> None:
    """Kept before it is told: an endpoint that is killed in between must not grant twice."""
    if not _is_granted(endpoint, run):
        namespace, canary, revision, _ = run.key
        await endpoint.save(
            Gate(
                kind=_kind(run), namespace=namespace, name=canary, open=True, checksum=revision, who="endpoint",
                reason=run.id,
            )
        )  # fmt: skip


def _kind(run: StoredRun) -> str:
    return f"granted {run.key.suite}"
