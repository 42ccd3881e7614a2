"""Flagger's queries in Flagger's words, and templates as its renderer fills them in."""

from __future__ import annotations

import pytest

from meshtest.errors import UsageError
from meshtest.manifests.reader import read_text
from meshtest.model.series import NO_DATA, NoData, NoDataFound, Sample, Vector
from meshtest.telemetry.flagger import QUERIES, Variables, builtin, query_of, reading, render, value_of, variables_of

WEB = Variables(name="web", namespace="test", target="web", interval="30s", variables={"user": "jason"})

ISTIO_SUCCESS = """
    sum(rate(istio_requests_total{
        reporter="destination", destination_workload_namespace="test", destination_workload=~"web",
        response_code!~"5.*"}[30s]))
    /
    sum(rate(istio_requests_total{
        reporter="destination", destination_workload_namespace="test", destination_workload=~"web"}[30s]))
    * 100"""
LINKERD_SUCCESS = """
    sum(rate(response_total{
        namespace="test", deployment=~"web", classification!="failure", direction="inbound"}[30s]))
    / sum(rate(response_total{namespace="test", deployment=~"web", direction="inbound"}[30s])) * 100"""
APP_DURATION = """
    histogram_quantile(0.99, sum(rate(http_request_duration_seconds_bucket{
        kubernetes_namespace="test", kubernetes_pod_name=~"web-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"}[30s])) by (le))"""


def tokens(query: str) -> str:
    """PromQL is the same with other white space between its words."""
    return "".join(query.split())


class TestBuiltin:
    @pytest.mark.parametrize(
        ("provider", "metric", "expected"),
        [
            ("istio", "request-success-rate", ISTIO_SUCCESS),
            ("linkerd", "request-success-rate", LINKERD_SUCCESS),
            ("gatewayapi:v1", "request-duration", APP_DURATION),
        ],
    )
    def test_it_has_flaggers_words(self, provider: str, metric: str, expected: str) -> None:
        assert tokens(render(builtin(provider, metric), WEB)) == tokens(expected)

    def test_the_unknown_names_what_there_is(self) -> None:
        with pytest.raises(UsageError, match=r"no Flagger provider 'istoi'.*did you mean 'istio'"):
            builtin("istoi", "request-duration")
        with pytest.raises(UsageError, match=r"no builtin metric 'latency'; there are: request-success-rate, request-"):
            builtin("istio", "latency")

    def test_each_provider_has_both(self) -> None:
        assert {len(queries) for queries in QUERIES.values()} == {2}

    def test_durations_are_read_as_whole_milliseconds(self) -> None:
        assert reading("istio", "request-duration", 24.75) == 24
        assert reading("kubernetes", "request-duration", 0.0249) == 24
        assert reading("istio", "request-success-rate", 99.5) == 99.5
        assert reading("istio", "request-duration", NoData("x")) == NO_DATA


class TestRender:
    @pytest.mark.parametrize(
        ("template", "expected"),
        [
            ('up{job="{{ target }}"}', 'up{job="web"}'),
            ("{{target}}[{{ interval }}]", "web[30s]"),
            ("a  {{- target -}}  b", "awebb"),
            ("{{ variables.user }}/{{ index variables `user` }}", "jason/jason"),
            ('{{/* why */}}{{ "{{" }}{{ "literal" }}', "{{literal"),
            ("sum(x) by (le)", "sum(x) by (le)"),
        ],
    )
    def test_what_is_understood(self, template: str, expected: str) -> None:
        assert render(template, WEB) == expected

    @pytest.mark.parametrize(
        ("action", "message"),
        [
            ("{{ variables.usr }}", "no variable 'usr'; there are: user (did you mean 'user'?)"),
            ("{{ targte }}", "no function 'targte'"),
            ("{{ if target }}", "{{ if target }} is more of Go's template language than is understood here"),
            ("{{ target", "an action {{ that no }} ends"),
        ],
    )
    def test_anything_else_is_an_error_with_its_line(self, action: str, message: str) -> None:
        with pytest.raises(UsageError) as refused:
            render(f"sum(\n  {{{{ target }}}}\n  {action}\n)", WEB, "m.yaml:10")
        assert str(refused.value).startswith("m.yaml:12: ")
        assert message in str(refused.value)

    def test_a_variable_that_is_none(self) -> None:
        with pytest.raises(UsageError, match=r"no template variable 'taget'.*did you mean 'target'"):
            variables_of({"taget": "web"})


TEMPLATE = """\
apiVersion: flagger.app/v1beta1
kind: MetricTemplate
metadata: {{name: latency, namespace: test}}
spec:
  provider: {{type: {provider}, address: "http://prometheus:9090"}}
  query: |
    sum(rate(a_total[1m]))
    {{{{ nonsense }}}}
"""


class TestMetricTemplate:
    def test_errors_have_the_line_of_the_file(self) -> None:
        (document,) = read_text(TEMPLATE.format(provider="prometheus"), "metrics.yaml")
        query, where = query_of(document)
        with pytest.raises(UsageError, match=r"^metrics\.yaml:8: no function 'nonsense'"):
            render(query, WEB, where)

    def test_other_providers_are_not_asked(self) -> None:
        (document,) = read_text(TEMPLATE.format(provider="datadog"), "metrics.yaml")
        with pytest.raises(UsageError, match=r"^metrics\.yaml:5: provider 'datadog' is not asked here"):
            query_of(document)

    def test_other_documents_are_none(self) -> None:
        (document,) = read_text("apiVersion: v1\nkind: Service\nmetadata: {name: web}", "web.yaml")
        with pytest.raises(UsageError, match=r"a MetricTemplate of flagger\.app is wanted, not /Service"):
            query_of(document)


class TestValue:
    def test_it_is_the_last_series(self) -> None:
        assert value_of(Vector([Sample({}, 1.0, 0.0), Sample({}, 2.0, 0.0)])) == 2

    @pytest.mark.parametrize("vector", [Vector([], why="nothing"), Vector([Sample({}, NoData("nothing"), 0.0)])])
    def test_empty_or_nan_is_no_value(self, vector: Vector) -> None:
        with pytest.raises(NoDataFound, match="`no values found` and counts a failed check: nothing"):
            assert value_of(vector) >= 0
