"""What the proxies are told about tracing: by whom they speak, how they sample, where spans go."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import json_format
from meshtest_envoy.ads import descriptors
from meshtest_envoy.xds import listeners
from meshtest_envoy.xds.names import TYPE_URL
from meshtest_envoy.xds.resources import Json
from meshtest_envoy.xds.tracing import CLUSTER, Tracing, gateway, service

from meshtest.model.route import Door
from meshtest.model.service import Container, Workload
from meshtest.settings import Settings
from meshtest.spi.telemetry import PROXY_TAG, Collector

COLLECTOR = Collector("http://127.0.0.1:4318", "127.0.0.1:4318")
LISTENER = listeners.outbound("default/web-v1", "default", 1234, "/dev/null", "spiffe://cluster.local/x")
SPEAKER = "web.default/v1//outbound"


def traced(listener: Json = LISTENER, **settings: Any) -> Json:
    return Tracing.of(COLLECTOR, Settings(**settings)).on(listener, SPEAKER)


def tracing(listener: Json) -> Json:
    """Of its only connection manager."""
    (found,) = [f["typed_config"]["tracing"] for f in listener["filter_chains"][0]["filters"] if "manager" in f["name"]]
    return dict(found)


@pytest.mark.parametrize(("collector", "traces"), [(None, "all"), (COLLECTOR, "off")])
def test_nobody_to_tell_or_nothing_to_be_told_is_no_tracing(collector: Collector | None, traces: str) -> None:
    assert not Tracing.of(collector, Settings(traces=traces))


def test_the_speaker_is_one_tag() -> None:
    found = tracing(traced())
    assert {"tag": PROXY_TAG, "literal": {"value": SPEAKER}} in found["custom_tags"]
    assert found["spawn_upstream_span"]


def test_an_inbound_proxy_tells_one_span() -> None:
    made = traced({**LISTENER, "name": "inbound_web-v1-0_8080"})
    assert not tracing(made)["spawn_upstream_span"]
    assert (made["traffic_direction"], traced()["traffic_direction"]) == ("INBOUND", "OUTBOUND")


def test_who_carries_no_trace_is_sampled_as_the_setting_says() -> None:
    some, every = (tracing(traced(traces=traces))["provider"]["typed_config"] for traces in ("sampled", "all"))
    ratio = some["sampler"]["typed_config"]["wrapped_sampler"]["typed_config"]["sampling_percentage"]
    assert ratio == {"numerator": 1, "denominator": "HUNDRED"}
    assert "sampler" not in every


@pytest.mark.parametrize("settings", [{}, {"traces": "all"}, {"trace_headers": "b3"}])
def test_what_is_put_together_from_parts_is_the_whole(settings: dict[str, str]) -> None:
    """descriptors.parse does not parse again what proxies share."""
    listener = traced(**settings)
    packed: Any = descriptors.parse(listener)
    parsed = descriptors.message_class(descriptors.LISTENER.removeprefix(TYPE_URL)).FromString(packed.value)
    whole = descriptors.message_class("google.protobuf.Any")()
    json_format.ParseDict(listener, whole, descriptor_pool=descriptors.pool())
    again = descriptors.message_class(descriptors.LISTENER.removeprefix(TYPE_URL)).FromString(whole.value)
    assert told(parsed) == told(again)


def told(message: Any) -> Any:
    """As JSON, tags in one order."""
    data = json_format.MessageToDict(message, descriptor_pool=descriptors.pool())
    for chain in data["filterChains"]:
        for item in chain["filters"]:
            if tags := item["typedConfig"].get("tracing", {}).get("customTags"):
                tags.sort(key=lambda tag: tag["tag"])
    return data


def test_the_collector_is_a_cluster_of_its_own() -> None:
    made = Tracing.of(COLLECTOR, Settings()).cluster()
    assert made["name"] == CLUSTER
    descriptors.parse(made)


def test_names_are_istio_s() -> None:
    workload = Workload(
        name="web-v1", namespace="shop", labels={"app": "web"}, containers=(Container(name="c", image="web:1"),)
    )
    assert service(workload) == "web.shop"
    assert gateway(Door(80)) == "istio-ingressgateway.istio-system"
    assert gateway(Door(80, "infra/front")) == "front-istio.infra"
