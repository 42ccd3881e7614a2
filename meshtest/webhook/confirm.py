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
        │ failed, unknown...                      │ │ └─ older than `max-age` of the suite ─► forgotten
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
- No old verdict, whether it was told or not: `max-age` in suite.yaml, 10 minutes by default. It must be more than an
  interval of the Canary, or each pass is worn out when Flagger asks next, and the rollout waits for ever; the log says
  so. Nor one from the future (the clock was set back since).
- What remains: v3 that replaced v2 in Waiting less than `max-age` ago is let through by the verdict about v2. No age
  can close that, since at least one interval must lie between a run's begin and the ask that it answers; `?wait=`, with
  a `timeout` above it, makes them one call, so that only the run itself lies between. Nor can a question to the
  cluster: this endpoint may ask it nothing, and what is deployed can change after any answer. Whoever needs a verdict
  about one revision uses pre-rollout, whose checksum is its own.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from meshtest.webhook.endpoint import Endpoint, in_thread
from meshtest.webhook.payload import OVER, Payload
from meshtest.webhook.runs import AFTER, RunKey, RunState, StoredRun
from meshtest.webhook.store import Gate
from meshtest.webhook.suites import Suite

LOG = logging.getLogger("meshtest.webhook")
DENIED_FOR = 60.0
"""Seconds; an interval of Flagger's by default."""
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
            if not _worn_out(endpoint, suite, known, asked, denied_for):
                return known
            _warn(endpoint, suite, known)
            await in_thread(lambda: endpoint.store.retire(known.id))
        return await endpoint.submit(suite, key, parameters, asked.phase)


def _warn(endpoint: Endpoint, suite: Suite, run: StoredRun) -> None:
    if run.state is RunState.PASSED and not _is_granted(endpoint, run):
        LOG.warning(
            "run %s passed, but nobody asked within max-age of suite %s (%g s): it is run again; if this goes on, the "
            "interval of %s/%s is longer than that", run.id, suite.name, suite.max_age, *run.key[:2],
        )  # fmt: skip


def _worn_out(endpoint: Endpoint, suite: Suite, run: StoredRun, asked: Payload, denied_for: float) -> bool:
    has_passed = run.state is RunState.PASSED
    if not endpoint.ended_within(run, suite.max_age if has_passed else denied_for):
        return True
    return has_passed and asked.phase in FIRST and _is_granted(endpoint, run)


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
