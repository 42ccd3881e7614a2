"""Moving traffic by HTTPRoutes: weights, mirrors, matches; faults are refused by a sentence."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from meshtest.errors import UsageError
from meshtest.manifests.compiler import compile_or_raise
from meshtest.manifests.decide import decide
from meshtest.manifests.gateway_api import GATEWAY_API
from meshtest.manifests.hosts import gateway_hosts, mesh_hosts
from meshtest.manifests.shares import shares
from meshtest.manifests.traffic import TRAFFIC
from meshtest.model.document import Document, Documents
from meshtest.model.route import Delay, Door, Fault, HeaderMatch, Match, Route, StringMatch
from meshtest.model.topology import Topology
from tests.manifests.gateway_api.shop import SHOP, V2, WEB, documents, gateway, route

KIND = "gateway.networking.k8s.io/HTTPRoute"
MESH = "[{group: '', kind: Service, name: web}]"
RULES = """
  - name: jason
    matches: [{headers: [{name: end-user, value: jason}]}]
    backendRefs: [{name: web-v2, port: 80}]
  - name: rest
    timeouts: {request: 3s}
    backendRefs: [{name: web-v1, port: 80, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {
      set: [{name: a, value: b}]}}]}]
"""
JASON = Match(headers=(HeaderMatch(name="end-user", match=StringMatch(kind="exact", value="jane")),))


def shop(*texts: str) -> tuple[Documents, Topology]:
    found = documents(SHOP, *texts)
    return found, compile_or_raise(found).topology


def the_route(found: Documents) -> Document:
    return found.of(KIND)[0]


def called(found: Documents, headers: Mapping[str, str] | None = None) -> Route:
    topology = compile_or_raise(found).topology
    decided = decide(mesh_hosts(topology, namespace="default", labels={}), WEB, "GET", "/", headers)
    assert decided is not None
    return decided


class TestWeights:
    def test_the_default_rules_are_split_and_those_for_users_stay(self) -> None:
        found, topology = shop(route(RULES, parents=MESH))
        moved = GATEWAY_API.set_weights(found, topology, WEB, {"v1": 90, "v2": 10})
        rules = the_route(moved).data["spec"]["rules"]
        assert rules[0]["backendRefs"] == [{"name": "web-v2", "port": 80}]
        assert [(r["name"], r["weight"]) for r in rules[1]["backendRefs"]] == [("web-v1", 90), ("web-v2", 10)]
        assert "filters" in rules[1]["backendRefs"][0], "what a backend says beside its weight stays"
        assert shares(compile_or_raise(moved).topology, WEB) == {"v1": 90.0, "v2": 10.0}

    def test_a_rule_can_be_named(self) -> None:
        found, topology = shop(route(RULES, parents=MESH))
        moved = GATEWAY_API.set_weights(found, topology, WEB, {"v1": 1}, rule="jason")
        rules = the_route(moved).data["spec"]["rules"]
        assert [r["name"] for r in rules[0]["backendRefs"]] == ["web-v1"]

    def test_a_service_without_a_route_gets_one_for_the_mesh(self) -> None:
        found, topology = shop()
        moved = GATEWAY_API.set_weights(found, topology, WEB, {"v1": 50, "v2": 50})
        assert shares(compile_or_raise(moved).topology, WEB) == {"v1": 50.0, "v2": 50.0}
        assert len(called(moved).destinations) == 2

    def test_routes_of_a_gateway_are_moved_too(self) -> None:
        found, topology = shop(gateway(), route())
        moved = GATEWAY_API.set_weights(found, topology, WEB, {"v2": 100})
        hosts = gateway_hosts(compile_or_raise(moved).topology, Door(80, "default/edge"))
        decided = decide(hosts, "x", "GET", "/")
        assert decided is not None
        assert [d.host for d in decided.destinations] == [V2]

    @pytest.mark.parametrize(
        ("weights", "message"),
        [
            ({"v1": 0}, "must not sum to 0"),
            ({"v1": -1}, "must not be negative"),
            ({"v9": 1}, "none selects just version 'v9' of web; versions with a Service of their own: v1, v2"),
        ],
    )
    def test_weights_that_make_no_sense_are_refused(self, weights: dict[str, int], message: str) -> None:
        found, topology = shop(route(RULES, parents=MESH))
        with pytest.raises(UsageError, match=message):
            GATEWAY_API.set_weights(found, topology, WEB, weights)

    def test_an_unknown_rule_is_told_with_those_there_are(self) -> None:
        found, topology = shop(route(RULES, parents=MESH))
        with pytest.raises(UsageError, match="did you mean 'rest'"):
            GATEWAY_API.set_weights(found, topology, WEB, {"v1": 1}, rule="rst")


class TestMirrors:
    def test_it_stands_beside_the_others_and_goes_again(self) -> None:
        found, topology = shop(route(RULES, parents=MESH))
        mirrored = GATEWAY_API.set_mirror(found, topology, WEB, "v2", percent=12.5)
        assert [(m.destination.host, m.percent) for m in called(mirrored).mirrors] == [(V2, 12.5)]
        again = GATEWAY_API.set_mirror(mirrored, topology, WEB, "v2", percent=100)
        assert [m.percent for m in called(again).mirrors] == [100.0]
        ended = GATEWAY_API.set_mirror(again, topology, WEB, "v2", percent=0)
        assert called(ended).mirrors == ()

    def test_a_share_beyond_all_is_refused(self) -> None:
        found, topology = shop(route(RULES, parents=MESH))
        with pytest.raises(UsageError, match="0 to 100"):
            GATEWAY_API.set_mirror(found, topology, WEB, "v2", percent=101)


class TestMatches:
    def test_requests_that_match_go_to_the_version_and_others_as_before(self) -> None:
        found, topology = shop(route(RULES, parents=MESH))
        moved = GATEWAY_API.set_match(found, topology, WEB, JASON, "v2")
        moved = GATEWAY_API.set_match(moved, topology, WEB, JASON, "v2")
        assert called(moved, {"end-user": "jane"}).destinations[0].host == V2
        assert called(moved, {"end-user": "jane"}).timeout == 3.0, "the copy keeps what the rule does"
        assert called(moved, {}).destinations[0].host != V2
        assert len(the_route(moved).data["spec"]["rules"]) == 3, "the second one has replaced the first"

    def test_a_narrower_path_comes_first(self) -> None:
        found, topology = shop(route(RULES, parents=MESH))
        path = Match(path=StringMatch(kind="path_prefix", value="/beta"))
        moved = GATEWAY_API.set_match(found, topology, WEB, path, "v2")
        hosts = mesh_hosts(compile_or_raise(moved).topology, namespace="default", labels={})
        seen = [decide(hosts, WEB, "GET", p) for p in ("/beta/x", "/x")]
        assert [r.destinations[0].host.partition(".")[0] for r in seen if r] == ["web-v2", "web-v1"]

    @pytest.mark.parametrize(
        "match",
        [
            Match(caller_labels={"app": "a"}),
            Match(headers=(HeaderMatch(name="a", match=StringMatch(kind="exact", value="b"), invert=True),)),
            Match(headers=(HeaderMatch(name=":authority", match=StringMatch(kind="exact", value="b")),)),
        ],
    )
    def test_what_an_http_route_cannot_say_is_told(self, match: Match) -> None:
        found, topology = shop(route(RULES, parents=MESH))
        with pytest.raises(UsageError, match="an HTTPRoute cannot"):
            GATEWAY_API.set_match(found, topology, WEB, match, "v2")


class TestFaults:
    def test_there_is_no_filter_for_them(self) -> None:
        found, topology = shop(route(RULES, parents=MESH))
        with pytest.raises(UsageError, match="no filter that injects faults"):
            GATEWAY_API.set_fault(found, topology, WEB, Fault(delay=Delay(seconds=1)))
        assert GATEWAY_API.set_fault(found, topology, WEB, None) is found


class TestWhichDialect:
    VIRTUAL = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web], http: [{route: [{destination: {host: web}}]}]}
"""

    def test_the_one_whose_documents_route_the_host(self) -> None:
        assert TRAFFIC.of(*shop(route(RULES, parents=MESH)), WEB).name == "gateway_api"
        assert TRAFFIC.of(*shop(self.VIRTUAL), WEB).name == "istio"
        assert TRAFFIC.of(*shop(), WEB).name == "istio"
