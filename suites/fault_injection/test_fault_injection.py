"""Break a service the cart depends on, for marked requests only, and see what users notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshtest import Mesh, RolloutFailed, fault_bit, no_downtime

HERE = Path(__file__).parent
TEST = {"x-test": "broken-price"}

pytestmark = pytest.mark.mesh_apply("cart.yaml")


def test_a_delay_is_felt_by_marked_requests_only(mesh: Mesh) -> None:
    with mesh.fault("price", delay="400ms", headers=TEST):
        testers = mesh.load("GET http://cart/", rps=300, requests=60, headers=TEST).run()
        users = mesh.load("GET http://cart/", rps=300, requests=60).run()
    assert testers.p50() >= 0.4 > users.p50()
    mesh.verify(no_downtime(), fault_bit())


def test_the_cart_does_without_prices(mesh: Mesh) -> None:
    with mesh.fault("price", abort=503, headers=TEST):
        mesh.load("GET http://cart/", rps=300, requests=60, headers=TEST).run()
    mesh.verify(no_downtime(), fault_bit())


def test_when_the_fault_ends_nothing_is_left_of_it(mesh: Mesh) -> None:
    before = mesh.documents
    with mesh.fault("price", abort=503):
        broken = mesh.load("GET http://price/", rps=500, requests=50).run()
    healed = mesh.load("GET http://price/", rps=500, requests=50).run()
    assert len(broken.failures) == 50
    assert healed.failures == []
    assert mesh.documents == before


def test_a_cart_that_cannot_do_without_prices_is_caught(mesh: Mesh) -> None:
    mesh.apply(HERE / "planted_fragile_cart.yaml")
    with mesh.fault("price", abort=503, headers=TEST):
        mesh.load("GET http://cart/", rps=300, requests=60, headers=TEST).run()
    with pytest.raises(RolloutFailed, match=r"no_downtime: 60 of 60 failed.*\(502 FI"):
        mesh.verify(no_downtime())


def test_a_fault_that_hits_everyone_is_caught(mesh: Mesh) -> None:
    mesh.apply(HERE / "planted_fragile_cart.yaml")
    with mesh.fault("price", abort=503):  # planted: headers=TEST is missing
        mesh.load("GET http://cart/", rps=300, requests=60).run()
    with pytest.raises(RolloutFailed, match=r"no_downtime: 60 of 60 failed.*\(502 FI"):
        mesh.verify(no_downtime())


def test_a_fault_that_never_bit_proves_nothing(mesh: Mesh) -> None:
    with mesh.fault("price", abort=503, headers=TEST):
        mesh.load("GET http://cart/", rps=300, requests=60).run()  # planted: no request carries the header
    with pytest.raises(RolloutFailed, match="UNKNOWN: fault_bit: price left no evidence of having bitten"):
        mesh.verify(no_downtime(), fault_bit())
