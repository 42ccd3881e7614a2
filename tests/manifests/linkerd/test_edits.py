"""Moving traffic in a Linkerd mesh, and faults without a filter for them."""

from __future__ import annotations

import pytest

from meshtest.errors import UsageError
from meshtest.manifests.compiler import compile, compile_or_raise
from meshtest.manifests.decide import decide
from meshtest.manifests.hosts import mesh_hosts
from meshtest.manifests.linkerd import LINKERD
from meshtest.manifests.reader import read_text
from meshtest.manifests.shares import shares
from meshtest.manifests.traffic import TRAFFIC
from meshtest.model.document import Documents
from meshtest.model.route import Abort, Delay, Fault, HeaderMatch, Match, Route, StringMatch
from meshtest.model.topology import Topology
from tests.manifests.gateway_api.shop import WEB, deployment, service

SHOP = (
    service("web", "{app: web, version: v1}")
    + service("web-canary", "{app: web, version: v2}")
    + deployment("v1")
    + deployment("v2")
)
CANARY = "web-canary.default.svc.cluster.local"
FAILING = "meshtest-fault-web.default.svc.cluster.local"
BROKEN = Fault(abort=Abort(http_status=503, percent=30))
JASON = Match(headers=(HeaderMatch(name="end-user", match=StringMatch(kind="exact", value="jason")),))
BETA = Match(path=StringMatch(kind="path_prefix", value="/beta"))


def route(weights: tuple[int, int] = (90, 10), group: str = "policy.linkerd.io/v1beta3") -> str:
    return f"""\
apiVersion: {group}
kind: HTTPRoute
metadata: {{name: web, annotations: {{linkerd.io/x: y}}}}
spec:
  parentRefs: [{{group: core, kind: Service, name: web, port: 80}}]
  rules:
  - backendRefs: [{{name: web, port: 80, weight: {weights[0]}}}, {{name: web-canary, port: 80, weight: {weights[1]}}}]
---
"""


def shop(*texts: str) -> tuple[Documents, Topology]:
    found = read_text(SHOP + "".join(texts or (route(),)), "l.yaml")
    return found, compile_or_raise(found).topology


def topology_of(found: Documents) -> Topology:
    return compile_or_raise(found).topology


def called(found: Documents, path: str = "/", **headers: str) -> Route:
    hosts = mesh_hosts(topology_of(found), namespace="default", labels={})
    decided = decide(hosts, WEB, "GET", path, {name.replace("_", "-"): value for name, value in headers.items()})
    assert decided is not None
    return decided


def split(found: Route) -> dict[str, int]:
    return {d.host.partition(".")[0]: d.weight for d in found.destinations}


class TestShares:
    @pytest.mark.parametrize("group", ["policy.linkerd.io/v1beta3", "gateway.networking.k8s.io/v1"])
    def test_routes_of_either_group_are_moved(self, group: str) -> None:
        found, topology = shop(route(group=group))
        assert TRAFFIC.of(found, topology, WEB) is LINKERD
        moved = LINKERD.set_weights(found, topology, WEB, {"v1": 60, "v2": 40})
        assert shares(topology_of(moved), WEB) == {"v1": 60.0, "v2": 40.0}

    def test_a_version_without_a_share_can_come_back(self) -> None:
        found, topology = shop()
        over = LINKERD.set_weights(found, topology, WEB, {"v1": 100})
        back = LINKERD.set_weights(over, topology_of(over), WEB, {"v2": 100})
        assert [shares(topology_of(d), WEB) for d in (over, back)] == [{"v1": 100.0}, {"v2": 100.0}]

    def test_what_is_written_is_what_linkerd_knows(self) -> None:
        found, topology = shop()
        matched = LINKERD.set_match(found, topology, WEB, JASON, "v2")
        notes = compile(matched).diagnostics
        assert not [note for note in notes if "name" in note.message or "unknown" in note.message], notes


