"""Journeys through the real mesh: the same handle as the prober's, every request found in the proxies' logs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from meshtest import Mesh, no_downtime
from meshtest.model.verdict import Outcome

SMOKE = Path(__file__).parents[2] / "suites" / "smoke" / "web.yaml"
JOURNEYS = Path(__file__).with_name("journeys.py")


@pytest.mark.mesh_apply(SMOKE)
def test_journeys_during_a_shift(mesh: Mesh) -> None:
    with mesh.load(locustfile=JOURNEYS, users=8, spawn_rate=100) as users:
        users.until(requests=50)
        mesh["web"].shift(v2=100)
        users.until(requests=50)
        assert users.here.versions == {"v2"}
        assert users.here.share("v2").percent == 100
    assert users.failures == []
    assert users.versions == {"v1", "v2"}
    assert users.p99() > 0
    entered = {hop.request_id for hop in mesh.hops() if hop.direction == "outbound"}
    assert {r.id for r in users.requests if r.answered} <= entered
    assert {hop.path for hop in mesh.hops()} == {"/", "/login", "/basket", "/pay"}
    finding = mesh.judge(no_downtime()).findings[0]
    assert finding.outcome is Outcome.UNKNOWN, "users who wait for answers are no proof that nothing happened"
    assert "all requests came from locust" in finding.sentence
    assert not {"locust", "gevent"} & sys.modules.keys()
