"""The same rollout by HTTPRoutes: of users at a Gateway, and of callers in the mesh (GAMMA)."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshtest import Mesh, RolloutFailed, mirrored, no_downtime, reached, split

HERE = Path(__file__).parent
USERS = "GET http://shop.example.com/"
FRONT = "default/front/80"
INSIDE = "GET http://web/"

pytestmark = pytest.mark.mesh_apply("shop.yaml")


@pytest.mark.mesh_apply("front.yaml", "mesh.yaml")
def test_a_canary_is_shifted_at_the_gateway_and_in_the_mesh(mesh: Mesh) -> None:
    with (
        mesh.load(USERS, source=FRONT, rps=150) as users,
        mesh.load(INSIDE, source="report", rps=150) as report,
    ):
        users.until(requests=120)
        report.until(requests=120)
        for share in (50, 100):
            with mesh.step(f"{share} %"):
                mesh["web"].shift(v2=share)
                users.until(requests=120)
                report.until(requests=120)
        assert users.here.versions == report.here.versions == {"v2"}
    mesh.verify(no_downtime(), split(host="web", error=1e-6))  # no request lost, and each step as its routes say


@pytest.mark.mesh_apply("front.yaml")
def test_testers_get_the_canary_and_users_do_not(mesh: Mesh) -> None:
    web = mesh["web"]
    web.shift(v1=100)
    web.match(headers={"x-tester": "yes"}, to="v2")
    testers = mesh.load(USERS, source=FRONT, headers={"x-tester": "yes"}, rps=300, requests=50).run()
    users = mesh.load(USERS, source=FRONT, rps=300, requests=50).run()
    assert (testers.versions, users.versions) == ({"v2"}, {"v1"})
    mesh.verify(no_downtime())


@pytest.mark.mesh_apply("mesh.yaml")
def test_a_mirror_shows_v2_the_traffic_and_users_only_v1(mesh: Mesh) -> None:
    mesh["web"].mirror("v1", to="v2")
    load = mesh.load(INSIDE, source="report", rps=300, requests=120).run()
    assert load.versions == {"v1"}
    mesh.verify(no_downtime(), mirrored(host="web", to="v2"))


@pytest.mark.mesh_apply("stock.yaml", "grant.yaml")
def test_a_backend_of_another_namespace_is_reached_by_its_grant(mesh: Mesh) -> None:
    mesh.load(USERS + "stock/1", source=FRONT, rps=300, requests=30).run()
    mesh.verify(no_downtime(), reached(host="stock", exactly="v1"))


@pytest.mark.mesh_apply("stock.yaml")
def test_a_missing_grant_is_caught(mesh: Mesh) -> None:
    assert any("no ReferenceGrant in namespace 'store'" in note.message for note in mesh.diagnostics)
    mesh.load(USERS + "stock/1", source=FRONT, rps=300, requests=30).run()
    with pytest.raises(RolloutFailed, match=r"no_downtime: 30 of 30 failed.*\(500"):
        mesh.verify(no_downtime())
    mesh.apply(HERE / "grant.yaml")
    assert mesh.load(USERS + "stock/1", source=FRONT, rps=300, requests=30).run().failures == []


@pytest.mark.mesh_apply("planted_swapped.yaml")
def test_swapped_weights_are_caught(mesh: Mesh) -> None:
    mesh.load(USERS, source=FRONT, rps=300, requests=100).run()
    with pytest.raises(RolloutFailed, match=r"FAIL: split: web v2 got .*, intended 25 % \(p = "):
        mesh.verify(split(host="web", weights={"v1": 75, "v2": 25}))


@pytest.mark.mesh_apply("planted_no_gateway.yaml")
def test_a_route_that_is_attached_to_nothing_is_caught(mesh: Mesh) -> None:
    assert any("fornt" in note.message for note in mesh.diagnostics)  # said before anything is sent
    mesh.load(USERS, source=FRONT, rps=300, requests=30).run()
    with pytest.raises(RolloutFailed, match=r"no_downtime: 30 of 30 failed.*\(404 NR"):
        mesh.verify(no_downtime())
