"""`with mesh.fault(...)`: in force inside the block, undone after it, whatever happened meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest import Mesh, UsageError
from meshtest.model.route import Fault
from meshtest.testing import FakeProvider

CALLERS = "http.outbound_client.fault.aborts_injected"
VERSION = "http.inbound_web-v2-0.fault.aborts_injected"


def faults(provider: FakeProvider) -> list[Fault | None]:
    return [route.fault for table in provider.topology.tables for route in table.routes]


def test_a_fault_for_callers_is_in_their_routes_until_the_block_ends(mesh: Mesh, provider: FakeProvider) -> None:
    documents = mesh.documents
    with mesh.fault("web", delay="800ms", percent=50):
        (fault,) = faults(provider)
        assert fault is not None
        assert fault.delay is not None
        assert (fault.delay.seconds, fault.delay.percent, fault.abort) == (0.8, 50, None)
    assert faults(provider) == [None]
    assert mesh.documents is documents, "back to the very same documents"


def test_one_for_some_users_leaves_the_rule_of_the_others_alone(mesh: Mesh, provider: FakeProvider) -> None:
    with mesh.fault("web", abort=503, headers={"X-User": "7"}):
        matched, rest = provider.topology.tables[0].routes
        assert [(h.name, h.match.value) for h in matched.match.headers] == [("x-user", "7")]
        assert matched.fault is not None
        assert rest.fault is None
    assert faults(provider) == [None]


def test_a_fault_in_a_version_is_no_matter_of_routes(mesh: Mesh, provider: FakeProvider) -> None:
    with mesh.fault("web@v2", abort=500):
        assert faults(provider) == [None]
        assert list(provider.topology.faults) == ["default/web-v2"]
    assert provider.topology.faults == {}


def test_traffic_that_moved_meanwhile_stays_where_it_is(mesh: Mesh, provider: FakeProvider) -> None:
    with mesh.fault("web", abort=503):
        mesh["web"].shift(v2=30)
        assert all(faults(provider))
    assert faults(provider) == [None]
    assert mesh["web"].shares == {"v1": 70, "v2": 30}


def test_two_faults_end_in_any_order(mesh: Mesh, provider: FakeProvider) -> None:
    first, second = mesh.fault("web@v1", abort=500), mesh.fault("web@v2", delay=0.1)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert list(provider.topology.faults) == ["default/web-v2"]
    second.__exit__(None, None, None)
    assert provider.topology.faults == {}


def test_a_fault_ends_when_the_block_fails(mesh: Mesh, provider: FakeProvider) -> None:
    with pytest.raises(ZeroDivisionError), mesh.fault("web", abort=503):
        raise ZeroDivisionError
    assert faults(provider) == [None]
    assert mesh.run.undo.pending == []


def test_the_evidence_is_what_the_counters_grew_by_at_that_side(mesh: Mesh, provider: FakeProvider) -> None:
    provider.counts = {CALLERS: 5, VERSION: 1}
    with mesh.fault("web", abort=503) as fault:
        provider.counts = {CALLERS: 12, VERSION: 9}
    assert fault.evidence == {CALLERS: 7}
    with mesh.fault("web@v2", abort=503) as fault:
        provider.counts = {CALLERS: 99, VERSION: 10}
    assert fault.evidence == {VERSION: 1}
    start, end = (mesh.run.history().of(kind)[-1] for kind in ("fault.start", "fault.end"))
    assert start.data["fault"] == {"delay": None, "abort": 503, "percent": 100, "headers": {}}
    assert end.data["evidence"] == {VERSION: 1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, 'a fault needs delay="800ms" or abort=503'),
        ({"abort": 999}, "abort=999: an HTTP status from 200 to 599"),
        ({"abort": 503, "percent": 0}, "percent is above 0 and at most 100, not 0"),
        ({"abort": 503, "percent": 101}, "percent is above 0 and at most 100, not 101"),
        ({"delay": "soon"}, "delay 'soon': a time above 0"),
        ({"delay": -1}, "delay -1: a time above 0"),
    ],
)
def test_a_fault_without_meaning_is_refused(mesh: Mesh, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        mesh.fault("web", **arguments)


@pytest.mark.parametrize("target", ["wep", "web@v9"])
def test_a_fault_in_nothing_known_is_refused(mesh: Mesh, target: str) -> None:
    with pytest.raises(UsageError, match=r"did you mean|has no version"), mesh.fault(target, abort=503):
        pass
    assert mesh.run.history().of("fault.start") == []
