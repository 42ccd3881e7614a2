"""Flagger's hooks: `POST /hooks/TYPE/SUITE`. The address tells the type, since the payload does not.

    Flagger's tick                          here
    confirm-rollout          /hooks/confirm-rollout/env            a run for the rollout to come: confirm.py
    pre-rollout              /hooks/pre-rollout/smoke              starts the run of this revision, 202
    rollout, each tick       /hooks/rollout/smoke                  joins it: 202, 200, or 412, which counts
    confirm-traffic-increase /hooks/confirm-traffic-increase/smoke 403 while it runs: holds the weight, counts nothing
    confirm-promotion        /hooks/confirm-promotion/smoke        403 while it runs; then 200 or 412
    rollback, each tick      /hooks/rollback/smoke                 200 once it has failed: rolled back at the next tick
    post-rollout, event      /hooks/post-rollout                   it is over: what still runs of it is cancelled

Flagger knows yes and no; this gives it the third answer, "still running" (fluxcd/flagger issue #1481). A run is joined
by (namespace, canary, revision, suite), so neither retries nor the many ticks start a second one.
"""

from __future__ import annotations

from collections.abc import Mapping

from meshtest.webhook import answers, confirm, revisions
from meshtest.webhook.answers import Asks, Reply
from meshtest.webhook.call import Call
from meshtest.webhook.endpoint import Endpoint
from meshtest.webhook.payload import OVER, Payload, canary_of
from meshtest.webhook.refusal import Refusal, listed, shown
from meshtest.webhook.runs import RunKey, RunState, StoredRun
from meshtest.webhook.suites import Suite

TYPES: Mapping[str, Asks] = {
    "confirm-rollout": Asks.CONFIRM,
    "pre-rollout": Asks.START,
    "rollout": Asks.START,
    "confirm-traffic-increase": Asks.CONFIRM,
    "confirm-promotion": Asks.CONFIRM,
    "rollback": Asks.ROLLBACK,
    "post-rollout": Asks.START,
    "event": Asks.START,
}
TELLING = frozenset({"post-rollout", "event"})
"""Types that tell and do not ask: the suite is optional."""
QUERY = frozenset({"wait", "again"})


async def hook(endpoint: Endpoint, call: Call) -> Reply:
    """Any of them."""
    type = call.words["type"]
    if type not in TYPES:
        raise Refusal(404, f"no hook {shown(type)}; there is {listed(TYPES)}")
    call.only(QUERY)
    asked = canary_of(call.payload)
    suite = _suite(endpoint, call, type, asked)
    wait, again = call.seconds("wait", 0.0), call.seconds("again", confirm.DENIED_FOR)
    if type in TELLING:
        return await _told(endpoint, asked, suite, wait)
    assert suite is not None
    if not asked.checksum:
        raise Refusal(400, "checksum not found in payload: it tells which revision this is about")
    if type == "confirm-rollout":
        return await _confirm_rollout(endpoint, suite, asked, wait, again)
    await endpoint.revisions.seen(asked, revisions.during(asked))
    run = await _run(endpoint, suite, asked, TYPES[type])
    if run is None:
        return answers.of_no_run(suite.name)
    return _answer(endpoint, TYPES[type], await endpoint.settled(run, wait))


def _suite(endpoint: Endpoint, call: Call, type: str, asked: Payload) -> Suite | None:
    name = call.words.get("suite")
    if name is None and type not in TELLING:
        raise Refusal(404, f"which suite? POST /hooks/{type}/SUITE; there is {listed(endpoint.suites)}")
    return None if name is None else endpoint.suite(name, asked.namespace)


def _answer(endpoint: Endpoint, asks: Asks, run: StoredRun) -> Reply:
    return answers.of_run(asks, run, endpoint.page(run))


async def _run(endpoint: Endpoint, suite: Suite, asked: Payload, asks: Asks) -> StoredRun | None:
    """Of this revision. A hook that only confirms joins it whatever its own metadata say, and starts it if need be."""
    key = RunKey(*asked.canary, asked.checksum, suite.name)
    known = endpoint.jobs.find(key)
    if asks is Asks.ROLLBACK or (asks is Asks.CONFIRM and known):
        return known
    parameters = endpoint.parameters(suite, asked)
    if known and known.state is RunState.CANCELLED and dict(known.parameters) == dict(parameters):
        return known  # by hand, or it would not be joined any more; it is run again by hand as well
    return await endpoint.submit(suite, key, parameters, asked.phase)


async def _confirm_rollout(endpoint: Endpoint, suite: Suite, asked: Payload, wait: float, again: float) -> Reply:
    await endpoint.revisions.seen(asked, revisions.before(asked))
    run = await confirm.run_for(endpoint, suite, asked, endpoint.parameters(suite, asked), again)
    run = await endpoint.settled(run, wait)
    if run.state is RunState.PASSED:
        await confirm.grant(endpoint, run)
    return _answer(endpoint, Asks.CONFIRM, run)


async def _told(endpoint: Endpoint, asked: Payload, suite: Suite | None, wait: float) -> Reply:
    """post-rollout and events. A suite named here runs once the rollout is over."""
    await endpoint.revisions.seen(asked, revisions.by_phase(asked))
    if suite is None or asked.phase not in OVER or not asked.checksum:
        return Reply(body="noted\n")
    key = RunKey(*asked.canary, f"{revisions.ENDED}{asked.checksum}", suite.name)
    run = await endpoint.submit(suite, key, endpoint.parameters(suite, asked), asked.phase)
    return _answer(endpoint, Asks.START, await endpoint.settled(run, wait))
