"""What users of flagger-loadtester call: its gates, and its tasks, of which none is ever run.

Rows as measured with fluxcd/flagger cmd/loadtester 0.38.0, each with what is answered here; tests/webhook/
test_loadtester.py has a test a row. "=": the same status, and the same body where that one has a body.

| row | request | flagger-loadtester | here |
|-----|---------|--------------------|------|
| L1  | GET, POST /healthz | 200 `OK` | = |
| L2  | any /gate/approve | 200 `OK` | = with a credential, if the endpoint wants one |
| L3  | any /gate/halt | 403 `Forbidden` | = likewise |
| L4  | /gate/check, unknown canary | 403 `Forbidden` | = first line; then why it is closed |
| L5  | /gate/open | 202, empty | =; it is durable by then |
| L6  | /gate/check after open | 200 `Approved` | = |
| L7  | same name, other namespace | 403 | = |
| L8  | /gate/close, then check | 202, empty; 403 | = |
| L9  | /rollback/check, open, close | 403, 200, 403, apart from /gate | = |
| L10 | a canary named `rollback.NAME` | opens the rollback gate of NAME | 403: the kind is no part of a name |
| L11 | gate with bad JSON, empty body, or GET | 400, empty | 400 with the reason; GET 405, as it has no body to read |
| L12 | gate check with `{}` | 403 | =; but `{}` opens nothing (400): there, one gate for everybody's mistakes |
| L13 | /metrics | Prometheus | = in form; the names are ours |
| L14 | POST of any other path | is a task | =; below /hooks, /gate, /rollback, /runs, /reports and /argo 404 |
| L15 | no or empty metadata | 400 `metadata not found in payload` | = |
| L16 | metadata that are no strings, bad JSON | 400, empty | 400 with the reason |
| L17-L28 | type cmd, bash, helm, kubectl, concord, ngrinder | runs it | 403: what to do instead |
| L29 | unknown type | the handler crashes | 400 `unknown task type X` |
| L30-L31 | a task that is there already | joined by the text of its command | runs are joined by revision |
| L32-L33 | queue, cancellation | no limit, none | a limit; cancelled with the rollout |
| L34 | SIGTERM | leaves orphans that go on sending | drained, then ended |
| L35 | namespace rule | matches anywhere in the name | matches the whole name |
| L36 | /gate/approve, /gate/halt, /metrics | no rule applies | a credential is needed |
| L37 | gates | in memory, for ever | durable, for one revision (gates.py) |
| L38 | logCmdOutput | of cmd only | output is part of a run's report |
"""

from __future__ import annotations

from meshtest.webhook import gates, revisions
from meshtest.webhook.answers import Reply
from meshtest.webhook.call import Call
from meshtest.webhook.endpoint import Endpoint
from meshtest.webhook.gates import Kind
from meshtest.webhook.payload import canary_of
from meshtest.webhook.refusal import Refusal, shown
from meshtest.webhook.store import Gate

COMMANDS = frozenset({"cmd", "bash", "helm", "helmv3", "kubectl", "concord", "ngrinder"})
OWN = ("/hooks", "/gate", "/rollback", "/runs", "/reports", "/argo")
"""Paths below which a wrong one is a mistake and no task."""

# -- gates


async def approve(endpoint: Endpoint, call: Call) -> Reply:
    return Reply(body="OK")


async def halt(endpoint: Endpoint, call: Call) -> Reply:
    return Reply(status=403, body="Forbidden")


async def check_gate(endpoint: Endpoint, call: Call) -> Reply:
    return await _check(endpoint, call, "gate")


async def check_rollback(endpoint: Endpoint, call: Call) -> Reply:
    return await _check(endpoint, call, "rollback")


async def open_gate(endpoint: Endpoint, call: Call) -> Reply:
    return await _turn(endpoint, call, "gate", open=True)


async def close_gate(endpoint: Endpoint, call: Call) -> Reply:
    return await _turn(endpoint, call, "gate", open=False)


async def open_rollback(endpoint: Endpoint, call: Call) -> Reply:
    return await _turn(endpoint, call, "rollback", open=True)


async def close_rollback(endpoint: Endpoint, call: Call) -> Reply:
    return await _turn(endpoint, call, "rollback", open=False)


async def _check(endpoint: Endpoint, call: Call, kind: Kind) -> Reply:
    """From memory, but for the one check that binds an open gate."""
    asked = call.payload
    binding = revisions.by_phase(asked)
    await endpoint.revisions.seen(asked, binding)
    seen = gates.checked(endpoint.store.gate(kind, *asked.canary), binding)
    if seen.kept:
        async with endpoint.turning:  # it may have been closed meanwhile
            seen = gates.checked(endpoint.store.gate(kind, *asked.canary), binding)
            if seen.kept:
                await endpoint.save(seen.kept)
    return Reply(body="Approved") if seen.open else Reply(status=403, body=f"Forbidden\n{_closed(kind, seen.why)}\n")


def _closed(kind: Kind, why: str) -> str:
    return f"{'gate' if kind == 'gate' else 'rollback gate'} is closed: {why}"


async def _turn(endpoint: Endpoint, call: Call, kind: Kind, *, open: bool) -> Reply:
    """With a checksum for that revision only; the phase says whether it is the one before."""
    asked = canary_of(call.payload)
    turned = gates.turned(kind, asked, open=open, binding=revisions.by_phase(asked), who=call.who)
    async with endpoint.turning:
        if not _is_so(endpoint.store.gate(kind, *asked.canary), turned):
            await endpoint.save(turned)
    return Reply(status=202)


def _is_so(gate: Gate | None, turned: Gate) -> bool:
    """Already as wanted; an open one that is bound is opened anew. One that nobody has opened is closed as it is."""
    if gate is None or not gate.open:
        return not turned.open
    return turned.open and gate.checksum == turned.checksum


# -- tasks


async def task(endpoint: Endpoint, call: Call) -> Reply:
    """Any path that is none of ours. Nothing is run; the caller reads what to do instead."""
    if call.method != "POST" or f"/{call.path.split('/')[1]}" in OWN:
        raise Refusal(404, f"no such path: {shown(call.path)}; GET /openapi.json lists what there is")
    metadata = call.payload.metadata
    if not metadata:
        raise Refusal(400, "metadata not found in payload")
    kind = metadata.get("type", "cmd")
    if kind not in COMMANDS:
        raise Refusal(400, f"unknown task type {shown(kind)}")
    raise Refusal(
        403,
        f"type {kind}: commands of a payload are never run here. Make a suite of it under --suites, and call "
        f"/hooks/pre-rollout/SUITE (there is {', '.join(sorted(endpoint.suites)) or 'none yet'})",
    )