class TestMatches:
    def test_requests_that_match_go_to_the_version_and_one_for_it_is_replaced(self) -> None:
        found, topology = shop()
        moved = LINKERD.set_match(found, topology, WEB, JASON, "v2")
        moved = LINKERD.set_match(moved, topology_of(moved), WEB, JASON, "v2")
        assert split(called(moved, end_user="jason")) == {"web-canary": 1}
        assert split(called(moved)) == {"web": 90, "web-canary": 10}
        assert len(moved.of("policy.linkerd.io/HTTPRoute")[0].data["spec"]["rules"]) == 2

    def test_a_shift_leaves_them_alone(self) -> None:
        found, topology = shop()
        moved = LINKERD.set_match(found, topology, WEB, BETA, "v2")
        moved = LINKERD.set_weights(moved, topology_of(moved), WEB, {"v1": 100})
        assert split(called(moved, "/beta/x")) == {"web-canary": 1}
        assert split(called(moved)) == {"web": 100}


def test_there_is_no_mirroring() -> None:
    found, topology = shop()
    with pytest.raises(UsageError, match="Linkerd cannot mirror requests of web"):
        LINKERD.set_mirror(found, topology, WEB, "v2", percent=10)
    assert LINKERD.set_mirror(found, topology, WEB, "v2", percent=0) is found


class TestFaults:
    def test_a_share_of_the_requests_goes_to_a_backend_that_fails(self) -> None:
        found, topology = shop()
        broken = LINKERD.set_fault(found, topology, WEB, BROKEN)
        assert split(called(broken)) == {"web": 63, "web-canary": 7, "meshtest-fault-web": 30}
        backend = topology_of(broken).service(FAILING)
        assert backend is not None
        (workload,) = topology_of(broken).backends(backend)
        assert workload.annotations["meshtest.dev/errors"] == "503:100"
        assert shares(topology_of(broken), WEB) == {"v1": 90.0, "v2": 10.0}, "what is left keeps its proportions"

    @pytest.mark.parametrize("percent", [100.0, 30.0, 0.5])
    def test_its_end_leaves_nothing(self, percent: float) -> None:
        found, topology = shop()
        broken = LINKERD.set_fault(found, topology, WEB, Fault(abort=Abort(http_status=500, percent=percent)))
        healed = LINKERD.set_fault(broken, topology_of(broken), WEB, None)
        assert [d.data for d in healed] == [d.data for d in found]

    def test_a_shift_under_a_fault_keeps_it(self) -> None:
        found, topology = shop()
        broken = LINKERD.set_fault(found, topology, WEB, BROKEN)
        moved = LINKERD.set_weights(broken, topology_of(broken), WEB, {"v1": 50, "v2": 50})
        assert split(called(moved)) == {"web": 7, "web-canary": 7, "meshtest-fault-web": 6}
        healed = LINKERD.set_fault(moved, topology_of(moved), WEB, None)
        assert split(called(healed)) == {"web": 50, "web-canary": 50}
        assert not [d for d in healed if "fault" in d.name]

    def test_one_for_marked_requests_is_a_route_of_its_own(self) -> None:
        found, topology = shop()
        broken = LINKERD.set_fault(found, topology, WEB, BROKEN, match=JASON)
        assert split(called(broken)) == {"web": 90, "web-canary": 10}
        assert split(called(broken, end_user="jason")) == {"web": 63, "web-canary": 7, "meshtest-fault-web": 30}
        moved = LINKERD.set_weights(broken, topology_of(broken), WEB, {"v1": 100})
        assert split(called(moved, end_user="jason")) == {"web": 7, "meshtest-fault-web": 3}
        healed = LINKERD.set_fault(moved, topology_of(moved), WEB, None)
        assert split(called(healed, end_user="jason")) == {"web": 100}

    def test_a_service_without_a_route_gets_one(self) -> None:
        found, topology = shop(
            service("x", "{app: x}").replace("name: x,", "name: x, annotations: {linkerd.io/inject: enabled},")
        )
        broken = LINKERD.set_fault(found, topology, WEB, BROKEN)
        assert split(called(broken)) == {"web": 7, "meshtest-fault-web": 3}

    def test_a_delay_is_refused_with_the_way_out(self) -> None:
        found, topology = shop()
        with pytest.raises(UsageError, match=r'no filter that delays requests of web.*mesh.fault\("web@VERSION"'):
            LINKERD.set_fault(found, topology, WEB, Fault(delay=Delay(seconds=1)))
