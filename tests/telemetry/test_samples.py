"""What a test asserts on: sums over samples, quantiles, and no data as no number."""

from __future__ import annotations

import pytest

from meshtest.model.series import NO_DATA, NoDataFound
from meshtest.telemetry.samples import Metrics

METRICS = Metrics(
    """\
# TYPE requests_total counter
requests_total{code="200",to="v1"} 90
requests_total{code="503",to="v1"} 1
requests_total{code="200",to="v2"} 9
# TYPE ms histogram
ms_bucket{to="v1",le="1"} 10
ms_bucket{to="v1",le="5"} 90
ms_bucket{to="v1",le="+Inf"} 100
ms_bucket{to="v2",le="1"} 0
ms_bucket{to="v2",le="5"} 0
ms_bucket{to="v2",le="+Inf"} 0
ms_sum{to="v1"} 250
"""
)


def test_a_value_is_the_sum_over_what_has_the_labels() -> None:
    assert METRICS.value("requests_total") == 100
    assert METRICS.value("requests_total", to="v1") == 91
    assert METRICS.value("requests_total", to="v1", code="503") == 1
    assert METRICS.value("ms_sum", code="") == 250
    assert METRICS.by("requests_total", "code") == {"200": 99, "503": 1}


@pytest.mark.parametrize(
    ("name", "labels", "why"),
    [
        ("requests_totl", {}, "nothing has been counted as requests_totl; did you mean requests_total"),
        ("requests_total", {"to": "v3"}, "no sample has to=\"v3\"; there are: 'v1', 'v2'"),
        ("requests_total", {"to": "v2", "code": "503"}, "no sample of requests_total has all of these labels: to="),
    ],
)
def test_what_is_not_there_is_no_zero_and_says_why(name: str, labels: dict[str, str], why: str) -> None:
    value = METRICS.value(name, **labels)
    assert value == NO_DATA
    for compare in (lambda: value == 0, lambda: value < 1, lambda: float(value)):
        with pytest.raises(NoDataFound, match=why):
            compare()


def test_a_quantile_lies_within_its_bucket() -> None:
    assert METRICS.quantile("ms", 0.5, to="v1") == pytest.approx(3.0)
    assert METRICS.quantile("ms", 0.1, to="v1") == pytest.approx(1.0)
    assert METRICS.quantile("ms", 0.99, to="v1") == 5, "of what is above the last bound nothing more is known"
    assert METRICS.quantile("ms", 0.5, to="v2") == NO_DATA
    assert METRICS.quantile("no_ms", 0.5) == NO_DATA


def test_names_and_a_summary() -> None:
    assert METRICS.names() == ["ms_bucket", "ms_sum", "requests_total"]
    assert repr(METRICS) == "<Metrics: 10 samples of ms_bucket, ms_sum, requests_total>"
