"""`/runs`: runs for programs; a person's cancel and rerun. `/metrics`, `/healthz`, `/readyz`, and the page at `/`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from meshtest.lib import exposition
from meshtest.webhook import answers, page
from meshtest.webhook.answers import HTML, Reply
from meshtest.webhook.call import Call
from meshtest.webhook.endpoint import Endpoint, as_data, in_thread
from meshtest.webhook.refusal import Refusal, shown
from meshtest.webhook.revisions import BY_HAND
from meshtest.webhook.runs import RunState, StoredRun

FILTERS = ("state", "namespace", "canary", "suite")
CHOICE = (*FILTERS, "before")
MOST = 1000
_ID = re.compile(r"(\d{1,12})(-[0-9a-f]{8})?")


async def runs(endpoint: Endpoint, call: Call) -> Reply:
    """The latest first. The next ones are those `before` the last of them."""
    call.only({*CHOICE, "limit"})
    found = islice(_chosen(endpoint, call), _limit(call))
    return answers.data({"runs": [as_data(run, endpoint.page(run)) for run in found]})


def _chosen(endpoint: Endpoint, call: Call) -> Iterator[StoredRun]:
    """By the query, the latest first."""
    if call.query.get("state", RunState.QUEUED) not in set(RunState):
        raise Refusal(400, f"no state {shown(call.query['state'])}; there is {', '.join(RunState)}")
    before = _before(call)
    wanted = [call.query.get(name) for name in FILTERS]
    for run in reversed(endpoint.store.runs()):
        namespace, canary, _, suite = run.key
        is_wanted = all(map(_fits, wanted, (run.state, namespace, canary, suite)))
        if is_wanted and (before is None or run.number < before):
            yield run


def _fits(wanted: str | None, value: str) -> bool:
    return wanted in (None, value)


def _before(call: Call) -> int | None:
    """The number of a run, which may be forgotten meanwhile."""
    if "before" not in call.query:
        return None
    if not (match := _ID.fullmatch(call.query["before"])):
        raise Refusal(400, f"before: {shown(call.query['before'])} is no id of a run")
    return int(match[1])


def _limit(call: Call) -> int:
    text = call.query.get("limit", "100")
    if not (text.isascii() and text.isdecimal() and len(text) < 9 and 1 <= int(text) <= MOST):
        raise Refusal(400, f"limit: {shown(text)} is no number from 1 to {MOST}")
    return int(text)


async def run(endpoint: Endpoint, call: Call) -> Reply:
    return _data(endpoint, endpoint.run(call.words["id"]))


async def cancel(endpoint: Endpoint, call: Call) -> Reply:
    """409 if it is over. Calls that join it are denied until it is run again, or another revision appears."""
    found = endpoint.run(call.words["id"])
    if found.state.is_over:
        raise Refusal(409, f"run {found.id} is over: {found.state}")
    reason = f"{BY_HAND} ({call.who})"
    return _data(endpoint, await in_thread(lambda: endpoint.jobs.cancel_run(found.id, reason)), 202)


async def rerun(endpoint: Endpoint, call: Call) -> Reply:
    """A new run in its place, 202; 409 if it is not over."""
    found = endpoint.run(call.words["id"])
    return _data(endpoint, await in_thread(lambda: endpoint.jobs.rerun(found.id)), 202)


def _data(endpoint: Endpoint, run: StoredRun, status: int = 200) -> Reply:
    return answers.data(as_data(run, endpoint.page(run)), status)


async def healthz(endpoint: Endpoint, call: Call) -> Reply:
    """The process answers."""
    return Reply(body="OK")


async def readyz(endpoint: Endpoint, call: Call) -> Reply:
    """503 from SIGTERM on, so that a Service sends new calls elsewhere.

    Not while the state cannot be written: there is no elsewhere, and what is known is still told. A hook that nobody
    answers is a failed check to Flagger.
    """
    if endpoint.draining:
        return answers.broken("draining")
    if endpoint.store.trouble and not await in_thread(endpoint.store.can_write):
        return Reply(body=f"OK, but {endpoint.store.trouble}\n")
    return Reply(body="OK")


async def metrics(endpoint: Endpoint, call: Call) -> Reply:
    text = endpoint.numbers.text(endpoint.store, endpoint.limits, endpoint.draining)
    media = exposition.wanted(call.headers.get("accept", ""))
    body = exposition.openmetrics(text) if media == exposition.OPENMETRICS else text
    return Reply(body=body, media=media)


async def home(endpoint: Endpoint, call: Call) -> Reply:
    call.only(CHOICE)
    chosen = {name: value for name, value in call.query.items() if name in CHOICE}
    body = page.of_runs(endpoint, _chosen(endpoint, call), chosen) if chosen else page.status(endpoint)
    return Reply(body=body, media=HTML, headers=page.POLICY)
