"""A k6 script through the real mesh: the same handle as the prober's, every request found in the proxies' logs."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshtest import Mesh, no_downtime
from meshtest.model.verdict import Outcome

SMOKE = Path(__file__).parents[2] / "suites" / "smoke" / "web.yaml"
SCRIPT = """
import http from 'k6/http';
import { sleep } from 'k6';
export default function () { http.get('http://web/shop'); sleep(0.01); }
"""


@pytest.mark.mesh_apply(SMOKE)
def test_a_script_during_a_shift(mesh: Mesh, tmp_path: Path) -> None:
    script = tmp_path / "shop.js"
    script.write_text(SCRIPT)
    with mesh.load(k6=script, vus=4, seconds=60) as load:
        load.until(requests=30)
        mesh["web"].shift(v2=100)
        load.until(requests=30)
        assert load.here.versions == {"v2"}
    assert load.failures == []
    assert load.versions == {"v1", "v2"}
    entered = {hop.request_id for hop in mesh.hops() if hop.direction == "outbound"}
    assert {r.id for r in load.requests if r.answered} <= entered
    assert {hop.path for hop in mesh.hops()} == {"/shop"}
    finding = mesh.judge(no_downtime()).findings[0]
    assert finding.outcome is Outcome.UNKNOWN, "users who wait for answers are no proof that nothing happened"
