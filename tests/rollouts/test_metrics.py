"""What the value of a metric means, in Flagger's words."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest.rollouts.canary import Answer, Reading
from meshtest.rollouts.canary.metrics import why_not
from meshtest.rollouts.canary.steps import Measure, Source
from tests.rollouts.podinfo import V1, V2, messages, podinfo, seen, ticks

SUCCESS, DURATION = "request-success-rate", "request-duration"
NO_TRAFFIC = "probably podinfo.test is not receiving traffic"


def objection(metric: dict[str, Any], reading: Reading, source: Source = Source.BUILTIN, **spec: Any) -> str:
    canary = podinfo(metrics=[metric], spec=spec)
    return why_not(canary, canary.analysis.metrics[0], source, reading)


def within(name: str, **bounds: float) -> dict[str, Any]:
    return {"name": name, "thresholdRange": bounds}


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        (within(SUCCESS, min=99), 99.0, ""),
        (within(SUCCESS, min=99), 98.996, "Halt podinfo.test advancement success rate 99.00% < 99%"),
        (within(SUCCESS, min=99.5), 12.345, "Halt podinfo.test advancement success rate 12.35% < 99.5%"),
        (within(SUCCESS, max=50), 51.0, "Halt podinfo.test advancement success rate 51.00% > 50%"),
        ({"name": SUCCESS, "threshold": 99}, 98.0, "Halt podinfo.test advancement success rate 98.00% < 99%"),
        ({"name": SUCCESS}, 0.0, ""),
        (within(DURATION, max=500), 500.9, ""),
        (within(DURATION, max=500), 501.0, "Halt podinfo.test advancement request duration 501ms > 500ms"),
        (within(DURATION, max=500), 61500.0, "Halt podinfo.test advancement request duration 1m1.5s > 500ms"),
        (within(DURATION, min=10), 9.0, "Halt podinfo.test advancement request duration 9ms < 10ms"),
        (within(DURATION, max=0.5), 1.0, "Halt podinfo.test advancement request duration 1ms > 0s"),
        ({"name": DURATION, "threshold": 500}, 1000.0, "Halt podinfo.test advancement request duration 1s > 500ms"),
        ({"name": DURATION}, 1.0, "Halt podinfo.test advancement request duration 1ms > 0s"),
    ],
)
def test_built_in_metrics(metric: dict[str, Any], value: float, said: str) -> None:
    assert objection(metric, Reading(value=value)) == said


@pytest.mark.parametrize("source", [Source.INLINE, Source.TEMPLATE])
@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        (within("errors", max=1), 1.0, ""),
        (within("errors", max=1), 1.5, "Halt podinfo.test advancement errors 1.50 > 1"),
        (within("errors", min=0.01), 0.0, "Halt podinfo.test advancement errors 0.00 < 0.01"),
        ({"name": "errors"}, 0.004, "Halt podinfo.test advancement errors 0.00 > 0"),
    ],
)
def test_own_metrics(metric: dict[str, Any], value: float, said: str, source: Source) -> None:
    assert objection(metric, Reading(value=value), source) == said


@pytest.mark.parametrize("nothing", [Reading(), Reading(value=float("nan"))])
@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        (SUCCESS, Source.BUILTIN, f"for istio metric {SUCCESS} {NO_TRAFFIC}: running query failed: no values found"),
        (DURATION, Source.BUILTIN, f"for istio metric {DURATION} {NO_TRAFFIC}"),
        ("errors", Source.INLINE, "for metric: errors"),
        ("errors", Source.TEMPLATE, "for custom metric: errors: no values found"),
    ],
)
def test_no_value_is_an_objection(name: str, source: Source, said: str, nothing: Reading) -> None:
    assert objection({"name": name}, nothing, source) == f"Halt advancement no values found {said}"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (Source.BUILTIN, "Prometheus query failed: running query failed: down"),
        (Source.INLINE, "Prometheus query failed for errors: down"),
        (Source.TEMPLATE, "Metric query failed for errors: down"),
    ],
)
def test_a_query_that_fails_is_an_objection(source: Source, said: str) -> None:
    assert objection({"name": "errors"}, Reading(error="down"), source) == said


@pytest.mark.parametrize("provider", ["gatewayapi:v1", "kubernetes"])
def test_errors_of_an_applications_success_rate_are_not_wrapped(provider: str) -> None:
    said = objection({"name": SUCCESS}, Reading(), provider=provider)
    assert said == f"Halt advancement no values found for {provider} metric {SUCCESS} {NO_TRAFFIC}: no values found"
    assert objection({"name": SUCCESS}, Reading(error="down"), provider=provider) == "Prometheus query failed: down"


def test_the_provider_of_a_service_target_is_named_as_flagger_names_it() -> None:
    target = {"apiVersion": "v1", "kind": "Service", "name": "podinfo"}
    said = objection({"name": DURATION}, Reading(), provider="linkerd", targetRef=target)
    assert "for linkerd:service metric" in said


def asked(metrics: list[dict[str, Any]], **readings: Reading) -> tuple[list[str], list[str]]:
    """The queries of the first tick with traffic, and its warnings."""
    found = ticks(podinfo(metrics=metrics), seen(V1), (2, seen(V2)), seen(V2, metrics=readings))[-1]
    queries = [f"{d.step.source} {d.step.metric.name}" for d in found.log if isinstance(d.step, Measure)]
    return queries, [event.message for event in found.events if event.warning]


def test_templates_come_after_all_others() -> None:
    template = {"templateRef": {"name": "t"}, "thresholdRange": {"max": 1}}
    metrics = [{"name": "a", **template}, within(SUCCESS, min=1), {"name": "b", "query": "up"}]
    assert asked(metrics) == ([f"builtin {SUCCESS}", "inline b", "template a"], [])


def test_the_first_bad_one_ends_the_check() -> None:
    metrics = [{"name": name, "query": "up"} for name in "abc"]
    queries, warnings = asked(metrics, b=Reading(value=1.0))
    assert queries == ["inline a", "inline b"]
    assert warnings == ["Halt podinfo.test advancement b 1.00 > 0"]


def test_a_metric_without_any_query_fails() -> None:
    assert asked([{"name": "typo"}]) == (
        [],
        ["Metric query failed for no usable metrics template and query were configured"],
    )


def test_a_built_in_name_with_a_template_is_checked_twice() -> None:
    queries, _ = asked([{**within(SUCCESS, min=1), "templateRef": {"name": "mine"}}])
    assert queries == [f"builtin {SUCCESS}", f"template {SUCCESS}"]


def test_before_the_first_traffic_nothing_is_measured() -> None:
    found = ticks(podinfo(metrics=[{"name": "a", "query": "up"}]), seen(V1), (2, seen(V2)))
    assert not [done for tick in found for done in tick.log if isinstance(done.step, Measure)]


def test_metric_servers_are_looked_for_at_the_beginning_only() -> None:
    offline = seen(V1, metrics_online=Answer(ok=False, reason="prometheus not avaiable: refused"))
    first, second = ticks(podinfo(), offline, offline)
    assert messages(first)[0] == "Error checking metric providers: prometheus not avaiable: refused"
    assert messages(second) == []
