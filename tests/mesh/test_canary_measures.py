"""What a rehearsal reads of a metric: asked as Flagger asks, of a real Prometheus; no request is sent for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from meshtest_telemetry import prometheus_clock, prometheus_scraper

from meshtest import Mesh, UsageError
from meshtest.mesh.canary.measures import Measures, assumptions, seconds
from meshtest.model.history import Event
from meshtest.model.request import Server
from meshtest.rollouts.canary import Answer, Reading
from meshtest.rollouts.canary.steps import Measure, Source
from tests.checks.histories import history, hop
from tests.conftest import PATIENCE
from tests.rollouts.podinfo import podinfo
from tests.telemetry.conftest import Endpoint, Wall, needs_prometheus

SPEED = 60.0

TEMPLATE = """\
apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  provider: {{type: {provider}, address: "http://prometheus.monitoring:9090"}}
  query: |
    {query}
"""

ISTIO = """\
# TYPE istio_requests_total counter
istio_requests_total{{{labels},destination_workload="podinfo",response_code="200"}} {good}
istio_requests_total{{{labels},destination_workload="podinfo",response_code="503"}} {bad}
istio_requests_total{{{labels},destination_workload="podinfo-primary",response_code="500"}} {primary}
# TYPE istio_request_duration_milliseconds histogram
istio_request_duration_milliseconds_bucket{{{labels},destination_workload="podinfo",le="5"}} 0
istio_request_duration_milliseconds_bucket{{{labels},destination_workload="podinfo",le="10"}} {all}
istio_request_duration_milliseconds_bucket{{{labels},destination_workload="podinfo",le="+Inf"}} {all}
"""
LABELS = 'reporter="destination",destination_workload_namespace="test"'
APP = """\
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{{{pod},status="200",le="0.005"}} 0
http_request_duration_seconds_bucket{{{pod},status="200",le="0.01"}} {good}
http_request_duration_seconds_bucket{{{pod},status="200",le="+Inf"}} {good}
http_request_duration_seconds_count{{{pod},status="200"}} {good}
http_request_duration_seconds_count{{{pod},status="503"}} {bad}
"""
POD = 'kubernetes_namespace="test",kubernetes_pod_name="podinfo-0a1b2c3d-0"'


def told(good: float, bad: float, primary: float = 0) -> str:
    istio = ISTIO.format(labels=LABELS, good=good, bad=bad, primary=primary, all=good + bad)
    return istio + APP.format(pod=POD, good=good, bad=bad) + 'queue{shard="a"} 3\nqueue{shard="b"} 4\nidle NaN\n'


class Asked:
    """The metrics of one Canary, and the traffic that they are told of."""

    def __init__(self, mesh: Mesh, endpoint: Endpoint, wall: Wall) -> None:
        self._mesh, self._endpoint, self._wall = mesh, endpoint, wall
        self._sent = {"good": 0.0, "bad": 0.0, "primary": 0.0}
        self._opened: list[Measures] = []
        endpoint.text = told(**self._sent)

    def measures(self, *metrics: dict[str, Any], provider: str = "istio", **more: Any) -> Measures:
        canary = podinfo(spec={"provider": provider}, metrics=list(metrics))
        made = Measures(self._mesh, canary, speed=SPEED, **more)
        self._opened.append(made)
        return made

    def half_a_minute(self, **sent: float) -> None:
        """Of the Canary's clock, in which so much is sent."""
        for kind, count in sent.items():
            self._sent[kind] += count
        self._wall.now += 30 / SPEED
        self._endpoint.text = told(**self._sent)

    def close(self) -> None:
        for one in self._opened:
            one.close()


