"""The ASGI application: the table of routes on Starlette's router, and what holds for every request.

        request ─► route? ─► limits ─► credential ─► origin ─► namespace ─► handler ─► answer, counted
                     │ 405, 404   │ 413, 408    │ 401      │ 403       │ 403      │ 4xx with a reason
                     ▼
                 a task of flagger-loadtester, which is refused

An error of ours is 503 with Retry-After and one line, and a traceback for the log only: it is no verdict. Starlette's
middleware is not used: it would see a request before and after, not the payload that says who is asking; nor are its
requests and responses, which are for more than is needed here and cost a third of the endpoint's own CPU of a check.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from starlette.exceptions import HTTPException
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
ALWAYS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


class App:
    """For one Endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        paths = [[route, TASK] if route.path == TASK.path else [route] for route in ROUTES]
        self._router = Router([self._served(routes) for routes in paths], redirect_slashes=False, default=self._task)

    def _served(self, routes: list[Route]) -> Served:
        methods = [method for route in routes for method in route.methods]
        return Served(routes[0].path, OnePath(self, routes), methods=methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        began = time.perf_counter()
        scope["app"] = self  # or the router would answer 405 itself, without a reason
        try:
            await self._router(scope, receive, send)
        except HTTPException as error:
            await self._sent(_of_method(scope, error), "other", began, send)

    async def _task(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.answer(TASK, scope, receive, send)

    async def answer(self, route: Route, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        reply = await self._reply(route, scope, receive)
        await self._sent(reply, "other" if route is TASK else route.path, began, send)

    async def _sent(self, reply: Reply, label: str, began: float, send: Send) -> None:
        await _send(reply, send)
        self.endpoint.numbers.answered(label, reply.status, time.perf_counter() - began)

    async def _reply(self, route: Route, scope: Scope, receive: Receive) -> Reply:
        try:
            return await self._handled(route, scope, receive)
        except Refusal as refusal:
            return answers.refused(refusal)
        except Exception:
            LOG.exception("%s %s could not be answered", scope["method"], route.path)
            return answers.broken("the endpoint is broken; its log says why")

    async def _handled(self, route: Route, scope: Scope, receive: Receive) -> Reply:
        endpoint, headers, method = self.endpoint, _headers(scope), scope["method"]
        call = Call(method, scope["path"], scope.get("path_params", {}), scope["query_string"], headers, b"")
        if route.public:
            return await route.handler(endpoint, call)
        admitted = endpoint.guard.check_header(headers)
        if method not in ("GET", "HEAD"):
            call.body = await read(receive, headers, endpoint.body_limit)
            auth.check_origin(headers)
        takes = route.payload and method == "POST"
        if not admitted:
            endpoint.guard.check_payload(call.path, call.query, call.payload if takes and call.body.strip() else None)
        if takes:
            endpoint.guard.check_namespace(call.payload.namespace)
        return await route.handler(endpoint, call)


class OnePath:
    """As the router calls it: which route it is depends on the method, and HEAD is a GET."""

    def __init__(self, app: App, routes: list[Route]) -> None:
        self._app, self._first = app, routes[0]
        self._by_method = {method: route for route in routes for method in route.methods}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app.answer(self._by_method.get(scope["method"], self._first), scope, receive, send)


def _headers(scope: Scope) -> Mapping[str, str]:
    """Of one that comes twice the first; ASGI has the names in lower case."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}


def _of_method(scope: Scope, error: HTTPException) -> Reply:
    allowed = (error.headers or {}).get("Allow", "")
    words = sorted(word.strip() for word in allowed.split(","))
    reason = f"{scope['method'][:20]!r} is no method of this path; there is {', '.join(words)}\n"
    return Reply(status=error.status_code, body=reason, headers={"Allow": ", ".join(words)})


async def _send(reply: Reply, send: Send) -> None:
    body = reply.body.encode() if isinstance(reply.body, str) else reply.body
    headers = [*ALWAYS, (b"content-type", reply.media.encode()), (b"content-length", b"%d" % len(body))]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
