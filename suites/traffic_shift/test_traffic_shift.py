"""Move traffic from v1 to v2, step by step or at once, under load, and prove that no user noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshtest import Mesh, RolloutFailed, latency, no_downtime, split

HERE = Path(__file__).parent

pytestmark = pytest.mark.mesh_apply("web.yaml")


@pytest.mark.parametrize("steps", [(20, 50, 100), (100,)], ids=["canary", "at-once"])
def test_shift_has_zero_downtime(mesh: Mesh, steps: tuple[int, ...]) -> None:
    web = mesh["web"]  # hosts and versions come from the YAML
    with mesh.load("GET http://web/", rps=500) as load:
        for percent in steps:
            with mesh.step(f"v2 at {percent}%"):
                web.shift(v2=percent)  # returns when the data plane serves it
                load.until(requests=300)  # waits for evidence, not for time
                assert load.here.share("v2") == mesh.about(percent, error=1e-6)  # an exact test, not +-5
        web["v1"].terminate()  # as a kubelet does: out of the endpoints, SIGTERM, grace period
        load.until(seconds=0.1)
    assert load.failures == []  # each with its time, version and cause
    assert mesh.resets == 0  # not even one that a retry made good
    mesh.verify(no_downtime())


def test_the_new_version_is_as_fast_as_the_old(mesh: Mesh) -> None:
    mesh["web"].shift(v2=50)  # side by side, so that both see the same machine
    mesh.load("GET http://web/", rps=300, requests=150).run()
    mesh.verify(latency(p=0.5, version="v2", relative_to="v1", ratio=2))


def test_a_slow_version_is_caught(mesh: Mesh) -> None:
    mesh.apply(HERE / "planted_slow_v2.yaml")
    mesh["web"].shift(v2=50)
    mesh.load("GET http://web/", rps=300, requests=150).run()
    with pytest.raises(RolloutFailed, match=r"FAIL: latency: p50 of v2 is .* ms, v1 has .* ms, 2 times that"):
        mesh.verify(latency(p=0.5, version="v2", relative_to="v1", ratio=2))


def test_a_version_that_drops_requests_on_sigterm_is_caught(mesh: Mesh) -> None:
    mesh.apply(HERE / "planted_abrupt_v1.yaml")
    web = mesh["web"]
    with mesh.load("GET http://web/", rps=500) as load:
        load.until(requests=50)
        web.shift(v2=100)  # what is new goes to v2 ...
        web["v1"].terminate()  # ... but v1 still had some to answer
        load.until(requests=50)
    with pytest.raises(RolloutFailed, match=r"FAIL: no_downtime: \d+ of \d+ failed .*503 UC"):
        mesh.verify(no_downtime())
    assert {failure.request.version for failure in load.failures} == {"v1"}


@pytest.mark.mesh(propagation=0.3)
def test_a_version_that_ends_before_its_users_are_gone_is_caught(mesh: Mesh) -> None:
    web = mesh["web"]
    with mesh.load("GET http://web/", rps=500) as load:
        web.shift(v2=50)
        load.until(requests=50)
        web["v1"].terminate(grace=0)  # planted: half of the users are still on v1
        load.until(seconds=0.8)
    with pytest.raises(RolloutFailed, match=r"FAIL: no_downtime: \d+ of \d+ failed"):
        mesh.verify(no_downtime())
    flags = {flag for failure in load.failures for flag in failure.flags}
    assert {"UF", "UH"} <= flags  # for 0.3 s the proxies call somebody who is gone; then they know of nobody


def test_a_wrong_weight_is_caught(mesh: Mesh) -> None:
    mesh.apply(HERE / "planted_wrong_weights.yaml")  # 70/30, and the plan says 90/10
    load = mesh.load("GET http://web/", rps=500, requests=300).run()
    with pytest.raises(RolloutFailed, match=r"FAIL: split: web v2 got .*, intended 10 % \(p = "):
        mesh.verify(split(host="web", weights={"v1": 90, "v2": 10}))
    assert load.share("v2") == mesh.about(30, error=1e-6)
