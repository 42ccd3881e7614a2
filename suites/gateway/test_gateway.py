"""The same rollout seen by users who come in by the gateway (north-south) and by services in the mesh (east-west)."""

from __future__ import annotations

import pytest

from meshtest import Mesh, RolloutFailed, no_downtime, reached, split

pytestmark = pytest.mark.mesh_apply("shop.yaml")

OUTSIDE = "GET http://shop.example.com/"
INSIDE = "GET http://web/"


@pytest.mark.mesh_apply("routes.yaml")
def test_both_ways_in_get_the_same_split(mesh: Mesh) -> None:
    users = mesh.load(OUTSIDE, rps=500, requests=200).run()
    report = mesh.load(INSIDE, source="report", rps=500, requests=200).run()
    assert users.share("v2") == mesh.about(25, error=1e-6)
    assert report.share("v2") == mesh.about(25, error=1e-6)
    mesh.verify(no_downtime())


@pytest.mark.mesh_apply("routes.yaml")
def test_a_shift_reaches_both_ways_in(mesh: Mesh) -> None:
    with mesh.load(OUTSIDE, rps=250) as users, mesh.load(INSIDE, source="report", rps=250) as report:
        mesh["web"].shift(v2=100)
        for load in (users, report):
            load.until(requests=50)
            assert load.here.versions == {"v2"}
    mesh.verify(no_downtime())


@pytest.mark.mesh_apply("routes.yaml")
def test_a_path_has_a_service_of_its_own(mesh: Mesh) -> None:
    mesh.load(OUTSIDE + "api/books", rps=500, requests=50).run()
    mesh.verify(no_downtime(), reached(host="api", exactly="v1"))


@pytest.mark.mesh_apply("planted_no_route.yaml")
def test_a_path_without_a_route_is_caught(mesh: Mesh) -> None:
    mesh.load(OUTSIDE + "api/books", rps=500, requests=50).run()
    with pytest.raises(RolloutFailed, match=r"no_downtime: 50 of 50 failed.*\(404 NR"):
        mesh.verify(no_downtime())


@pytest.mark.mesh_apply("planted_gateway_only.yaml")
def test_callers_inside_that_bypass_the_split_are_caught(mesh: Mesh) -> None:
    report = mesh.load(INSIDE, source="report", rps=500, requests=200).run()
    with pytest.raises(RolloutFailed, match=r"FAIL: split: web v2 got .*, intended 25 % \(p = "):
        mesh.verify(split(host="web", weights={"v1": 75, "v2": 25}))
    assert report.share("v2") == mesh.about(50, error=1e-6)  # by pods: nobody told these callers otherwise
    users = mesh.load(OUTSIDE, rps=500, requests=200).run()
    assert users.share("v2") == mesh.about(25, error=1e-6)  # the gateway does as it was told
