"""What a test does, seen by the user's own OpenTelemetry SDK; and nothing imported for those who have none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from meshtest import ConfigRejected, Mesh
from meshtest.mesh import own_spans
from meshtest.mesh.own_spans import Begun
from meshtest.testing import FakeProvider


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The user's SDK; the API keeps the first provider for good, so it is put in where we ask."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(own_spans, "_tracer", lambda: provider.get_tracer("meshtest"))
    yield exporter
    provider.shutdown()


def test_steps_hold_the_changes_made_in_them(mesh: Mesh, seen: Any) -> None:
    with mesh.step("v2 at 10%"):
        mesh["web"].shift(v2=10)
    change, step = seen.get_finished_spans()
    assert (step.name, change.name[:7]) == ("step v2 at 10%", "config ")
    assert change.parent.span_id == step.context.span_id
    assert change.attributes["meshtest.number"] == 2


def test_a_change_that_is_refused_is_an_error(mesh: Mesh, provider: FakeProvider, seen: Any) -> None:
    provider.refuse = ConfigRejected("no")
    with pytest.raises(ConfigRejected):
        mesh["web"].shift(v2=10)
    (change,) = seen.get_finished_spans()
    assert not change.status.is_ok


def test_a_fault_says_how_often_it_bit(mesh: Mesh, provider: FakeProvider, seen: Any) -> None:
    with mesh.fault("web", abort=503):
        provider.counts["http.outbound_x.fault.aborts_injected"] = 3
    fault = next(span for span in seen.get_finished_spans() if span.name == "fault web")
    assert fault.attributes["meshtest.bitten"] == 3


def test_what_it_caused_is_linked(seen: Any) -> None:
    begun = Begun("load load1", load="load1")
    assert begun.listened
    begun.end([("ab" * 16, "cd" * 8)])
    (load,) = seen.get_finished_spans()
    assert [(f"{link.context.trace_id:x}", f"{link.context.span_id:x}") for link in load.links] == [
        ("ab" * 16, "cd" * 8)
    ]  # fmt: skip


def test_nothing_is_imported_where_nobody_listens() -> None:
    program = (
        "import sys\n"
        "from meshtest.mesh.own_spans import Begun, span\n"
        "with span('x', number=1): Begun('y').end([('ab' * 16, 'cd' * 8)])\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
