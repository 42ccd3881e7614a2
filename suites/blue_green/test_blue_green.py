"""Two releases side by side: users move from blue to green by weights, and back when green disappoints."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshtest import Mesh, RolloutFailed, no_downtime

HERE = Path(__file__).parent

pytestmark = pytest.mark.mesh_apply("shop.yaml")


def test_users_move_to_green_gradually_and_back(mesh: Mesh) -> None:
    shop = mesh["shop"]
    with mesh.load("GET http://shop/", rps=500) as load:
        for percent in (25, 50, 100, 50, 0):
            with mesh.step(f"green at {percent}%"):
                shop.shift(green=percent)
                load.until(requests=200)
                assert load.here.share("green") == mesh.about(percent, error=1e-6)
    mesh.verify(no_downtime())


def test_a_broken_green_is_caught_and_going_back_ends_it(mesh: Mesh) -> None:
    mesh.apply(HERE / "planted_broken_green.yaml")
    shop = mesh["shop"]
    with mesh.load("GET http://shop/", rps=500) as load:
        shop.shift(green=100)
        load.until(requests=50)
        with pytest.raises(RolloutFailed, match=r"FAIL: no_downtime: \d+ of \d+ failed"):
            mesh.verify(no_downtime())
        shop.shift(blue=100)
        load.until(requests=100)
        assert load.here.failures == []


def test_a_blue_that_was_cleared_away_too_early_is_caught(mesh: Mesh) -> None:
    shop = mesh["shop"]
    with mesh.load("GET http://shop/", rps=500) as load:
        shop.shift(green=100)
        shop["blue"].scale(0)  # planted: cleared away before green is proven
        load.until(requests=50)
        assert load.failures == []  # so far so good: green carries everyone
        shop.shift(blue=100)  # and now the way back leads nowhere
        load.until(requests=50)
    with pytest.raises(RolloutFailed, match=r"FAIL: no_downtime: .*\(503 UH"):
        mesh.verify(no_downtime())
