"""A canary as Linkerd's users release it, and what saves users from a bad one."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshtest import Mesh, RolloutFailed, fault_bit, no_downtime, split

HERE = Path(__file__).parent
WEB = "GET http://web/"

pytestmark = pytest.mark.mesh_apply("web.yaml")


@pytest.mark.mesh_apply("canary.yaml")
def test_a_canary_takes_over_without_a_lost_request(mesh: Mesh) -> None:
    with mesh.load(WEB, rps=300) as load:
        load.until(requests=220)
        for share in (50, 100):
            with mesh.step(f"{share} %"):
                mesh["web"].shift(v2=share)
                load.until(requests=220)
        assert load.here.versions == {"v2"}
    mesh.verify(no_downtime(), split(host="web", error=1e-6))


@pytest.mark.mesh_apply("split.yaml")
def test_a_traffic_split_of_smi_is_followed(mesh: Mesh) -> None:
    shared = mesh.load(WEB, rps=150, requests=200).run()
    mesh["web"].shift(v2=100)
    over = mesh.load(WEB, rps=100, requests=20).run()
    assert shared.share("v2") == mesh.about(25, error=1e-6)
    assert over.versions == {"v2"}
    mesh.verify(no_downtime())


@pytest.mark.mesh_apply("retries.yaml", "failing_canary.yaml")
def test_retries_save_users_from_a_failing_canary(mesh: Mesh) -> None:
    load = mesh.load(WEB, rps=200, requests=150).run()
    assert max(request.attempts for request in load.requests) > 1
    mesh.verify(no_downtime())


@pytest.mark.mesh_apply("canary.yaml", "failing_canary.yaml")
def test_without_retries_users_feel_it(mesh: Mesh) -> None:
    mesh.load(WEB, rps=300, requests=100).run()
    with pytest.raises(RolloutFailed, match=r"no_downtime: \d+ of 100 failed.*\(503"):
        mesh.verify(no_downtime())


@pytest.mark.mesh_apply("accrual.yaml")
def test_failure_accrual_takes_out_a_bad_pod(mesh: Mesh) -> None:
    with mesh.load("GET http://api/", rps=200) as load:
        load.until(requests=60)
        with mesh.step("taken out"):
            load.until(requests=60)
        assert load.here.versions == {"good"}
    assert 3 <= len(load.failures) < 60


@pytest.mark.mesh_apply("canary.yaml")
def test_a_fault_is_a_backend_that_fails_and_leaves_nothing(mesh: Mesh) -> None:
    before = mesh.documents
    with mesh.fault("web", abort=503, percent=50):
        broken = mesh.load(WEB, rps=300, requests=220).run()
    healed = mesh.load(WEB, rps=300, requests=50).run()
    assert broken.share("fault") == mesh.about(50, error=1e-6)
    assert healed.failures == []
    assert mesh.documents == before
    mesh.verify(fault_bit())


@pytest.mark.mesh_apply("planted_no_condition.yaml", "failing_canary.yaml")
def test_a_limit_without_a_condition_is_caught(mesh: Mesh) -> None:
    assert any("nothing is retried" in note.message for note in mesh.diagnostics)  # said before anything is sent
    load = mesh.load(WEB, rps=300, requests=100).run()
    assert {request.attempts for request in load.requests} == {1}
    with pytest.raises(RolloutFailed, match=r"no_downtime: \d+ of 100 failed"):
        mesh.verify(no_downtime())


@pytest.mark.mesh_apply("planted_short_timeout.yaml")
def test_a_timeout_that_is_too_short_is_caught(mesh: Mesh) -> None:
    mesh.load(WEB, rps=200, requests=30).run()
    with pytest.raises(RolloutFailed, match=r"no_downtime: 30 of 30 failed.*\(504 UT"):
        mesh.verify(no_downtime())
