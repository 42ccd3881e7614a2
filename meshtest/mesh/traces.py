"""Traces of a run that is under way: waited for by the rule of completeness, with a deadline, never slept.

Not here: what makes a trace complete (model/trace.py), where spans come in (collecting.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from meshtest.errors import TraceIncomplete, UsageError
from meshtest.lib.figures import seconds
from meshtest.lib.journal import whole_lines
from meshtest.lib.wait import until
from meshtest.lib.words import listed
from meshtest.model.history import History
from meshtest.model.request import Request
from meshtest.model.span import Spans
from meshtest.model.trace import Trace
from meshtest.model.traces import Traces
from meshtest.run import folder

if TYPE_CHECKING:
    from meshtest.mesh.mesh import Mesh

WITHIN = 5.0
"""Seconds; proxies send what they have within 50 ms, but SDKs of services hold theirs for up to 5 s."""


class TracedRequest(Request):
    """A request that can be asked for its trace."""

    __slots__ = ("_look",)
    _look: Callable[[Request, float], Trace]

    def __init__(self, request: Request, look: Callable[[Request, float], Trace]) -> None:
        for name in Request.__slots__:
            object.__setattr__(self, name, getattr(request, name))
        object.__setattr__(self, "_look", look)

    @property
    def trace(self) -> Trace:
        """Waits until it is complete. TraceIncomplete says what is missing; UsageError, that it was not sampled."""
        return self.trace_within(WITHIN)

    def trace_within(self, seconds: float) -> Trace:
        """As `trace`, with a deadline of your own."""
        return self._look(self, seconds)


class Looking:
    """What a mesh knows of traces."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._gave_up_at = -1
        """Size of the record of spans when waiting for more was given up; only more of them are worth waiting again."""

    def all(self, within: float = WITHIN) -> Traces:
        """Those of all requests that have ended. What is still incomplete then is among them, and says so."""
        self._on()
        self.settle(within)
        return Traces.of(self._mesh.history(flushed=True))

    def settle(self, within: float = WITHIN) -> None:
        """Return when all traces are complete; or after the deadline, once: the checks tell what is missing."""
        self._mesh.flush_spans()
        if self._size() == self._gave_up_at:
            return
        history = self._mesh.history()
        try:
            until(lambda: not Traces.of(self._seen(history)).incomplete, within=within, what=str, every=0.02)
        except TimeoutError:
            self._gave_up_at = self._size()

    def of(self, request: Request, within: float = WITHIN) -> Trace:
        """The complete trace of one request."""
        self._on()
        self._mesh.flush_spans()
        history = self._mesh.history()
        traces = Traces.of(self._seen(history, request))
        if not traces.asked_for(request):
            raise UsageError(traces.why_none(request.id))
        found = [traces.of_request(request)]

        def complete() -> bool:
            found[0] = Traces.of(self._seen(history, request)).of_request(request)
            return found[0].complete

        def missing() -> str:
            lost = self._dropped()
            return f"the trace of {request.id} is not complete after {seconds(within)}: {_told(found[0])}{lost}"

        try:
            until(complete, within=within, what=missing, every=0.01)
        except TimeoutError as error:
            raise TraceIncomplete(str(error)) from None
        return found[0]

    def _on(self) -> None:
        if self._mesh.settings.traces == "off":
            raise UsageError(
                'no traces are taken: the setting `traces` is off; @pytest.mark.mesh(traces="all") traces every request'
            )

    def _size(self) -> int:
        path = self._mesh.run.directory / folder.SPANS
        return path.stat().st_size if path.exists() else 0

    def _seen(self, history: History, request: Request | None = None) -> History:
        """The history with the spans that are there now: all, or of one request, told by its trace id or its tag."""
        path = self._mesh.run.directory / folder.SPANS
        lines, _ = whole_lines(path.read_bytes()) if path.exists() else ([], False)
        if request is not None:
            wanted = Traces(history=history).names(request)
            lines = [line for line in lines if any(f'"{name}"'.encode() in line for name in wanted)]
        return replace(history, spans=Spans(lines, self._mesh.run.wall_start))

    def _dropped(self) -> str:
        dropped = self._mesh.run.history().of("spans.dropped")
        reasons = dict.fromkeys(str(event.data.get("reason")) for event in dropped)
        return f" (spans were dropped: {listed(reasons, most=2)})" if dropped else ""


def _told(trace: Trace) -> str:
    path = f"; so far: {' > '.join(trace.path)}" if trace.path else ""
    return f"missing: {listed(trace.missing, most=3)}{path}"
