"""The table of routes: what app.py serves, openapi.py describes and the tests go through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from meshtest.lib.dataclass import dataclass
from meshtest.webhook import argo, files, hooks, k6, listing, loadtester
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


def _hook(path: str, about: str) -> Route:
    statuses = (200, 202, 403, 404, 409, 412, 429, 503)
    return Route(
        path=path, handler=hooks.hook, about=about, methods=("POST",), payload=True, answers=statuses,
        query=("wait", "again"),
    )  # fmt: skip


def _gate(path: str, handler: Handler, about: str, answers: tuple[int, ...]) -> Route:
    return Route(path=path, handler=handler, about=about, methods=("POST",), payload=True, answers=answers)


ROUTES = (
    _gate("/gate/check", loadtester.check_gate, "200 `Approved` while the gate of this canary is open for this revision.",
          (200, 403, 503)),
    _gate("/gate/open", loadtester.open_gate, "Open the gate for the revision that asks next.", (202, 503)),
    _gate("/gate/close", loadtester.close_gate, "Close the gate.", (202, 503)),
    _gate("/rollback/check", loadtester.check_rollback, "200 `Approved` rolls the canary back.", (200, 403, 503)),
    _gate("/rollback/open", loadtester.open_rollback, "Ask for the rollback of the revision that asks next.", (202, 503)),
    _gate("/rollback/close", loadtester.close_rollback, "No longer ask for a rollback.", (202, 503)),
    Route(path="/gate/approve", handler=loadtester.approve, about="Always 200.", methods=ANY),
    Route(path="/gate/halt", handler=loadtester.halt, about="Always 403.", methods=ANY, answers=(403,)),
    _hook("/hooks/{type}/{suite}", "A hook of Flagger's, answered by a suite of tests."),
    _hook("/hooks/{type}", "post-rollout and event: a rollout has ended; what still runs of it is cancelled."),
    Route(path="/argo/{suite}", handler=argo.measure, about="The web metric of Argo Rollouts; the verdict is JSON.",
          methods=ANY, payload=True, media=JSON, answers=(200, 403, 404, 409, 429, 503),
          query=("wait", "namespace", "name", "checksum")),
    Route(path="/launch-test", handler=k6.launch, about="As flagger-k6-webhook's: a suite by name, its output if it failed.",
          methods=("POST",), payload=True, answers=(200, 403, 404, 409, 429, 503)),
    Route(path="/runs", handler=listing.runs, about="Runs, the latest first.", media=JSON,
          query=(*listing.FILTERS, "limit")),
    Route(path="/runs/{id}", handler=listing.run, about="A run.", media=JSON, answers=(200, 403, 404)),
    Route(path="/runs/{id}/cancel", handler=listing.cancel, about="End a run.", methods=("POST",), media=JSON,
          answers=(202, 403, 404, 409, 503)),
    Route(path="/runs/{id}/rerun", handler=listing.rerun, about="Run again what is over.", methods=("POST",), media=JSON,
          answers=(202, 403, 404, 409, 429, 503)),
    Route(path="/reports/{id}/", handler=files.listing, about="What a run has left, for people.", media=HTML,
          answers=(200, 403, 404)),
    Route(path="/reports/{id}/{path:path}", handler=files.file, about="A file of a run.", media="*/*",
          answers=(200, 403, 404)),
    Route(path="/healthz", handler=listing.healthz, about="The process answers.", methods=ANY, public=True),
    Route(path="/readyz", handler=listing.readyz, about="503 while it drains.", public=True, answers=(200, 503)),
    Route(path="/metrics", handler=listing.metrics, about="Metrics of the endpoint itself, for Prometheus."),
    Route(path="/", handler=listing.home, about="Who is running, verdicts, gates: for people.", media=HTML),
)  # fmt: skip
TASK = Route(
    path="/", handler=loadtester.task, about="Tasks of flagger-loadtester: never run; says what to do instead.",
    methods=("POST",), payload=True, answers=(403,),
)  # fmt: skip
"""Of `/` and of every path that is none of the table's."""
