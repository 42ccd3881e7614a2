"""Questions about metrics, as a test asks them: PromQL of a real Prometheus, Flagger's own, and the exact ones.

Not here: what a query means (Prometheus), how numbers are worked out of the record (telemetry/builtin.py).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from meshtest.errors import UsageError
from meshtest.lib.words import listed, nearest
from meshtest.model.document import Document
from meshtest.model.series import Matrix, NoData, Number, Vector
from meshtest.telemetry import builtin, flagger

if TYPE_CHECKING:
    from pathlib import Path

    from meshtest.mesh.mesh import Mesh
    from meshtest.model.history import History
    from meshtest.spi.telemetry import PromQl
    from meshtest.telemetry.builtin import Reporter

TEMPLATE = "flagger.app/MetricTemplate"


class Questions:
    """Those of one mesh; its Prometheus is started with the first that needs it."""

    def __init__(self, mesh: Mesh, *, folder: Path | None = None, speed: float = 1.0) -> None:
        """`folder`: where its series lie, if not in the run folder; `speed`: of its clock (spi/telemetry.py)."""
        self._mesh = mesh
        self._folder, self._speed = folder or mesh.run.directory, speed
        self._prometheus: PromQl | None = None
        self._opening = threading.Lock()

    # ---- Prometheus

    @property
    def prometheus(self) -> PromQl:
        with self._opening:
            if self._prometheus is None:
                self._prometheus = self._open()
            return self._prometheus

    def _open(self) -> PromQl:
        from meshtest.spi import registry
        from meshtest.spi.telemetry import Asking

        settings, run = self._mesh.settings, self._mesh.run
        elsewhere = settings.prometheus.startswith(("http://", "https://"))
        made: PromQl = registry.load("telemetry", "prometheus")(
            Asking(
                folder=self._folder,
                settings=settings,
                wall_start=run.wall_start,
                targets=() if elsewhere else (self._mesh.metrics_url,),
                record=self._mesh.record,
                speed=self._speed,
            )
        )
        self._mesh.record("note", text=f"Prometheus answers at {made.url}")
        return made

    def close(self) -> None:
        if self._prometheus is not None:
            self._prometheus.close()

    def query(self, promql: str, at: float | None) -> Vector:
        asked = self.prometheus
        if at is None:
            self.freshen(asked)
        found = asked.query(promql, at)
        if isinstance(found, Matrix):
            raise UsageError(
                f"{promql.strip()} is a range of samples, not one a series: use a function such as rate(...), or "
                "mesh.query_range(...)"
            )
        return found

    def query_range(self, promql: str, start: float, end: float | None, step: float) -> Matrix:
        asked = self.prometheus
        self.freshen(asked)
        if end is None:
            end = self._mesh.run.now
            start = end - (end - start) // step * step if step > 0 else start
        return asked.query_range(promql, start, end, step)

    def freshen(self, asked: PromQl) -> None:
        """What the proxies count of finished requests is counted, and scraped after the last of them."""
        self._mesh.flush()
        requests = self._mesh.run.history().requests
        asked.refresh(max((request.ended_at for request in requests[-1000:]), default=0.0))

    # ---- as Flagger asks

    def flagger_metric(self, metric: str, provider: str, variables: flagger.Variables, at: float | None) -> Number:
        query = flagger.render(flagger.builtin(provider, metric), variables)
        return flagger.reading(provider, metric, flagger.value_of(self.query(query, at)))

    def template(self, template: str | Document, variables: flagger.Variables, at: float | None) -> Number:
        document = template if isinstance(template, Document) else self._named(template)
        query, where = flagger.query_of(document)
        return flagger.value_of(self.query(flagger.render(query, variables, where), at))

    def _named(self, name: str) -> Document:
        """`name`, or `namespace/name`."""
        namespace, _, short = name.rpartition("/")
        known = self._mesh.documents.of(TEMPLATE)
        found = [d for d in known if d.name == short and namespace in ("", d.namespace)]
        if len(found) != 1:
            names = [f"{d.namespace}/{d.name}" for d in known]
            hint = nearest(name, [*names, *(d.name for d in known)])
            what = f"{len(found)} MetricTemplates are called {name!r}" if found else f"no MetricTemplate {name!r}"
            raise UsageError(
                f"{what}; applied are: {listed(names) or 'none'}" + (f" (did you mean {hint!r}?)" if hint else "")
            )
        return found[0]

    # ---- exact

    def success_rate(
        self, service: str, version: str, reporter: Reporter, seconds: float | None, since: float
    ) -> Number:
        name, version = self._whose(service, version)
        history = self._window(seconds, since)
        return self._known(builtin.success_rate(history, name, version, reporter), service, version)

    def duration(
        self, service: str, p: float, version: str, reporter: Reporter, seconds: float | None, since: float
    ) -> Number:
        name, version = self._whose(service, version)
        history = self._window(seconds, since)
        return self._known(builtin.duration(history, name, p, version, reporter), service, version)

    def _window(self, seconds: float | None, since: float) -> History:
        """What began in it; its end is the moment of the question, and flushing takes its time."""
        now = self._mesh.run.now
        return builtin.window(self._mesh.history(flushed=True), seconds, now).between(since)

    def _whose(self, service: str, version: str) -> tuple[str, str]:
        """`web` and `v2`, or `web@v2`; the service must be one of the mesh."""
        service, _, said = service.partition("@")
        return self._mesh[service].name, version or said

    def _known(self, number: Number, service: str, version: str) -> Number:
        """Without data a version must at least exist: a misspelt one would look like one without traffic."""
        if isinstance(number, NoData) and version:
            _ = self._mesh[service.partition("@")[0]][version]
        return number
