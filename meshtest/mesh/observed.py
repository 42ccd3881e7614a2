"""What can be asked of a mesh: hops, traces, the graph, metrics, PromQL. Each is imported when it is first asked for.

Not here: how an answer is worked out (mesh/{promql,metrics,traces}.py, telemetry/).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from meshtest.model.document import Document
from meshtest.model.history import Hop

if TYPE_CHECKING:
    from meshtest.mesh.mesh import Mesh
    from meshtest.mesh.metrics import MeshMetrics
    from meshtest.mesh.promql import Questions
    from meshtest.mesh.traces import Looking
    from meshtest.model.graph import Graph
    from meshtest.model.series import Matrix, Number, Vector
    from meshtest.model.traces import Traces
    from meshtest.spi.telemetry import PromQl
    from meshtest.telemetry.builtin import Reporter
    from meshtest.telemetry.samples import Metrics


class Observed:
    """The half of Mesh that looks."""

    @property
    def _mesh(self) -> Mesh:
        return cast("Mesh", self)

    def stop_observing(self) -> None:
        """Ends what was started to answer."""
        for started in ("_questions", "_measured"):
            if started in self.__dict__:
                with contextlib.suppress(Exception):
                    self.__dict__.pop(started).close()

    def hops(self) -> Sequence[Hop]:
        """What the proxies know of all requests that have ended."""
        return self._mesh.history(flushed=True).hops

    @property
    def traces(self) -> Traces:
        """The traces of all requests that have ended and were sampled: `mesh.traces.where(service="ratings")`."""
        return self.look.all()

    @cached_property
    def look(self) -> Looking:
        """Waits for traces (mesh/traces.py)."""
        from meshtest.mesh.traces import Looking  # and most tests look at none

        return Looking(self._mesh)

    @property
    def resets(self) -> int:
        """Requests that some proxy saw reset, refused or cut by the other side (flags UC, UF, UR)."""
        cut = {"UC", "UF", "UR"}
        return len({h.request_id for h in self.hops() if cut & set(h.flags.split(","))})

    def graph(self, start: float = 0.0, end: float | None = None) -> Graph:
        """Who called whom so far, or in a window of the run: `mesh.graph()["web@v2"].calls["price@v1"].failed`."""
        from meshtest.telemetry.graph import graph_of  # for those who ask

        return graph_of(self._mesh.history(flushed=True), start or None, end)

    # ---- metrics

    @property
    def prometheus(self) -> PromQl:
        """A real Prometheus with the metrics of this mesh, started by the first that asks; what was counted before has
        no rate there. Setting `prometheus`: another binary, or the URL of one that runs."""
        return self._questions.prometheus

    def query(self, promql: str, *, at: float | None = None) -> Vector:
        """PromQL, as of now - every request that has ended is counted and scraped - or as of a second of the run.

        The answer of one series compares as its number does; without data a comparison fails and says why.
        """
        return self._questions.query(promql, at)

    def query_range(self, promql: str, start: float = 0.0, end: float | None = None, step: float = 1.0) -> Matrix:
        """PromQL at each `step` seconds from one second of the run to another; `end` left out: until now, with the
        steps counted back from there."""
        return self._questions.query_range(promql, start, end, step)

    def flagger_metric(
        self, metric: str, *, provider: str = "istio", at: float | None = None, **variables: Any
    ) -> Number:
        """What Flagger's builtin `request-success-rate` (percent) or `request-duration` (ms) reads by its own query:
        `target="web-v2"`, `interval="10s"`, `namespace`, ..."""
        from meshtest.telemetry.flagger import variables_of

        return self._questions.flagger_metric(metric, provider, variables_of(variables), at)

    def metric_template(self, template: str | Document, *, at: float | None = None, **variables: Any) -> Number:
        """What Flagger reads by a MetricTemplate, given or applied under this name, filled in with `target`,
        `interval`, `namespace`, `variables={...}` ...; it is asked here, whatever its `address`."""
        from meshtest.telemetry.flagger import variables_of

        return self._questions.template(template, variables_of(variables), at)

    def success_rate(
        self,
        service: str,
        *,
        version: str = "",
        reporter: Reporter = "user",
        seconds: float | None = None,
        since: float = 0.0,
    ) -> Number:
        """Percent of the requests that did not fail, exactly: of `web`, `web@v2`; of those begun in the last so many
        seconds, or since a second of the run.

        `reporter`: `user` (what the loads saw), `source` (the callers' proxies) or `destination` (the service's
        proxies, all that Flagger's builtin queries see).
        """
        return self._questions.success_rate(service, version, reporter, seconds, since)

    def duration(
        self,
        service: str,
        *,
        p: float = 0.99,
        version: str = "",
        reporter: Reporter = "user",
        seconds: float | None = None,
        since: float = 0.0,
    ) -> Number:
        """Seconds that a share `p` of the requests did not exceed, exactly; the rest as for success_rate()."""
        return self._questions.duration(service, p, version, reporter, seconds, since)

    @cached_property
    def _questions(self) -> Questions:
        from meshtest.mesh.promql import Questions  # who asks nothing pays nothing

        return Questions(self._mesh)

    # ---- what was counted

    @property
    def metrics_url(self) -> str:
        """Where to scrape the metrics of this mesh, of its proxies and of its pods, while it lives: Prometheus text or
        OpenMetrics. Named as Istio names them, or Linkerd if the manifests are Linkerd's."""
        return self._measured.url

    def metrics(self) -> Metrics:
        """The metrics by now, to assert on: `mesh.metrics().value("istio_requests_total", reporter="source")`. A proxy
        counts a request when it has ended; unless a load is running, none is under way."""
        if self._mesh.opened and not any(load.sending for load in self._mesh.loads):
            self._mesh.provider.settle()
        return self._measured.now()

    @cached_property
    def _measured(self) -> MeshMetrics:
        from meshtest.mesh.metrics import MeshMetrics  # with an HTTP server, and most runs ask for none

        return MeshMetrics(self._mesh)
