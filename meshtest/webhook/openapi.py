"""`/openapi.json`: the table of routes as OpenAPI 3.1 (spec.openapis.org/oas/v3.1.0), for clients and for fuzzing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from meshtest.webhook import answers
from meshtest.webhook.answers import JSON, TEXT, Reply
from meshtest.webhook.call import LONGEST_WAIT, Call
from meshtest.webhook.runs import RunState

if TYPE_CHECKING:
    from meshtest.webhook.endpoint import Endpoint
    from meshtest.webhook.routes import Route

ABOUT = {
    200: "Yes, or what was asked for.", 202: "Accepted: it runs, or it is done.",
    400: "The call cannot be understood.", 401: "A credential is needed, or this one is wrong.",
    403: "No, or not yet.", 404: "There is no such thing.", 405: "Another method is needed: Allow.",
    408: "The body did not come in time.", 409: "It contradicts what is already there.",
    412: "No: the suite failed, or proved nothing.", 413: "The body is too large.",
    429: "The queue is full: Retry-After.",
    503: "The endpoint is broken, or about to end: Retry-After.",
}  # fmt: skip
PHASES = (
    "", "Initializing", "Initialized", "Waiting", "Progressing", "WaitingPromotion", "Promoting", "Finalising",
    "Succeeded", "Failed", "Terminating", "Terminated",
)  # fmt: skip
TYPES = (
    "confirm-rollout", "pre-rollout", "rollout", "confirm-traffic-increase", "confirm-promotion", "rollback",
    "post-rollout", "event",
)  # fmt: skip
_SECONDS = {"type": "number", "minimum": 0, "maximum": LONGEST_WAIT}
_WORD = {"type": "string"}
_TIME = {"type": "number", "description": "Seconds since 1970; 0: not yet."}
SCHEMAS: dict[str, Any] = {
    "Payload": {
        "description": "Flagger's CanaryWebhookPayload. Unknown keys are passed over; null is nothing.",
        "type": "object",
        "required": ["name", "namespace"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 253, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"},
            "namespace": {
                "type": "string", "minLength": 1, "maxLength": 63, "pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
            },
            "phase": {"type": ["string", "null"], "pattern": "^[A-Za-z]{0,40}$", "examples": list(PHASES)},
            "checksum": {"type": ["string", "null"], "maxLength": 128, "pattern": "^[A-Za-z0-9._-]*$"},
            "metadata": {"type": ["object", "null"], "additionalProperties": {"type": ["string", "null"]}},
        },
    },
    "Run": {
        "type": "object",
        "required": ["id", "suite", "namespace", "canary", "revision", "state", "reason"],
        "properties": {
            **dict.fromkeys(("id", "suite", "namespace", "canary", "revision", "reason", "report"), _WORD),
            "state": {"type": "string", "enum": [str(state) for state in RunState]},
            "parameters": {"type": "object", "additionalProperties": _WORD},
            **dict.fromkeys(("accepted", "began", "ended"), _TIME),
            "attempt": {"type": "integer"},
            "current": {"type": "boolean"},
        },
    },
    "Runs": {
        "type": "object",
        "required": ["runs"],
        "properties": {"runs": {"type": "array", "items": {"$ref": "#/components/schemas/Run"}}},
    },
    "Verdict": {
        "type": "object",
        "required": ["verdict", "ok", "state", "reasons", "run"],
        "properties": {
            "verdict": {"type": "string", "enum": ["pass", "fail", "inconclusive"]},
            "ok": {"type": "boolean"},
            "state": {"type": "string", "enum": [str(state) for state in RunState]},
            "score": {"type": "number"},
            "samples": {"type": "integer"},
            "reasons": {"type": "array", "items": _WORD},
            "run": _WORD,
        },
    },
}  # fmt: skip
_OF = {
    "/runs": "Runs",
    "/runs/{id}": "Run",
    "/runs/{id}/cancel": "Run",
    "/runs/{id}/rerun": "Run",
    "/argo/{suite}": "Verdict",
}
_IN_QUERY: dict[str, Any] = {
    "wait": (_SECONDS, "Hold the answer until the run is over, for so many seconds at most."),
    "again": (_SECONDS, "confirm-rollout: seconds for which a denial is good; then the suite runs again."),
    "state": ({"type": "string", "enum": [str(state) for state in RunState]}, "Only these."),
    "before": ({"type": "string", "pattern": r"^\d{1,12}(-[0-9a-f]{8})?$"}, "Only those accepted before this run."),
    "limit": ({"type": "integer", "minimum": 1, "maximum": 1000}, "How many at most."),
}


async def described(endpoint: Endpoint, call: Call) -> Reply:
    return answers.data(document() | {"servers": [{"url": endpoint.url or "/"}]})


@cache
def document() -> dict[str, Any]:
    from meshtest.webhook.routes import ROUTES, TASK

    paths: dict[str, Any] = {}
    for route in (*ROUTES, TASK):
        path = re.sub(r":path\}", "}", route.path)
        item = paths.setdefault(path, {})
        item |= {method.lower(): _operation(route, method) for method in route.methods}
    return {
        "openapi": "3.1.0",
        "info": {"title": "meshtest webhook", "version": "1", "description": "Acceptance tests as a gate of rollouts."},
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": _SCHEMES},
        "security": [{}, {"bearer": []}, {"basic": []}, {"signature": []}],
    }


_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic", "description": "The token is the password."},
    "signature": {"type": "apiKey", "in": "query", "name": "signature"},
}


def _operation(route: Route, method: str) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.about,
        "operationId": f"{method.lower()} {route.path}",
        "parameters": [*_in_path(route), *_in_query(route, method)],
        "responses": {str(status): _response(route, status) for status in route.answers},
    }
    if route.public:
        operation["security"] = []
    operation["responses"] |= _refusals(_refusing(route, method))
    if route.payload and method == "POST":
        schema = {"$ref": "#/components/schemas/Payload"}
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    return operation


def _refusing(route: Route, method: str) -> list[int]:
    if route.public:
        return [405]
    reads = [408, 413] if method == "POST" else []
    return [400, 401, 403, 404, 405, *reads, 503]


def _refusals(statuses: list[int]) -> dict[str, Any]:
    text = {TEXT.partition(";")[0]: {"schema": _WORD}}
    return {str(status): {"description": ABOUT[status], "content": text} for status in statuses}


def _response(route: Route, status: int) -> dict[str, Any]:
    if status >= 400:
        return {"description": ABOUT[status], "content": {"text/plain": {"schema": _WORD}}}
    schema = {"$ref": f"#/components/schemas/{_OF[route.path]}"} if route.path in _OF else {}
    return {"description": ABOUT[status], "content": {route.media.partition(";")[0]: {"schema": schema}}}


def _in_path(route: Route) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)", route.path):
        schema = {"type": "string", "enum": list(TYPES)} if name == "type" else {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(route: Route, method: str) -> Iterator[dict[str, Any]]:
    for name in route.query:
        if method == "POST" and name in ("namespace", "name", "checksum"):
            continue
        schema, about = _IN_QUERY.get(name, (_WORD, "As in Flagger's payload."))
        needed = method == "GET" and route.path == "/argo/{suite}" and name != "wait"
        yield {"name": name, "in": "query", "required": needed, "description": about, "schema": schema}
