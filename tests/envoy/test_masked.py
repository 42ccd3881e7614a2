"""A real outage that retries hide: no user sees an error, and yet it is told, with its length and what happened."""

from __future__ import annotations

import pytest

from meshtest import Mesh, RolloutFailed, masked, no_downtime
from tests.web import SERVICE, deployment, joined, virtual_service

RETRIES = '{route: [{destination: {host: web}}], retries: {attempts: 3, retryOn: "connect-failure,reset,5xx"}}'
WEB = joined(SERVICE, deployment("v1", replicas=2), virtual_service(RETRIES))


@pytest.mark.mesh(propagation=0.3)
def test_an_endpoint_that_goes_is_masked_by_retries_and_told(mesh: Mesh) -> None:
    """Two endpoints, retries of resets, too; one goes, and the proxies hear of it 0.3 s later."""
    mesh.apply(text=WEB)
    with mesh.load("GET http://web/", rps=200) as load:
        load.until(requests=60)
        mesh.provider.terminate(mesh["web"]["v1"].pods[0].name, grace=0)
        load.until(requests=150)
    assert load.failures == []
    assert load.outages == []
    seen = max(load.masked_outages, key=lambda outage: outage.retried)  # a busy machine may hold requests up before
    assert seen.retried >= 10
    assert 0.02 < seen.window.share <= 1
    assert any("pod." in event for event in seen.around)
    mesh.verify(no_downtime())
    with pytest.raises(RolloutFailed, match=r"FAIL: masked: \d+ requests were saved by a retry, .* masked outage"):
        mesh.verify(masked())
    with pytest.raises(RolloutFailed, match=r"FAIL: no_downtime: \d+ requests were saved by a retry"):
        mesh.verify(no_downtime(masked=0))
