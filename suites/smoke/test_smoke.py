"""The smallest whole story: one mesh, one shift under load, one verdict; and one defect that must not get through."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshtest import Mesh, RolloutFailed, no_downtime, reached

HERE = Path(__file__).parent

pytestmark = pytest.mark.mesh_apply("web.yaml")


def test_a_shift_under_load_loses_nothing(mesh: Mesh) -> None:
    with mesh.load("GET http://web/", rps=500) as load:
        load.until(requests=100)  # waits for evidence, not for time
        mesh["web"].shift(v2=100)  # returns when the data plane serves it
        load.until(requests=100)
        assert load.here.versions == {"v2"}
    mesh.verify(no_downtime(), reached(host="web", exactly=("v1", "v2")))


def test_a_broken_version_is_caught(mesh: Mesh) -> None:
    mesh.apply(HERE / "planted_broken_v2.yaml")
    mesh["web"].shift(v2=100)
    mesh.load("GET http://web/", rps=1000, requests=50).run()
    with pytest.raises(RolloutFailed, match=r"FAIL: no_downtime: \d+ of 50 failed"):
        mesh.verify(no_downtime())
