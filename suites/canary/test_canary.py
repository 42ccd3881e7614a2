"""Canaries of Flagger, each kind of them, rehearsed: a good version is promoted, a planted bad one rolled back.

   users ──► service ──┬──► primary   what runs
                       └──► canary    what is to come: v2 is good, v3 (planted) fails nearly always

Production's 10 s between two checks are a sixth of a second here. Nobody loses a request but by v3 itself, and no more
users meet it than the weights allow.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from meshtest import Mesh, about
from meshtest.mesh.canary.rehearsal import Rehearsing
from meshtest.model.rehearsal import Rehearsal, TickRow

HERE = Path(__file__).parent
SPEED = 60
USERS = "GET / 150rps"
BAD = {"meshtest.dev/errors": "503:90"}
"""So bad that no check can miss it by chance, few as the requests of a sixth of a second are."""
EVIDENCE = 60
"""Requests that tell a share from one that is 45 points off, with an error of one in a million."""
SOME = 20
"""Requests of all users after which a check of a bad version cannot be without a failure."""

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus: apt install prometheus")


def rehearsing(mesh: Mesh, name: str, *traffic: str) -> Rehearsing:
    return mesh.canary(HERE / f"{name}.yaml", speed=SPEED, traffic=traffic or (USERS,))


def assert_promoted(found: Rehearsal) -> None:
    assert found.promoted, str(found)
    assert (found.failed, found.ticks[-1].phase) == (0, "Succeeded")


def assert_rolled_back(found: Rehearsal, *, share: int) -> None:
    """`share`: percent of the users that may meet it at most, for as long as it is there."""
    assert found.rolled_back, str(found)
    assert (found.ticks[-1].phase, found.ticks[-1].routes) == ("Failed", "100/0")
    assert found.exposed <= at_most(found.requests, share), str(found)
    assert found.failed == found.exposed_failed, f"whom it did not serve, it cannot fail: {found}"


def at_most(requests: int, percent: int) -> float:
    """More would be chance less than once in a million."""
    share = percent / 100
    return requests * share + 5 * math.sqrt(requests * share * (1 - share))


def hooks(found: Rehearsal) -> Mapping[str, bool]:
    """By type, the last answer."""
    return {called.type: called.ok for row in found.ticks for called in row.hooks}


def patient(mesh: Mesh, requests: int = SOME) -> Callable[[TickRow], None]:
    """To be told of each tick: until it is decided, the next one waits for so many requests of each load."""
    before = len(mesh.loads)

    def wait(row: TickRow) -> None:
        if row.phase == "Progressing":
            with mesh.step(f"tick {row.number}: {row.routes}"):
                for load in mesh.loads[before:]:
                    load.until(requests=requests)

    return wait


def shift(mesh: Mesh, name: str) -> tuple[Rehearsal, Rehearsal]:
    """A good version and a bad one; what each weight said is tested by the requests that it really got."""
    canary, weights = rehearsing(mesh, name), []

    def look(row: TickRow) -> None:
        if row.phase == "Progressing" and row.weight:
            load = mesh.loads[-1]
            with mesh.step(f"tick {row.number}: {row.routes}"):
                asked = EVIDENCE
                load.until(requests=asked)
                while len(load.here) < EVIDENCE:  # a request that takes long holds back those behind it
                    load.until(requests=(asked := asked + 10))
                assert load.here.share(name) == about(row.weight, error=1e-6, resolution=45)
            weights.append(row.weight)

    good = canary.run(to="v2", told=look)
    assert_promoted(good)
    assert set(weights) == {30, 60}
    bad = canary.run(to="v3", annotations=BAD, told=patient(mesh))
    assert_rolled_back(bad, share=60)
    return good, bad


def test_istio_shifts_users_step_by_step_and_a_gate_has_the_last_word(mesh: Mesh) -> None:
    good, bad = shift(mesh, "cart")
    assert hooks(good) == {"confirm-promotion": True}
    assert hooks(bad) == {}, "nobody is asked about a version that has failed"


def test_linkerd_shifts_users_by_a_route_and_is_asked_by_a_query_of_ones_own(mesh: Mesh) -> None:
    good, _ = shift(mesh, "stock")
    assert {metric.name for row in good.ticks for metric in row.metrics} == {"failures"}


def test_gateway_api_shifts_users_from_outside(mesh: Mesh) -> None:
    shift(mesh, "front")


def test_blue_green_is_tested_by_its_own_name_before_a_user_sees_it(mesh: Mesh) -> None:
    canary = rehearsing(mesh, "mail")
    good = canary.run(to="v2", told=patient(mesh))
    assert_promoted(good)
    assert hooks(good) == {"pre-rollout": True}
    assert set(mesh.loads[0].all.versions) == {"mail-primary"}, "users get it only as the new primary"
    assert_rolled_back(canary.run(to="v3", annotations=BAD, told=patient(mesh)), share=0)


def test_ab_testing_shows_it_to_testers_and_to_nobody_else(mesh: Mesh) -> None:
    header, cookie = "GET / 50rps x-group:testers", "GET / 50rps cookie:group=testers"
    canary = rehearsing(mesh, "search", "GET / 50rps", header, cookie)
    assert_promoted(canary.run(to="v2", told=patient(mesh)))
    assert_rolled_back(canary.run(to="v3", annotations=BAD, told=patient(mesh)), share=75)
    for everyone, *testers in (mesh.loads[:3], mesh.loads[3:]):
        assert set(everyone.all.versions) == {"search-primary"}
        assert all("search" in load.all.versions for load in testers)


def test_a_mirror_shows_it_copies_and_users_never_get_a_bad_one(mesh: Mesh) -> None:
    canary = rehearsing(mesh, "tax")
    good = canary.run(to="v2", told=patient(mesh))
    assert_promoted(good)
    assert any(row.routes == "100/0 mirrored" for row in good.ticks)
    bad = canary.run(to="v3", annotations=BAD, told=patient(mesh))
    assert_rolled_back(bad, share=0)
    assert "success rate" in bad.reason, "its copies have failed"
