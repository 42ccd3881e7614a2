"""Some users see v2, chosen by header or cookie; every one of their requests, and nobody else's."""

from __future__ import annotations

import pytest

from meshtest import Mesh, RolloutFailed, no_downtime, reached

pytestmark = pytest.mark.mesh_apply("bookshop.yaml")


@pytest.mark.mesh_apply("audience.yaml")
@pytest.mark.parametrize("header", ["end-user: jason", "cookie: group=b", "cookie: theme=dark; group=b; lang=en"])
def test_the_audience_sees_v2(mesh: Mesh, header: str) -> None:
    mesh.load("GET http://reviews/", rps=500, requests=50, headers=[header]).run()
    mesh.verify(no_downtime(), reached(host="reviews", exactly="v2"))


@pytest.mark.mesh_apply("audience.yaml")
@pytest.mark.parametrize("header", ["", "end-user: jasonine", "cookie: group=a", "cookie: group=beta; ingroup=b"])
def test_everyone_else_sees_v1(mesh: Mesh, header: str) -> None:
    mesh.load("GET http://reviews/", rps=500, requests=50, headers=[header] if header else []).run()
    mesh.verify(no_downtime(), reached(host="reviews", exactly="v1"))


@pytest.mark.mesh_apply("audience.yaml")
def test_the_choice_travels_with_the_request(mesh: Mesh) -> None:
    mesh.load("GET http://page/", rps=500, requests=50, headers={"end-user": "jason"}).run()
    mesh.verify(no_downtime(), reached(host="reviews", exactly="v2"))


@pytest.mark.mesh_apply("audience.yaml")
def test_the_audience_stays_while_everyone_else_is_shifted(mesh: Mesh) -> None:
    mesh["reviews"].match(to="v1", headers={"end-user": "ada"})
    mesh["reviews"].shift(v2=100)
    ada = mesh.load("GET http://reviews/", rps=500, requests=50, headers={"end-user": "ada"}).run()
    others = mesh.load("GET http://reviews/", rps=500, requests=50).run()
    assert (ada.versions, others.versions) == ({"v1"}, {"v2"})
    mesh.verify(no_downtime())


@pytest.mark.mesh_apply("planted_greedy_regex.yaml")
def test_a_rule_that_takes_other_users_too_is_caught(mesh: Mesh) -> None:
    mesh.load("GET http://reviews/", rps=500, requests=50, headers={"cookie": "group=beta"}).run()
    with pytest.raises(RolloutFailed, match=r"reached: .*v2 \(50\) served but must not"):
        mesh.verify(reached(host="reviews", exactly="v1"))


@pytest.mark.mesh_apply("planted_no_space.yaml")
def test_a_rule_that_misses_its_users_is_caught(mesh: Mesh) -> None:
    mesh.load("GET http://reviews/", rps=500, requests=50, headers={"cookie": "theme=dark; group=b"}).run()
    with pytest.raises(RolloutFailed, match=r"reached: .*v2 served none"):
        mesh.verify(reached(host="reviews", exactly="v2"))
