"""What a test does with a mesh as spans of OpenTelemetry's API, for an SDK that the user has set up.

    with tracer.start_as_current_span("nightly"):      # the user's
        mesh.step(...), mesh["web"].shift(...), mesh.fault(...), mesh.load(...)    # spans below it

Without an SDK nobody would see them. Importing the API takes 70 ms or more, so it is not done for that: who has set one
up has imported it, or names one by OTEL_PYTHON_TRACER_PROVIDER. Exports have the same steps of every run
(model/steps.py).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

_API = "opentelemetry.trace"
MOST_LINKS = 128
"""SDKs keep as many of a span."""


def _tracer() -> Any:
    """None where nobody listens."""
    if _API not in sys.modules and "OTEL_PYTHON_TRACER_PROVIDER" not in os.environ:
        return None
    from opentelemetry import trace

    return trace.get_tracer("meshtest")


@contextlib.contextmanager
def span(name: str, **attributes: str | float) -> Iterator[None]:
    """Around what is done meanwhile; an exception makes it an error."""
    tracer = _tracer()
    if tracer is None:
        yield
        return
    with tracer.start_as_current_span(name, attributes=_named(attributes)):
        yield


class Begun:
    """A span that begins here and ends elsewhere: a load's, a fault's."""

    def __init__(self, name: str, **attributes: str | float) -> None:
        tracer = _tracer()
        self._span = None if tracer is None else tracer.start_span(name, attributes=_named(attributes))

    @property
    def listened(self) -> bool:
        """Somebody keeps it."""
        return self._span is not None and bool(self._span.is_recording())

    def end(self, links: Iterable[tuple[str, str]] = (), **attributes: str | float) -> None:
        """`links`: (trace id, span id) of what it caused."""
        if self._span is None:
            return
        from opentelemetry.trace import SpanContext, TraceFlags

        for trace, id in links:
            context = SpanContext(int(trace, 16), int(id, 16), is_remote=True, trace_flags=TraceFlags(1))
            self._span.add_link(context)
        self._span.set_attributes(_named(attributes))
        self._span.end()


def _named(attributes: dict[str, str | int | float]) -> dict[str, str | int | float]:
    return {f"meshtest.{name}": value for name, value in attributes.items()}
