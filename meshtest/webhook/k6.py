"""`POST /launch-test`, as of grafana/flagger-k6-webhook: a load test, its verdict, and its output where it failed.

    metadata          there                                here
    script            JavaScript, inline                   the name of a suite on the allow-list; inline is refused
    wait_for_results  "true" (default): answer at its end  =, for an hour at most; "false": 200 once it is accepted
    min_failure_delay "2m": after a failure, calls of the same namespace, name and phase fail at once for so long
                                                           =, then the next call runs it again
    env_vars          JSON, environment of k6              JSON, parameters that the suite declares
    upload_to_cloud, slack_channels, notification_context  taken and left alone; the answer says so
    kubernetes_secrets                                     400: a payload fetches no secrets; give them to the endpoint

A failure is 400 with the reason and the end of the output, validation too; more than the queue takes is 429. There,
each call is a test; here calls for one revision and phase join one, so a retry does not double the load.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path

from meshtest.webhook import answers, revisions
from meshtest.webhook.answers import Reply
from meshtest.webhook.call import LONGEST_WAIT, Call
from meshtest.webhook.endpoint import Endpoint, in_thread, resolved
from meshtest.webhook.payload import canary_of
from meshtest.webhook.refusal import Refusal, listed, shown
from meshtest.webhook.runs import RunKey, RunState, StoredRun

FAILED = 400
LEFT_ALONE = ("upload_to_cloud", "slack_channels", "notification_context")
_DURATION = re.compile(r"(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?")
OUTPUT, TAIL = "output.txt", 2000
"""The file in a run's folder, and how many bytes of its end are shown."""


async def launch(endpoint: Endpoint, call: Call) -> Reply:
    asked = canary_of(call.payload)
    if not asked.phase:
        raise Refusal(FAILED, "phase not found in payload")
    options = asked.metadata
    suite = endpoint.suite(_script(endpoint, options), asked.namespace)
    delay, waits = _seconds(options.get("min_failure_delay", "2m")), _truth(options.get("wait_for_results", "true"))
    parameters = resolved(suite, _variables(options))
    await endpoint.revisions.seen(asked, revisions.by_phase(asked))
    key = RunKey(*asked.canary, revisions.by_phase(asked), suite.name)
    async with endpoint.starting:
        await _forget_old_failure(endpoint, key, delay)
        run = await endpoint.submit(suite, key, parameters, asked.phase)
    return await _answer(endpoint, await endpoint.settled(run, LONGEST_WAIT if waits else 0.0), options, waits)


def _script(endpoint: Endpoint, options: Mapping[str, str]) -> str:
    name = options.get("script", "")
    if not name:
        raise Refusal(FAILED, f"script not found in metadata; name a suite: {listed(endpoint.suites)}")
    if "\n" in name or ";" in name or "(" in name:
        raise Refusal(
            FAILED,
            "script: code of a payload is never run here. Make a suite of it under --suites and give its name "
            f"(there is {listed(endpoint.suites)})",
        )
    return name


def _seconds(text: str) -> float:
    """A duration of Go's, in whole hours, minutes, seconds."""
    found = _DURATION.fullmatch(text)
    if not found or not text:
        raise Refusal(FAILED, f"min_failure_delay: {shown(text)} is no duration like 2m or 1m30s")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return hours * 3600.0 + minutes * 60 + seconds


def _truth(text: str) -> bool:
    """As Go's strconv.ParseBool reads it."""
    if text not in {*_TRUE, *_FALSE}:
        raise Refusal(FAILED, f"wait_for_results: {shown(text)} is neither true nor false")
    return text in _TRUE


_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")


def _variables(options: Mapping[str, str]) -> Mapping[str, str]:
    if "kubernetes_secrets" in options:
        raise Refusal(FAILED, "kubernetes_secrets: a payload fetches no secrets; mount them where the endpoint runs")
    try:
        found = json.loads(options.get("env_vars") or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise Refusal(FAILED, 'env_vars is no JSON object of strings, like {"KEY": "value"}')
    return found


async def _forget_old_failure(endpoint: Endpoint, key: RunKey, delay: float) -> None:
    known = endpoint.jobs.find(key)
    has_failed = known and known.state.is_over and known.state is not RunState.PASSED
    if known and has_failed and not endpoint.ended_within(known, delay):
        await in_thread(lambda: endpoint.store.retire(known.id))


async def _answer(endpoint: Endpoint, run: StoredRun, options: Mapping[str, str], waits: bool) -> Reply:
    passed = run.state is RunState.PASSED or (not waits and not run.state.is_over)
    told = answers.of_run(answers.Asks.START, run, endpoint.page(run)).body
    ignored = [name for name in LEFT_ALONE if options.get(name, "false") != "false"]
    note = f"left alone: {', '.join(ignored)}\n" if ignored else ""
    output = "" if passed else await asyncio.to_thread(_end, endpoint.store.folder / run.folder / OUTPUT)
    return Reply(status=200 if passed else FAILED, body=f"{told!s}{note}{output}")


def _end(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - TAIL))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
