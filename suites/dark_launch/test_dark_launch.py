"""v2 gets a copy of the users' requests. It may be wrong, slow or down: users never see it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from meshtest import Mesh, RolloutFailed, fault_bit, latency, mirrored, no_downtime

HERE = Path(__file__).parent
CARELESS = f"{sys.executable} {HERE / 'planted_careless_web.py'} {{port}}"

pytestmark = pytest.mark.mesh_apply("web.yaml")


def test_dark_launch_is_invisible_to_users(mesh: Mesh) -> None:
    web = mesh["web"]
    web.mirror("v1", to="v2", percent=100)
    with mesh.fault("web@v2", abort=500, percent=30):  # the dark version may fail ...
        load = mesh.load("GET http://web/", rps=500, requests=500).run()
    assert load.versions == {"v1"}  # ... and nobody sees it
    assert load.failures == []
    assert web["v2"].shadow.requests == 500
    client = mesh.graph()["client"]
    assert client.calls["web@v1"].requests == client.mirrors["web@v2"].requests == 500
    assert client.calls["web@v1"].failed == 0
    difference = web["v2"].shadow.diff(web["v1"], ignore=["body-size"])
    assert difference.share == mesh.about(30, error=1e-6)
    assert mesh["orders"].writes(by="web@v2") == 0  # no double side effects
    mesh.verify(no_downtime(), mirrored(host="web", to="v2"), fault_bit())


def test_a_part_of_the_traffic_can_be_mirrored(mesh: Mesh) -> None:
    mesh["web"].mirror("v1", to="v2", percent=25)
    mesh.load("GET http://web/", rps=500, requests=300).run()
    mesh.verify(no_downtime(), mirrored(host="web", to="v2", percent=25, error=1e-6))


def test_a_slow_shadow_does_not_slow_users(mesh: Mesh) -> None:
    mesh["web"].mirror("v1", to="v2")
    with mesh.fault("web@v2", delay="300ms"):
        mesh.load("GET http://web/", rps=200, requests=100).run()
    mesh.verify(no_downtime(), latency(p=0.5, below=0.3), mirrored(host="web", to="v2"), fault_bit())


def test_a_mirror_that_answers_users_is_caught(mesh: Mesh) -> None:
    mesh.apply(HERE / "planted_weight.yaml")
    mesh.load("GET http://web/", rps=500, requests=200).run()
    with pytest.raises(RolloutFailed, match=r"FAIL: mirrored: v2 answered \d+ requests of users"):
        mesh.verify(mirrored(host="web", to="v2"))


@pytest.mark.mesh(images={"example/web:2.0": CARELESS})
def test_a_shadow_that_places_orders_is_caught(mesh: Mesh) -> None:
    mesh["web"].mirror("v1", to="v2")
    load = mesh.load("GET http://web/", rps=200, requests=50).run()
    assert load.failures == []  # users noticed nothing ...
    assert mesh["orders"].writes(by="web@v2") > 0  # ... but the warehouse did
