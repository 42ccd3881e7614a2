"""`GET|POST /argo/SUITE`, for the `web` metric provider of Argo Rollouts (metricproviders/webmetric).

Every verdict is 200 with JSON, since Argo takes another status for an error of the provider's and reads no body then:

    successCondition: result.verdict == "pass"
    failureCondition: result.verdict == "fail"

What is neither is *inconclusive*, at which Argo pauses the rollout: nothing was proven. While the suite still runs it
is inconclusive as well, with `state: running`; so ask with `?wait=300` and a longer `timeoutSeconds`, or allow as many
measurements as it takes with `inconclusiveLimit`.

A GET has no body: namespace, name and checksum come in the query. What Argo knows of a revision is the pod template's
hash; it is the checksum here.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from meshtest.webhook import answers, revisions
from meshtest.webhook.answers import Reply
from meshtest.webhook.call import Call
from meshtest.webhook.endpoint import Endpoint
from meshtest.webhook.payload import Payload, canary_of, payload
from meshtest.webhook.refusal import Refusal
from meshtest.webhook.runs import RunKey, RunState, StoredRun
from meshtest.webhook.verdicts import data
from meshtest.webhook.work import RESULT

VERDICT = {RunState.PASSED: "pass", RunState.FAILED: "fail"}
WAIT = frozenset({"wait"})
FIELDS = ("namespace", "name", "checksum")


async def measure(endpoint: Endpoint, call: Call) -> Reply:
    asked = canary_of(_asked(call))
    suite = endpoint.suite(call.words["suite"], asked.namespace)
    wait = call.seconds("wait", 0.0)
    if not asked.checksum:
        raise Refusal(400, "checksum not found: give the revision, as {{args.revision}} from the pod template's hash")
    await endpoint.revisions.seen(asked, revisions.during(asked))
    key = RunKey(*asked.canary, asked.checksum, suite.name)
    run = await endpoint.submit(suite, key, endpoint.parameters(suite, asked), asked.phase)
    run = await endpoint.settled(run, wait)
    judged = await asyncio.to_thread(_judged, endpoint.store.folder / run.folder / RESULT) if run.state.is_over else {}
    return answers.data(told(endpoint, run) | judged)


def _asked(call: Call) -> Payload:
    """Of a GET what is no field is a parameter of the suite."""
    if call.method == "POST":
        call.only(WAIT)
        return call.payload
    fields = {name: call.query[name] for name in FIELDS if name in call.query}
    others = {n: v for n, v in call.query.items() if n not in {*FIELDS, *WAIT, "signature"}}
    return payload(fields, others)


def _judged(path: Path) -> dict[str, Any]:
    """`score` and `samples` of a run of the judge's; a suite of tests has neither."""
    found = data(path)
    return {name: found[name] for name in ("score", "samples") if isinstance(found.get(name), int | float)}


def told(endpoint: Endpoint, run: StoredRun) -> dict[str, Any]:
    """What the conditions of an AnalysisTemplate are about; Argo stores it in the AnalysisRun, so it is small."""
    verdict = VERDICT.get(run.state, "inconclusive")
    reason = run.reason if run.state.is_over else f"the run is {run.state}"
    return {
        "verdict": verdict, "ok": verdict == "pass", "state": str(run.state),
        "reasons": [reason] if reason else [], "run": endpoint.page(run),
    }  # fmt: skip
