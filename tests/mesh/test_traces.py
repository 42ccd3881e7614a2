"""Traces of a mesh: waited for by the rule of completeness, and clear about what is not there."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from meshtest import Mesh, Settings, UsageError
from meshtest.errors import TraceIncomplete
from meshtest.mesh.traces import TracedRequest
from meshtest.mesh.view import View
from meshtest.model.request import Fate
from meshtest.model.span import Span
from meshtest.model.trace_ids import TraceIds
from meshtest.run import Run, folder
from meshtest.testing import FakeProvider
from tests.checks.histories import V2, request
from tests.model.spans import Maker, lines
from tests.model.test_traces import run as recorded


def shop(index: int) -> list[Span]:
    (maker := Maker(TraceIds(7, ["load"]).id("load", index))).shop()
    return maker.spans


def begun(mesh: Mesh, sampled: float = 1.0) -> None:
    mesh.record("load.start", "load", load="load", sampled=sampled)


def tell(mesh: Mesh, spans: list[Span]) -> None:
    with (mesh.run.directory / folder.SPANS).open("ab") as file:
        file.write(lines(spans, mesh.run.wall_start))


class TestOneTrace:
    def test_a_request_has_its_trace(self, mesh: Mesh) -> None:
        begun(mesh)
        tell(mesh, shop(0) + shop(1))
        slowest = TracedRequest(request(1, 0.0, V2), mesh.look.of)
        assert slowest.trace.path == ["gateway", "web@v2", "price@v1"]
        assert slowest.trace.request == "load-1"
        assert (slowest.id, slowest.version, slowest.latency) == ("load-1", "v2", 0.001)

    def test_it_is_waited_for_until_it_is_complete(self, mesh: Mesh) -> None:
        begun(mesh)
        spans = shop(1)
        tell(mesh, spans[3:])
        late = threading.Thread(target=lambda: [tell(mesh, [span]) for span in reversed(spans[:3])])
        late.start()
        assert mesh.look.of(request(1, 0.0), within=20).complete
        late.join()

    def test_what_is_missing_at_the_deadline_is_said(self, mesh: Mesh) -> None:
        begun(mesh)
        mesh.record("spans.dropped", count=3, reason="more came than could be written")
        tell(mesh, shop(1)[:-2])
        with pytest.raises(TraceIncomplete) as caught:
            TracedRequest(request(1, 0.0), mesh.look.of).trace_within(0.01)
        assert str(caught.value) == (
            "the trace of load-1 is not complete after 10 ms: missing: the ingress span of price, which web@v2 called; "
            "so far: gateway > web@v2 (spans were dropped: more came than could be written)"
        )

    def test_nothing_has_come(self, mesh: Mesh) -> None:
        begun(mesh)
        with pytest.raises(TraceIncomplete, match=r"load-1 is not complete after 10 ms: missing: no span has come$"):
            mesh.look.of(request(1, 0.0), within=0.01)

    def test_a_request_that_was_not_sampled_is_not_waited_for(self, mesh: Mesh) -> None:
        begun(mesh, sampled=0.0)
        with pytest.raises(UsageError, match=r"load-1 was not sampled: 0 % .*sampled=1\.0.*traces=\"all\""):
            mesh.look.of(request(1, 0.0))

    def test_traces_that_are_off(self, tmp_path: Path) -> None:
        settings = Settings(reports=tmp_path, seed=7, traces="off")
        with Mesh(FakeProvider(), Run("unit", settings, seed=7), settings) as mesh:
            with pytest.raises(UsageError, match="the setting `traces` is off"):
                mesh.look.of(request(1, 0.0))
            with pytest.raises(UsageError, match="the setting `traces` is off"):
                _ = mesh.traces


class TestAllTraces:
    def test_of_a_run(self, mesh: Mesh) -> None:
        begun(mesh)
        tell(mesh, shop(0) + shop(1))
        assert len(mesh.traces.where(service="price", fault="delay")) == 2

    def test_what_does_not_become_complete_is_waited_for_once(self, mesh: Mesh) -> None:
        begun(mesh)
        tell(mesh, shop(0) + shop(1)[1:])
        assert len(mesh.look.all(within=0.01).incomplete) == 1
        assert len(mesh.look.all(within=3600).incomplete) == 1
        tell(mesh, shop(1)[:1])
        assert not mesh.look.all(within=20).incomplete


class TestWhichRequest:
    def test_the_slowest_of_a_version(self) -> None:
        history = recorded([])
        assert View(history).slowest("v2").id == "load-0"
        with pytest.raises(UsageError, match="no request was answered by v1"):
            View(history).slowest("v1")

    def test_the_slowest_of_those_that_are_traced(self) -> None:
        few = View(recorded([], sampled=0.1))
        chosen = few.slowest(traced=True)
        assert TraceIds.of(few.history).traced("load", chosen.index)
        with pytest.raises(UsageError, match="none of these requests was traced; ask for all with"):
            View(recorded([], sampled=0.0)).slowest(traced=True)

    def test_the_first_that_failed(self) -> None:
        from dataclasses import replace

        from meshtest.model.request import Requests

        lost = Requests.of([request(0, 0.0), request(1, 0.1, fate=Fate.RESET), request(2, 0.2, fate=Fate.RESET)])
        assert View(replace(recorded([]), requests=lost)).first_failed().id == "load-1"
        with pytest.raises(UsageError, match="none of 100 requests failed"):
            View(recorded([])).first_failed()
