"""The ASGI application: the table of routes on Starlette's router, and what holds for every request.

        request ─► route? ─► limits ─► credential ─► origin ─► namespace ─► handler ─► answer, counted
                     │ 405, 404   │ 413, 408    │ 401      │ 403       │ 403      │ 4xx with a reason
                     ▼
                 a task of flagger-loadtester, which is refused

An error of ours is 503 with Retry-After and one line, and a traceback for the log only: it is no verdict. Starlette's
middleware is not used: it would see a request before and after, not the payload that says who is asking.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Served
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from meshtest.webhook import answers, auth
from meshtest.webhook.answers import Reply
from meshtest.webhook.call import Call, read
from meshtest.webhook.endpoint import Endpoint
from meshtest.webhook.refusal import Refusal
from meshtest.webhook.routes import ROUTES, TASK, Route

LOG = logging.getLogger("meshtest.webhook")
ALWAYS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


class App:
    """For one Endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        served = [self._served([route, TASK] if route.path == TASK.path else [route]) for route in ROUTES]
        self._router = Router(served, redirect_slashes=False, default=self._of_no_path)

    def _served(self, routes: list[Route]) -> Served:
        methods = [method for route in routes for method in route.methods]
        by_method = {method: route for route in routes for method in route.methods}

        async def answer(request: Request) -> Response:
            route = by_method.get(request.method, routes[0])  # HEAD is a GET
            return await self._answer(route, request)

        return Served(routes[0].path, answer, methods=methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        began = time.perf_counter()
        scope["app"] = self  # or the router would answer 405 itself, without a reason
        status = 500

        async def sending(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._router(scope, receive, sending)
        except HTTPException as error:
            reply = _of_method(scope, error)
            await _response(reply)(scope, receive, sending)
        self.endpoint.numbers.answered(scope.get("meshtest.route", "other"), status, time.perf_counter() - began)

    async def _of_no_path(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(TASK, Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, route: Route, request: Request) -> Response:
        if route is not TASK:
            request.scope["meshtest.route"] = route.path
        try:
            reply = await self._handled(route, request)
        except Refusal as refusal:
            reply = answers.refused(refusal)
        except Exception:
            LOG.exception("%s %s could not be answered", request.method, route.path)
            reply = answers.broken("the endpoint is broken; its log says why")
        return _response(reply)

    async def _handled(self, route: Route, request: Request) -> Reply:
        endpoint, headers = self.endpoint, dict(request.headers)
        call = Call(
            request.method, request.scope["path"], request.path_params,
            request.scope["query_string"], headers, b"",
        )  # fmt: skip
        if route.public:
            return await route.handler(endpoint, call)
        admitted = endpoint.guard.check_header(headers)
        if request.method not in ("GET", "HEAD"):
            call.body = await read(request, endpoint.rules.body_limit, endpoint.rules.body_timeout)
            auth.check_origin(headers)
        takes = route.payload and request.method == "POST"
        if not admitted:
            endpoint.guard.check_payload(call.path, call.query, call.payload if takes and call.body.strip() else None)
        if takes:
            endpoint.guard.check_namespace(call.payload.namespace)
        return await route.handler(endpoint, call)


def _of_method(scope: Scope, error: HTTPException) -> Reply:
    allowed = (error.headers or {}).get("Allow", "")
    words = sorted(word.strip() for word in allowed.split(","))
    reason = f"{scope['method'][:20]!r} is no method of this path; there is {', '.join(words)}\n"
    return Reply(status=error.status_code, body=reason, headers={"Allow": ", ".join(words)})


def _response(reply: Reply) -> Response:
    headers = {**ALWAYS, "Content-Type": reply.media, **reply.headers}
    return Response(reply.body, reply.status, headers)
