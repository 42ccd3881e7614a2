"""The table of routes: what app.py serves, openapi.py describes and the tests go through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from meshtest.lib.dataclass import dataclass
from meshtest.webhook import argo, files, hooks, k6, listing, loadtester, openapi
from meshtest.webhook.answers import HTML, JSON, TEXT, Reply
from meshtest.webhook.call import Call
from meshtest.webhook.endpoint import Endpoint

Handler: TypeAlias = Callable[[Endpoint, Call], Awaitable[Reply]]
ANY = ("GET", "POST")
"""Flagger posts, people look: flagger-loadtester ignores the method of these."""


@dataclass(frozen=True, kw_only=True)
class Route:
    path: str
    handler: Handler
    about: str
    methods: tuple[str, ...] = ("GET",)
    public: bool = False
    """Without a credential: for probes, which have none."""
    payload: bool = False
    """A POST has Flagger's payload, whose namespace has to be admitted."""
    answers: tuple[int, ...] = (200,)
    media: str = TEXT
    query: tuple[str, ...] = ()


def _asking(path: str, handler: Handler, about: str, *answers: int, query: tuple[str, ...] = ()) -> Route:
    """With a payload."""
    return Route(path=path, handler=handler, about=about, methods=("POST",), payload=True, answers=answers, query=query)


def _data(path: str, handler: Handler, about: str, *answers: int, method: str = "GET") -> Route:
    return Route(path=path, handler=handler, about=about, methods=(method,), media=JSON, answers=answers)


RUN = (200, 202, 403, 404, 409, 412, 429, 503)
"""What may come of asking for a run."""
FIELDS = ("wait", "namespace", "name", "checksum")
ROUTES = (
    _asking("/gate/check", loadtester.check_gate, "200 while the gate is open for this revision.", 200, 403, 503),
    _asking("/gate/open", loadtester.open_gate, "Open the gate for the revision that asks next.", 202, 503),
    _asking("/gate/close", loadtester.close_gate, "Close the gate.", 202, 503),
    _asking("/rollback/check", loadtester.check_rollback, "200 rolls the canary back.", 200, 403, 503),
    _asking("/rollback/open", loadtester.open_rollback, "Ask for a rollback of what asks next.", 202, 503),
    _asking("/rollback/close", loadtester.close_rollback, "No longer ask for a rollback.", 202, 503),
    Route(path="/gate/approve", handler=loadtester.approve, about="Always 200.", methods=ANY),
    Route(path="/gate/halt", handler=loadtester.halt, about="Always 403.", methods=ANY, answers=(403,)),
    _asking("/hooks/{type}/{suite}", hooks.hook, "A hook, answered by a suite.", *RUN, query=("wait", "again")),
    _asking("/hooks/{type}", hooks.hook, "post-rollout, event: what is over is ended.", *RUN, query=("wait", "again")),
    Route(
        path="/argo/{suite}", handler=argo.measure, about="The web metric of Argo Rollouts.", methods=ANY,
        payload=True, media=JSON, answers=tuple(status for status in RUN if status not in (202, 412)), query=FIELDS,
    ),
    _asking("/launch-test", k6.launch, "As flagger-k6-webhook's, but the script is a suite.", 200, 403, 404, 409, 429),
    Route(
        path="/runs", handler=listing.runs, about="Runs, the latest first.", media=JSON,
        query=(*listing.CHOICE, "limit"),
    ),
    _data("/runs/{id}", listing.run, "A run.", 200, 403, 404),
    _data("/runs/{id}/cancel", listing.cancel, "End a run.", 202, 403, 404, 409, 503, method="POST"),
    _data("/runs/{id}/rerun", listing.rerun, "Run again what is over.", 202, 403, 404, 409, 429, 503, method="POST"),
    Route(path="/reports/{id}/", handler=files.listing, about="What a run has left.", media=HTML, answers=(200, 404)),
    Route(path="/reports/{id}/{path:path}", handler=files.file, about="A file of a run.", media="*/*"),
    Route(path="/healthz", handler=listing.healthz, about="The process answers.", methods=ANY, public=True),
    Route(path="/readyz", handler=listing.readyz, about="503 while it drains.", public=True, answers=(200, 503)),
    Route(path="/metrics", handler=listing.metrics, about="Metrics of the endpoint itself."),
    _data("/openapi.json", openapi.described, "This description.", 200),
    Route(
        path="/", handler=listing.home, about="Who is running, verdicts, gates: for people.", media=HTML,
        query=listing.CHOICE,
    ),
)  # fmt: skip
TASK = Route(
    path="/", handler=loadtester.task, about="Tasks of flagger-loadtester: never run; says what to do instead.",
    methods=("POST",), payload=True, answers=(403,),
)  # fmt: skip
"""Of `/` and of every path that is none of the table's."""
