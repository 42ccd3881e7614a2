"""Policies in front of endpoints: balancing, pools, ejection, localities."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from meshtest.model.feature import Feature
from meshtest.testing.conformance.case import Cases
from meshtest.testing.conformance.manifests import deployment, service, subsets

if TYPE_CHECKING:
    from meshtest.mesh import Mesh

CASES = cases = Cases()

THREE = service("web") + deployment("web", "v1", replicas=3)
HASHED = "{loadBalancer: {consistentHash: {httpHeaderName: x-user}}}"


@cases(Feature.LOAD_BALANCING, THREE + subsets("web", HASHED))
def one_user_keeps_one_pod(mesh: Mesh) -> None:
    for user in "abc":
        pods = {mesh.ask("GET http://web/", headers={"x-user": user}).server.pod for _ in range(5)}
        assert len(pods) == 1, user


SLOW = service("web") + deployment("web", "v1", more="meshtest.dev/delay: 200ms")
NARROW = "{connectionPool: {tcp: {maxConnections: 1}, http: {http1MaxPendingRequests: 1}}}"


@cases(Feature.CONNECTION_POOL, SLOW + subsets("web", NARROW))
def what_overflows_the_pool_is_turned_away_at_once(mesh: Mesh) -> None:
    load = mesh.load("GET http://web/", rps=100, requests=20).run()
    statuses = Counter(request.status for request in load.requests)
    assert statuses[503] > 0
    assert statuses[200] > 0


EJECTING = (
    "{outlierDetection: {consecutive5xxErrors: 2, interval: 100ms, baseEjectionTime: 60s, maxEjectionPercent: 100, "
    "minHealthPercent: 0}, loadBalancer: {simple: ROUND_ROBIN}}"
)
ONE_BAD = service("web") + deployment("web", "v1") + deployment("web", "v2", more='meshtest.dev/errors: "500:100"')


@cases(Feature.OUTLIER_DETECTION, ONE_BAD + subsets("web", EJECTING))
def a_failing_pod_is_taken_out(mesh: Mesh) -> None:
    mesh.load("GET http://web/", rps=100, requests=20).run()
    assert {mesh.ask("GET http://web/").server.version for _ in range(10)} == {"v1"}


def placed(name: str, version: str, region: str) -> str:
    made = deployment(name, version)
    return made.replace(
        f"version: {version}}}\n      ann", f"version: {version}, istio-locality: {region}}}\n      ann"
    )


NEAR = (
    "{outlierDetection: {consecutive5xxErrors: 5, maxEjectionPercent: 100}, "
    "loadBalancer: {localityLbSetting: {enabled: true, failover: [{from: east, to: west}]}}}"
)


@cases(
    Feature.LOCALITY,
    service("web") + placed("web", "v1", "east.a") + placed("web", "v2", "west.a") + subsets("web", NEAR)
    + service("front") + placed("front", "v1", "east.a"),
)  # fmt: skip
def callers_stay_in_their_region_until_it_has_nobody_left(mesh: Mesh) -> None:
    assert {mesh.ask("GET http://web/", source="front").server.version for _ in range(10)} == {"v1"}
    mesh["web"]["v1"].terminate()
    assert {mesh.ask("GET http://web/", source="front").server.version for _ in range(5)} == {"v2"}
