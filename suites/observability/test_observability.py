"""What traces show of a rollout: the way each request took, where its time went, and errors that nobody was told."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshtest import (
    Mesh,
    RolloutFailed,
    fault_bit,
    mirrored,
    no_downtime,
    no_hidden_errors,
    span_duration,
    trace_path,
    traces_complete,
    traces_propagated,
)

HERE = Path(__file__).parent
SHOP = "GET http://shop.example.com/cart"
SLOW = {"x-test": "slow"}

pytestmark = [pytest.mark.mesh_apply("shop.yaml"), pytest.mark.mesh(traces="all")]


@pytest.mark.parametrize("steps", [(20, 50, 100), (100,)], ids=["canary", "blue-green"])
def test_a_shift_has_zero_downtime_and_whole_traces(mesh: Mesh, steps: tuple[int, ...]) -> None:
    web = mesh["web"]
    with mesh.load(SHOP, rps=60) as load:
        for percent in steps:
            with mesh.step(f"v2 at {percent}%"):
                web.shift(v2=percent)
                load.until(requests=30)
        web["v1"].terminate()
        load.until(requests=10)
    assert load.failures == []
    ways = [["gateway", f"web@{version}", "price@v1"] for version in ("v1", "v2")]
    mesh.verify(no_downtime(), traces_complete(), traces_propagated(), trace_path(paths=ways), no_hidden_errors())


def test_a_rollout_survives_a_slow_price_service(mesh: Mesh) -> None:
    load = mesh.load(SHOP, rps=30, headers=SLOW)
    with mesh.fault("price", delay="150ms", headers=SLOW), load:
        for percent in (50, 100):  # by hand, as Flagger would step a Canary
            mesh["web"].shift(v2=percent)
            load.until(requests=15)
    trace = load.slowest(version="v2").trace  # waits until the trace is complete
    assert trace.path == ["gateway", "web@v2", "price@v1"]
    assert trace["price@v1"].fault == "delay"
    assert trace["web@v2"].retries == 0
    assert trace["price@v1"].seconds >= 0.15
    mesh.verify(no_downtime(), fault_bit(), traces_complete())


def test_a_dark_launch_is_in_no_trace_of_a_user(mesh: Mesh) -> None:
    web = mesh["web"]
    web.mirror("v1", to="v2", percent=100)
    with mesh.fault("web@v2", abort=500, percent=30):
        load = mesh.load(SHOP, concurrency=4, requests=120).run()
    assert load.versions == {"v1"}
    assert load.failures == []
    assert web["v2"].shadow.requests == 120
    assert not mesh.traces.of_loads.where(service="web", version="v2")
    mesh.verify(no_downtime(), mirrored(host="web", to="v2"), trace_path(paths=[["gateway", "web@v1", "price"]]))


def test_a_service_that_drops_the_trace_context_is_caught(mesh: Mesh) -> None:
    mesh.apply(HERE / "planted_drops_headers.yaml")
    mesh["web"].shift(v2=100)
    mesh.load(SHOP, concurrency=4, requests=30).run()
    mesh.verify(no_downtime())  # users notice nothing ...
    with pytest.raises(RolloutFailed, match="web did not forward traceparent to price: 30 broken traces"):
        mesh.verify(traces_propagated())  # ... and nobody would ever find out why price is slow


def test_a_slow_dependency_is_named(mesh: Mesh) -> None:
    mesh.apply(HERE / "planted_slow_price.yaml")
    mesh.load(SHOP, concurrency=4, requests=30).run()
    with pytest.raises(RolloutFailed, match=r"p50 of web is .* ms, limit 100 ms; price@v1 took \d+.* % of that time"):
        mesh.verify(span_duration(service="web", below=0.1, p=0.5))


def test_an_error_that_only_traces_show_is_caught(mesh: Mesh) -> None:
    mesh.apply(HERE / "planted_silent_error.yaml")
    load = mesh.load(SHOP, concurrency=4, requests=30).run()
    assert load.failures == []
    expected = r"30 of 30 good answers hid an error: price@v1 \(stripe charge.*\) in 30, first load1-\d+"
    with pytest.raises(RolloutFailed, match=expected):
        mesh.verify(no_hidden_errors())
    (failed,) = {span.name for span in mesh.traces.errors}
    assert failed == "stripe charge"


def test_requests_that_were_not_traced_prove_nothing(mesh: Mesh) -> None:
    mesh.load(SHOP, concurrency=4, requests=20, sampled=0.0).run()  # planted: the load asks for no trace
    with pytest.raises(RolloutFailed, match="UNKNOWN: no_hidden_errors: none of 20 requests was sampled"):
        mesh.verify(no_hidden_errors())