@pytest.fixture
def asked(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    endpoint = Endpoint()
    monkeypatch.setattr(Mesh, "metrics_url", endpoint.url)
    monkeypatch.setattr(prometheus_scraper, "FAST_INTERVAL", PATIENCE * 1000)
    monkeypatch.setattr(prometheus_clock, "time", wall := Wall(time.time()))
    made = Asked(mesh, endpoint, wall)
    yield made
    made.close()
    endpoint.close()


def read(measures: Measures, source: Source = Source.BUILTIN, at: int = 0) -> Reading:
    return measures.read(Measure(measures._canary.analysis.metrics[at], source))


BUILTINS = {"name": "request-success-rate"}, {"name": "request-duration", "interval": "2m"}


@needs_prometheus
class TestBuiltin:
    @pytest.mark.parametrize("mesh_of", ["istio", "kubernetes"])
    def test_of_the_canary_alone_in_its_window(self, asked: Asked, mesh_of: str) -> None:
        measures = asked.measures(*BUILTINS, provider=mesh_of)
        assert measures.online() == Answer()
        assert read(measures) == Reading(), "no values found: nothing was sent"
        asked.half_a_minute(good=90, bad=0, primary=1000)
        read(measures)
        asked.half_a_minute(good=90, bad=20)
        assert read(measures).value == pytest.approx(90.0)
        assert read(measures, at=1) == Reading(value=9.0), "9.95 ms, cut to whole ones"
        for _ in range(2):
            asked.half_a_minute(good=50)
            read(measures)
        assert read(measures).value == 100.0, "what failed is more than a minute ago"
        for _ in range(3):
            asked.half_a_minute()
            read(measures)
        assert read(measures) == Reading(), "0 / 0"
        question = Measure(measures._canary.analysis.metrics[0], Source.BUILTIN)
        assert "nothing was counted in the window" in measures.measured(question, Reading()).error

    def test_errors_alone_give_no_values(self, asked: Asked) -> None:
        """The numerator has no series, and nothing divided by something is nothing: FLAGGER.md 3.3 (b)."""
        measures = asked.measures(BUILTINS[0])
        asked._endpoint.text = ""
        measures.online()
        only = f'istio_requests_total{{{LABELS},destination_workload="podinfo",response_code="503"}} '
        for count in (0, 10, 20):
            asked.half_a_minute()
            asked._endpoint.text = f"{only}{count}\n"
            assert read(measures) == Reading()


@needs_prometheus
def test_queries_of_the_user(asked: Asked, mesh: Mesh) -> None:
    errors = 'destination_workload="{{ target }}",response_code=~"{{ variables.code }}"'
    query = f"sum(increase(istio_requests_total{{{errors}}}[{{{{ interval }}}}]))"
    mesh.apply(text=TEMPLATE.format(name="deep", namespace="ops", provider="prometheus", query=query))
    inline = {
        "sent": "sum(increase(istio_requests_total{destination_workload='{{ target }}'}[1m]))",
        "last": "queue",
        "scalar": "scalar(queue{shard='a'})",
        "range": "queue[1m]",
        "nan": "idle",
        "wrong": "sum(queue",
        "unknown": "queue{shard='{{ shard }}'}",
    }
    templated = {"name": "deep", "templateRef": {"name": "deep", "namespace": "ops"}}
    measures = asked.measures(
        *({"name": name, "query": query} for name, query in inline.items()),
        {**templated, "templateVariables": {"code": "5.*"}},
        {**templated, "name": "novar"},
        {"name": "lost", "templateRef": {"name": "lost"}},
    )
    online = measures.online()
    assert online == Answer(
        ok=False, reason='metric template lost.test error: metrictemplate.flagger.app "lost" not found'
    )
    assert measures.notes[0] == (
        "the manifests have no MetricTemplate test/lost, so each check of metric lost fails: name its file, or say "
        "what it reads: --assume-metric lost=VALUE"
    )
    asked.half_a_minute(good=10)
    read(measures, Source.INLINE)
    asked.half_a_minute(good=20, bad=5)
    found = {name: read(measures, Source.INLINE, at) for at, name in enumerate(inline)}
    assert found["sent"].value == pytest.approx(35 * SPEED), "each stands for sixty"
    assert found["last"] == Reading(value=4.0), "of several series the last"
    assert found["nan"] == Reading()
    assert "a scalar is no vector" in found["scalar"].error
    assert found["range"].error == "query returned multiple values"
    assert "parse error" in found["wrong"].error
    assert "no function 'shard'" in found["unknown"].error
    deep, novar, lost = (read(measures, Source.TEMPLATE, at) for at in (7, 8, 9))
    assert deep.value == pytest.approx(5 * SPEED)
    assert "no variable 'code'" in novar.error
    assert lost.error == online.reason


@needs_prometheus
def test_scrapes_begin_with_the_canary_though_all_its_queries_are_inline(asked: Asked) -> None:
    measures = asked.measures({"name": "sent", "query": "sum(increase(istio_requests_total[1m]))"})
    assert measures.online() == Answer()
    asked.half_a_minute(good=10)
    assert read(measures, Source.INLINE).value == pytest.approx(10 * SPEED)


class TestWhatCannotBeAsked:
    def test_another_provider_is_refused_until_somebody_says_what_it_reads(self, asked: Asked, mesh: Mesh) -> None:
        mesh.apply(text=TEMPLATE.format(name="apm", namespace="test", provider="datadog", query="avg:x"))
        metric = {"name": "errors", "templateRef": {"name": "apm"}, "thresholdRange": {"max": 1}}
        with pytest.raises(UsageError, match=r":5: metric errors is asked of datadog.*--assume-metric errors=VALUE"):
            asked.measures(metric)
        with pytest.raises(UsageError, match=r"no metric 'error' to assume; the Canary has: errors.*did you mean"):
            asked.measures(metric, assumed={"error": 0.5})
        measures = asked.measures(metric, assumed={"errors": 1.5})
        assert measures.online() == Answer(), "there is nobody to ask"
        assert read(measures, Source.TEMPLATE) == Reading(value=1.5)
        assert measures.notes == ["metric errors was not asked: assumed to be 1.5"]
        question = Measure(measures._canary.analysis.metrics[0], Source.TEMPLATE)
        measured = measures.measured(question, Reading(value=1.5))
        assert (measured.least, measured.most, measured.ok) == (None, 1.0, False)

    def test_a_mesh_whose_metrics_nobody_tells(self, asked: Asked) -> None:
        with pytest.raises(UsageError, match=r"request-success-rate is one of nginx, which nothing here tells"):
            asked.measures(BUILTINS[0], provider="nginx")

    def test_assumptions_of_a_command_line(self) -> None:
        assert assumptions(["a=1", "b c=-0.5"]) == {"a": 1.0, "b c": -0.5}
        for wrong in ("a", "a=", "=1", "a=x"):
            with pytest.raises(UsageError, match=r"write NAME=VALUE, such as error-rate=0.5"):
                assumptions([wrong])

    def test_windows(self) -> None:
        assert [seconds(text) for text in ("30s", "1m", "1h30m", "500ms", "2d")] == [30, 60, 5400, 0.5, 172_800]
        with pytest.raises(UsageError, match="is no duration of Prometheus"):
            seconds("1 minute")


def test_the_requests_that_a_value_rests_on(asked: Asked, mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the canary's pods that ended in the last second, which is a minute of the clock."""
    canary, primary = Server("podinfo", "v2", "podinfo-0"), Server("podinfo", "v1", "podinfo-primary-0")
    workloads = {canary.pod: "test/podinfo", primary.pod: "test/podinfo-primary"}
    starts = [Event(0.0, "pod.start", pod, {"workload": workload}) for pod, workload in workloads.items()]
    now = 10.0
    hops = [hop(i, at, canary, "inbound") for i, at in enumerate((1.0, 8.5, 9.5, 9.6, 9.9))]
    hops += [hop(9, 9.7, canary, "outbound"), hop(10, 9.8, primary, "inbound")]
    monkeypatch.setattr(type(mesh.run), "now", now)
    monkeypatch.setattr(mesh, "history", lambda *, flushed=False: history([], starts, hops=hops))
    measures = asked.measures(BUILTINS[0])
    assert len(measures.seen(measures._canary.analysis.metrics[0]).served) == 3
