"""Canaries of Flagger, each kind of them, rehearsed: a good version is promoted, a planted bad one rolled back.

   users ──► service ──┬──► primary   what runs
                       └──► canary    what is to come: v2 is good, v3 fails nearly always

Production's 10 s between two checks are a fraction of a second here. Nobody lost a request but by v3 itself.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from meshtest import Mesh, split
from meshtest.mesh.canary.rehearsal import Rehearsing
from meshtest.model.rehearsal import Rehearsal

HERE = Path(__file__).parent
SPEED = 60
USERS = "GET / 400rps"
BAD = {"meshtest.dev/errors": "503:90"}
"""So bad that a check cannot miss it by chance, few as its requests are."""

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus: apt install prometheus")


def rehearsing(mesh: Mesh, manifest: str, *traffic: str) -> Rehearsing:
    return mesh.canary(HERE / manifest, speed=SPEED, traffic=traffic or (USERS,))


def weights(found: Rehearsal) -> list[str]:
    """Primary/canary, each pair once, while it was analysed."""
    return list(dict.fromkeys(row.routes for row in found.ticks if row.phase == "Progressing"))


def assert_promoted(found: Rehearsal) -> None:
    assert found.promoted, str(found)
    assert (found.failed, found.ticks[-1].phase) == (0, "Succeeded")
    assert found.exposed, "users have seen it before"


def assert_rolled_back(found: Rehearsal, *, share: int) -> None:
    """Of the users no more than `share` percent ever met it."""
    assert found.rolled_back, str(found)
    assert (found.ticks[-1].phase, found.ticks[-1].routes) == ("Failed", "100/0")
    assert found.exposed <= at_most(found.requests, share), str(found)
    assert found.failed == found.exposed_failed, "and whom it failed, it served"


def at_most(requests: int, percent: int) -> float:
    """More of them is chance once in a million."""
    share = percent / 100
    return requests * share + 5 * math.sqrt(requests * share * (1 - share)) + 1


@pytest.mark.parametrize(
    ("manifest", "host"),
    [("cart.yaml", "cart"), ("stock.yaml", "stock"), ("price.yaml", "price"), ("front.yaml", "front")],
    ids=["istio", "linkerd-gateway-api", "linkerd-smi", "gateway-api"],
)
def test_users_are_shifted_by_weight(mesh: Mesh, manifest: str, host: str) -> None:
    canary = rehearsing(mesh, manifest)
    good = canary.run(to="v2")
    assert_promoted(good)
    assert weights(good) == ["100/0", "70/30", "40/60"]
    mesh.verify(split(host=host, error=1e-6, resolution=0.4))
    bad = canary.run(to="v3", annotations=BAD)
    assert_rolled_back(bad, share=60)
