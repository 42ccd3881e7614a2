"""What a mesh answers to questions about metrics: by PromQL of a real Prometheus, and exactly, without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meshtest import NO_DATA, Mesh, UsageError
from meshtest.model.history import History
from meshtest.model.series import NoDataFound
from tests.checks.histories import V1, V2, history, hop, request
from tests.telemetry.conftest import Endpoint, needs_prometheus

TEMPLATE = """\
apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: {name: reached, namespace: default}
spec:
  provider: {type: prometheus, address: "http://prometheus:9090"}
  query: |
    sum(reached_total{version="{{ target }}"})
"""


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    made = Endpoint()
    monkeypatch.setattr(Mesh, "metrics_url", made.url)
    yield made
    made.close()


@needs_prometheus
class TestPromQl:
    def test_it_is_started_by_the_first_question_and_ends_with_the_mesh(self, mesh: Mesh, endpoint: Endpoint) -> None:
        endpoint.text = 'reached_total{version="v1"} 3\nreached_total{version="v2"} 5\n'
        mesh.apply(text=TEMPLATE)
        assert not (mesh.run.directory / "prometheus").exists()

        assert mesh.query("sum(reached_total)") == 8
        endpoint.text = endpoint.text.replace("5", "6")
        assert mesh.query("sum(reached_total)") == 9, "scraped for the question"
        assert mesh.query("reached_total").by("version") == {"v1": 3, "v2": 6}
        assert mesh.query_range("sum(reached_total)").values[-1] == 9
        assert mesh.query("sum(reached_total)", at=mesh.run.now - 3600) == NO_DATA
        assert mesh.metric_template("reached", target="v2") == 6
        with pytest.raises(NoDataFound, match=r'`no values found`.*no series of reached_total has version="v3"'):
            assert mesh.metric_template("default/reached", target="v3") >= 0
        with pytest.raises(NoDataFound, match="no series is called istio_requests_total"):
            assert mesh.flagger_metric("request-success-rate", target="web-v2", interval="10s") > 99

        with pytest.raises(UsageError, match=r"no MetricTemplate 'reach'.*did you mean 'reached'"):
            mesh.metric_template("reach", target="v2")
        with pytest.raises(UsageError, match=r"is a range of samples.*use a function such as rate"):
            mesh.query("reached_total[5s]")

        answers = mesh.prometheus
        mesh.close()
        assert not (mesh.run.directory / "prometheus" / "lock").exists()
        with pytest.raises(Exception, match="does not answer"):
            answers.query("up")

    def test_a_setting_names_a_binary(self, mesh: Mesh, endpoint: Endpoint) -> None:
        from dataclasses import replace

        mesh.settings = replace(mesh.settings, prometheus="/no/such/prometheus")
        with pytest.raises(UsageError, match=r"none at '/no/such/prometheus' \(setting prometheus\): apt install"):
            mesh.query("up")


class TestExact:
    @pytest.fixture(autouse=True)
    def _recorded(self, mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
        requests = [request(i, i / 10, V2 if i % 2 else V1, status=500 if i == 1 else 200) for i in range(10)]
        hops = [hop(i, i / 10, V2 if i % 2 else V1, "inbound") for i in range(10)]
        recorded: History = history(requests, hops=hops)
        monkeypatch.setattr(mesh, "history", lambda *, flushed=False: recorded)

    def test_by_service_version_and_reporter(self, mesh: Mesh) -> None:
        assert mesh.success_rate("web") == 90
        assert mesh.success_rate("web", version="v2") == mesh.success_rate("web@v2") == 80
        assert mesh.success_rate("web@v2", reporter="destination") == 100
        assert mesh.duration("web", p=0.5) == pytest.approx(0.001)

    def test_the_unknown_is_no_absence_of_data(self, mesh: Mesh) -> None:
        with pytest.raises(UsageError, match="did you mean 'web'"):
            mesh.success_rate("wep")
        with pytest.raises(UsageError, match="web has no version 'v3'"):
            mesh.duration("web", version="v3")

    def test_a_version_that_served_no_one_has_no_data(self, mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(mesh, "history", lambda *, flushed=False: history())
        assert mesh.success_rate("web", version="v2") == NO_DATA
        with pytest.raises(NoDataFound, match="no request of a load was for web@v2"):
            assert mesh.duration("web", version="v2") < 1.2 * mesh.duration("web", version="v1")

    def test_it_needs_no_prometheus(self, mesh: Mesh) -> None:
        assert mesh.success_rate("web") == 90
        assert not (Path(mesh.run.directory) / "prometheus").exists()
