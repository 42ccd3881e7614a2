"""Moving traffic by VirtualServices: weights, mirrors, matches and faults as pure edits of the documents."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from meshtest.errors import UsageError
from meshtest.manifests.compiler import compile, compile_or_raise
from meshtest.manifests.decide import decide
from meshtest.manifests.diff import diff
from meshtest.manifests.hosts import gateway_hosts, mesh_hosts
from meshtest.manifests.istio import ISTIO
from meshtest.manifests.reader import read_text
from meshtest.manifests.shares import shares
from meshtest.model.document import Document, Documents
from meshtest.model.route import Abort, Delay, Door, Fault, HeaderMatch, Match, Route, StringMatch

HOST = "reviews.default.svc.cluster.local"
VIRTUAL_SERVICE = "networking.istio.io/VirtualService"
DESTINATION_RULE = "networking.istio.io/DestinationRule"

PLAIN = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - name: rest
    timeout: 3s
    route: [{destination: {host: reviews.default.svc.cluster.local, port: {number: 9080}, subset: v1}, headers: {request: {set: {a: b}}}}]
---
"""  # noqa: E501
EDGE = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {servers: [{port: {number: 80, protocol: HTTP, name: http}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge}
spec:
  hosts: ["*"]
  gateways: [edge]
  http:
  - match: [{uri: {prefix: /reviews}}, {uri: {exact: /r}}]
    route: [{destination: {host: reviews, subset: v1}}]
  - match: [{uri: {prefix: /other}}]
    directResponse: {status: 204}
---
"""
JASON = Match(headers=(HeaderMatch(name="end-user", match=StringMatch(kind="exact", value="jason")),))
CANARY = Match(headers=(HeaderMatch(name="cookie", match=StringMatch(kind="regex", value=".*canary=yes.*")),))

Edit = Callable[[Documents], Documents]


def weights(_rule: str = "", /, **shares: int) -> Edit:
    return lambda documents: ISTIO.set_weights(documents, compile(documents).topology, HOST, shares, rule=_rule)


def mirror(to: str, percent: float, rule: str = "") -> Edit:
    return lambda d: ISTIO.set_mirror(d, compile(d).topology, HOST, to, percent=percent, rule=rule)


def match(wanted: Match, to: str) -> Edit:
    return lambda documents: ISTIO.set_match(documents, compile(documents).topology, HOST, wanted, to)


def fault(wanted: Fault | None, only: Match | None = None) -> Edit:
    return lambda documents: ISTIO.set_fault(documents, compile(documents).topology, HOST, wanted, match=only)


def http(documents: Documents, name: str = "reviews") -> list[dict[str, Any]]:
    (document,) = [d for d in documents.of(VIRTUAL_SERVICE) if d.name == name]
    rules: list[dict[str, Any]] = document.data["spec"]["http"]
    return rules


def called(documents: Documents, **headers: str) -> Route:
    """The route that a call in the mesh takes."""
    topology = compile_or_raise(documents).topology
    hosts = mesh_hosts(topology, namespace="default", labels={})
    route = decide(hosts, "reviews:9080", "GET", "/", {k.replace("_", "-"): v for k, v in headers.items()})
    assert route is not None
    return route


def entered(documents: Documents, path: str, **headers: str) -> Route | None:
    """The route that a request at the gateway takes."""
    hosts = gateway_hosts(compile_or_raise(documents).topology, Door(80))
    return decide(hosts, "any.example", "GET", path, {k.replace("_", "-"): v for k, v in headers.items()})


def split(route: Route | None) -> dict[str, int]:
    assert route is not None
    return {d.subset: d.weight for d in route.destinations}


class TestWeights:
    def test_the_default_rule_is_split_and_the_rest_of_it_stays(self, reviews: str) -> None:
        after = weights(v1=90, v2=10)(read_text(reviews + PLAIN))
        assert http(after)[1] == {
            "name": "rest",
            "timeout": "3s",
            "route": [
                {
                    "destination": {"host": HOST, "port": {"number": 9080}, "subset": "v1"},
                    "headers": {"request": {"set": {"a": "b"}}},
                    "weight": 90,
                },
                {"destination": {"host": HOST, "subset": "v2", "port": {"number": 9080}}, "weight": 10},
            ],
        }

    def test_rules_that_select_users_stay(self, reviews: str) -> None:
        after = weights(v1=50, v2=50)(read_text(reviews + PLAIN))
        assert split(called(after, end_user="jason")) == {"v2": 1}
        assert split(called(after)) == {"v1": 50, "v2": 50}

    def test_zero_is_left_out_and_the_order_is_that_of_the_request(self, reviews: str) -> None:
        after = weights(v2=100, v1=0)(read_text(reviews + PLAIN))
        assert [entry["destination"]["subset"] for entry in http(after)[1]["route"]] == ["v2"]

    def test_tables_of_gateways_count_too(self, reviews: str) -> None:
        after = weights(v1=1, v2=3)(read_text(reviews + PLAIN + EDGE))
        assert (
            split(entered(after, "/reviews"))
            == split(entered(after, "/r"))
            == split(called(after))
            == {"v1": 1, "v2": 3}
        )
        assert entered(after, "/other") is not None

    @pytest.mark.parametrize("rule", ["0", "rest"])
    def test_a_rule_can_be_named(self, reviews: str, rule: str) -> None:
        before = read_text(reviews + PLAIN)
        after = weights(rule, v1=1, v2=1)(before)
        changed = [i for i in range(2) if http(before)[i] != http(after)[i]]
        assert changed == [0 if rule == "0" else 1]

    def test_without_a_virtual_service_one_is_made(self, reviews: str) -> None:
        after = weights(v1=90, v2=10)(read_text(reviews))
        assert split(called(after)) == {"v1": 90, "v2": 10}
        (made,) = after.of(VIRTUAL_SERVICE)
        assert (made.name, made.file) == ("reviews", "<generated>")
        assert made.data["spec"]["hosts"] == ["reviews"]

    def test_one_made_by_us_takes_no_name_that_is_taken(self, reviews: str) -> None:
        other = PLAIN.replace("hosts: [reviews]", "hosts: [a.example]").replace("host: reviews", "host: ratings")
        ratings = reviews[: reviews.index("---")].replace("reviews", "ratings") + "---\n"
        subsets = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: ratings}\n"
        subsets += "spec: {host: ratings, subsets: [{name: v1}, {name: v2}]}\n---\n"
        before = read_text(reviews + ratings + subsets + other.replace(HOST, "ratings"))
        after = weights(v1=1, v2=1)(before)
        assert [d.name for d in after.of(VIRTUAL_SERVICE)] == ["reviews", "reviews-meshtest"]

    def test_without_subsets_they_are_made_of_the_version_labels(self, reviews: str) -> None:
        alone = reviews[: reviews.index("apiVersion: networking")]
        after = weights(v1=90, v2=10)(read_text(alone))
        (made,) = after.of(DESTINATION_RULE)
        assert made.data["spec"] == {
            "host": "reviews",
            "subsets": [{"name": v, "labels": {"version": v}} for v in ("v1", "v2")],
        }
        assert split(called(after)) == {"v1": 90, "v2": 10}

    def test_a_version_that_the_destination_rule_lacks_is_added(self, reviews: str) -> None:
        lacking = reviews.replace("  - {name: v2, labels: {version: v2}}\n", "")
        after = weights(v1=90, v2=10)(read_text(lacking + PLAIN.replace("subset: v2", "subset: v1")))
        assert [s["name"] for s in after.of(DESTINATION_RULE)[0].data["spec"]["subsets"]] == ["v1", "v2"]
        assert split(called(after)) == {"v1": 90, "v2": 10}

    def test_a_rule_of_ours_takes_over_the_policy_of_the_wildcard_it_hides(self, reviews: str) -> None:
        alone = reviews[: reviews.index("apiVersion: networking")]
        wide = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: wide}\n"
        wide += 'spec: {host: "*.local", trafficPolicy: {loadBalancer: {simple: RANDOM}}}\n'
        after = weights(v1=1, v2=1)(read_text(alone + wide))
        balancing = compile(after).topology.policies[HOST].policy.load_balancing
        assert balancing is not None
        assert balancing.algorithm == "RANDOM"

    def test_only_rules_for_users_get_a_default_rule_behind_them(self, reviews: str) -> None:
        only = PLAIN[: PLAIN.index("  - name: rest")]
        after = weights(v1=1, v2=1)(read_text(reviews + only))
        assert len(http(after)) == 2
        assert split(called(after, end_user="jason")) == {"v2": 1}
        assert split(called(after)) == {"v1": 1, "v2": 1}

    def test_a_fault_for_some_users_follows_the_split(self, reviews: str) -> None:
        faulty = fault(Fault(abort=Abort(http_status=500)), CANARY)(read_text(reviews + PLAIN))
        after = weights(v1=1, v2=1)(faulty)
        assert split(called(after, cookie="canary=yes")) == {"v1": 1, "v2": 1}

    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (weights(v1=110, v2=-10), "the weight of 'v2' must not be negative: -10"),
            (weights(v1=0, v2=0), "weights must not sum to 0, or no request could go anywhere: v1=0, v2=0"),
            (weights(), "weights must not sum to 0, or no request could go anywhere: none given"),
            (
                weights(v1=1, v22=1),
                "service 'reviews' has no subset or version 'v22'; known: v1, v2; did you mean 'v2'?",
            ),
            (weights("rst", v1=1), f"no http rule 'rst' leads to {HOST}; did you mean 'rest'?"),
            (weights("other", v1=1), f"no http rule 'other' leads to {HOST}; known: 0, rest"),
            (mirror("v9", 1), "service 'reviews' has no subset or version 'v9'; known: v1, v2"),
            (mirror("v2", 101), "the mirrored share must be 0 to 100 percent, not 101"),
            (fault(Fault()), "a fault needs a delay or an abort"),
        ],
    )
    def test_what_cannot_be_asked_for(self, reviews: str, edit: Edit, message: str) -> None:
        with pytest.raises(UsageError) as error:
            edit(read_text(reviews + PLAIN))
        assert str(error.value) == message

    def test_a_host_that_is_no_service(self, reviews: str) -> None:
        documents = read_text(reviews)
        with pytest.raises(UsageError) as error:
            ISTIO.set_weights(documents, compile(documents).topology, HOST.replace("ie", "ei"), {"v1": 1})
        assert str(error.value) == f"there is no Service {HOST.replace('ie', 'ei')}; did you mean {HOST}?"

    def test_a_host_that_is_routed_elsewhere_needs_a_rule_to_be_named(self, reviews: str) -> None:
        elsewhere = PLAIN.replace("destination: {host: reviews", "destination: {host: ratings").replace(
            f"destination: {{host: {HOST}", "destination: {host: ratings"
        )
        with pytest.raises(UsageError, match=r"VirtualService 'reviews' \(m\.yaml:\d+\) has no rule that leads to"):
            weights(v1=1)(read_text(reviews + elsewhere, "m.yaml"))

    @pytest.mark.parametrize("more", ["", PLAIN, EDGE, PLAIN + EDGE])
    def test_the_intended_split_is_what_was_asked_for(self, reviews: str, more: str) -> None:
        documents = read_text(reviews + more)
        for one, two in itertools.product((0, 1, 5, 33, 50, 99, 100), repeat=2):
            if one + two:
                after = weights(v1=one, v2=two)(documents)
                total = one + two
                wanted = {v: 100 * w / total for v, w in (("v1", one), ("v2", two)) if w}
                assert shares(compile_or_raise(after).topology, HOST) == pytest.approx(wanted)


class TestMirror:
    def test_it_is_set_changed_and_ended(self, reviews: str) -> None:
        before = read_text(reviews + PLAIN)
        on = mirror("v2", 100)(before)
        assert [(m.destination.subset, m.destination.port, m.percent) for m in called(on).mirrors] == [
            ("v2", 9080, 100)
        ]
        assert [m.percent for m in called(mirror("v2", 5)(on)).mirrors] == [5]
        assert [d.data for d in mirror("v2", 0)(on)] == [d.data for d in before]

    def test_mirrors_of_the_user_stay(self, reviews: str) -> None:
        theirs = PLAIN.replace("    timeout: 3s\n", "    mirror: {host: reviews, subset: v1}\n    mirror_percent: 7\n")
        after = mirror("v2", 50)(read_text(reviews + theirs))
        assert [(m.destination.subset, m.percent) for m in called(after).mirrors] == [("v1", 7), ("v2", 50)]
        assert "mirror_percent" not in http(after)[1]
        back = mirror("v2", 0)(after)
        assert [(m.destination.subset, m.percent) for m in called(back).mirrors] == [("v1", 7)]

    def test_the_split_stays(self, reviews: str) -> None:
        after = mirror("v2", 10)(weights(v1=9, v2=1)(read_text(reviews)))
        assert split(called(after)) == {"v1": 9, "v2": 1}


class TestMatch:
    def test_matching_requests_go_to_the_subset_before_any_other_rule(self, reviews: str) -> None:
        after = match(CANARY, "v2")(read_text(reviews + PLAIN))
        assert split(called(after, cookie="a=b; canary=yes")) == {"v2": 1}
        assert split(called(after)) == {"v1": 1}
        assert http(after)[0]["name"].startswith("meshtest-match-")
        assert http(after)[0]["timeout"] == "3s"

    def test_the_same_match_is_replaced_and_another_is_added(self, reviews: str) -> None:
        one = match(CANARY, "v2")(read_text(reviews + PLAIN))
        again = match(CANARY, "v1")(one)
        assert len(http(again)) == len(http(one)) == 3
        assert split(called(again, cookie="canary=yes")) == {"v1": 1}
        assert len(http(match(JASON, "v1")(again))) == 4

    def test_at_a_gateway_it_keeps_to_the_paths_of_the_host(self, reviews: str) -> None:
        after = match(CANARY, "v2")(read_text(reviews + EDGE))
        assert split(entered(after, "/reviews/1", cookie="canary=yes")) == {"v2": 1}
        assert split(entered(after, "/reviews/1")) == {"v1": 1}
        other = entered(after, "/other", cookie="canary=yes")
        assert other is not None
        assert other.direct_response is not None

    def test_a_path_inside_the_path_of_a_rule_is_enough(self, reviews: str) -> None:
        inside = Match(path=StringMatch(kind="prefix", value="/reviews/new"))
        after = match(inside, "v2")(read_text(reviews + EDGE))
        assert http(after, "edge")[0]["match"] == [{"uri": {"prefix": "/reviews/new"}}]
        assert split(entered(after, "/reviews/new")) == {"v2": 1}
        assert split(entered(after, "/reviews")) == {"v1": 1}

    def test_a_later_split_does_not_touch_it(self, reviews: str) -> None:
        by_path = Match(path=StringMatch(kind="exact", value="/"))
        after = weights(v1=1, v2=1)(match(by_path, "v2")(read_text(reviews)))
        assert split(called(after)) == {"v2": 1}

    @pytest.mark.parametrize(
        "wanted",
        [
            CANARY,
            Match(path=StringMatch(kind="exact", value="/a", ignore_case=True)),
            Match(path=StringMatch(kind="regex", value="/a.*")),
            Match(query=(("q", StringMatch(kind="exact", value="1")), ("p", StringMatch(kind="present")))),
            Match(headers=(HeaderMatch(name=":method", match=StringMatch(kind="exact", value="GET")),)),
            Match(
                headers=(
                    HeaderMatch(
                        name="x", match=StringMatch(kind="exact", value="1"), invert=True, missing_is_empty=True
                    ),
                )
            ),
            Match(port=9080, caller_labels={"app": "a"}, caller_namespace="shop", gateways=("mesh",)),
        ],
    )
    def test_what_is_written_is_read_back_as_the_same_match(self, reviews: str, wanted: Match) -> None:
        after = match(wanted, "v2")(read_text(reviews))
        table = compile_or_raise(after).topology.tables[0]
        assert table.routes[0].match == wanted

    @pytest.mark.parametrize(("path", "matches"), [("/v1", True), ("/v1/a", True), ("/v10", False), ("/v1.x", False)])
    def test_path_elements_become_a_regular_expression(self, reviews: str, path: str, matches: bool) -> None:
        after = match(Match(path=StringMatch(kind="path_prefix", value="/v1/")), "v2")(read_text(reviews))
        hosts = mesh_hosts(compile_or_raise(after).topology, namespace="default", labels={})
        assert ("v2" in split(decide(hosts, "reviews:9080", "GET", path))) is matches


class TestFault:
    ABORT = Fault(abort=Abort(http_status=503, percent=12.5))
    DELAY = Fault(delay=Delay(seconds=0.25))

    def test_on_every_rule_of_the_host(self, reviews: str) -> None:
        after = fault(self.ABORT)(read_text(reviews + PLAIN + EDGE))
        for route in (called(after), called(after, end_user="jason"), entered(after, "/r")):
            assert route is not None
            assert route.fault is not None
            assert route.fault.abort == self.ABORT.abort
        other = entered(after, "/other")
        assert other is not None
        assert other.fault is None

    def test_for_some_users_in_front_of_all_rules(self, reviews: str) -> None:
        after = fault(self.DELAY, CANARY)(read_text(reviews + PLAIN))
        hit = called(after, cookie="canary=yes")
        assert hit.fault is not None
        assert (hit.fault.delay, split(hit), hit.timeout) == (self.DELAY.delay, {"v1": 1}, 3.0)
        assert called(after).fault is None

    def test_none_takes_back_what_was_added(self, reviews: str) -> None:
        before = read_text(reviews + PLAIN + EDGE)
        for edit, undo in ((fault(self.ABORT), fault(None)), (fault(self.ABORT, CANARY), fault(None, CANARY))):
            assert [d.data for d in undo(edit(before))] == [d.data for d in before]
            assert [d.data for d in fault(None)(edit(before))] == [d.data for d in before]

    def test_lines_are_where_they_were_after_an_edit_and_its_undoing(self, reviews: str) -> None:
        before = read_text(reviews + PLAIN, "m.yaml")
        after = fault(None, CANARY)(fault(self.ABORT, CANARY)(before))
        path = ("spec", "http", 1, "route")
        assert after.of(VIRTUAL_SERVICE)[0].where(*path) == before.of(VIRTUAL_SERVICE)[0].where(*path)

    def test_a_grpc_status(self, reviews: str) -> None:
        after = fault(Fault(abort=Abort(grpc_status=14)))(read_text(reviews))
        found = called(after).fault
        assert found is not None
        assert found.abort == Abort(grpc_status=14)

    def test_the_same_match_is_replaced(self, reviews: str) -> None:
        after = fault(self.DELAY, CANARY)(fault(self.ABORT, CANARY)(read_text(reviews)))
        assert [rule.get("fault", {}).keys() for rule in http(after)] == [{"delay"}, set()]


@pytest.mark.parametrize(
    "edit",
    [
        weights(v1=90, v2=10),
        mirror("v2", 10),
        match(CANARY, "v2"),
        fault(Fault(abort=Abort(http_status=500))),
        fault(Fault(abort=Abort(http_status=500)), CANARY),
        fault(None),
    ],
    ids=["weights", "mirror", "match", "fault", "fault for some", "no fault"],
)
class TestEveryEdit:
    def test_is_pure(self, reviews: str, edit: Edit) -> None:
        for more in ("", PLAIN, PLAIN + EDGE):
            before = read_text(reviews + more)
            kept = copy.deepcopy(before)
            edit(before)
            assert before == kept

    def test_twice_is_as_once(self, reviews: str, edit: Edit) -> None:
        once = edit(read_text(reviews + PLAIN + EDGE))
        assert [d.data for d in edit(once)] == [d.data for d in once]

    def test_leaves_other_objects_alone(self, reviews: str, edit: Edit) -> None:
        before = read_text(reviews + PLAIN + EDGE)
        after: dict[tuple[str, str, str], Document] = {d.key: d for d in edit(before)}
        for document in before:
            if document.kind != VIRTUAL_SERVICE:
                assert after[document.key] is document

    def test_lines_of_inserted_and_moved_rules_stay_true(self, reviews: str, edit: Edit) -> None:
        before = read_text(reviews + PLAIN, "m.yaml")
        (old,), (new,) = before.of(VIRTUAL_SERVICE), edit(before).of(VIRTUAL_SERVICE)
        rules = new.data["spec"]["http"]
        (rest,) = [i for i, rule in enumerate(rules) if rule.get("name") == "rest"]
        assert new.where("spec", "http", rest, "timeout") == old.where("spec", "http", 1, "timeout")


BELOW = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: below}
spec: {http: [{route: [{destination: {host: reviews, subset: v1}}]}]}
---
"""


def rooted(reviews: str, match: str = "[{uri: {prefix: /}}]") -> Documents:
    head = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: root}\nspec:\n"
    return read_text(
        f"{reviews}{BELOW}{head}  hosts: [reviews]\n  http: [{{match: {match}, delegate: {{name: below}}}}]"
    )


class TestDelegates:
    def test_the_split_moves_where_the_routes_stand(self, reviews: str) -> None:
        before = rooted(reviews)
        after = ISTIO.set_weights(before, compile(before).topology, HOST, {"v1": 90, "v2": 10})
        assert shares(compile(after).topology, HOST) == {"v1": 90.0, "v2": 10.0}
        assert [line for line in diff(before, after).splitlines() if line.startswith("---")] == [
            "--- <text> virtualservice/default/below"
        ]

    def test_a_delegate_for_certain_users_stays(self, reviews: str) -> None:
        before = rooted(reviews, "[{headers: {end-user: {exact: jason}}}]")
        after = ISTIO.set_weights(before, compile(before).topology, HOST, {"v2": 100})
        assert after.of("networking.istio.io/VirtualService")[0].data == before.items[-2].data
        assert shares(compile(after).topology, HOST) == {"v2": 100.0}

    def test_a_match_and_a_fault_go_there_too(self, reviews: str) -> None:
        before = rooted(reviews)
        match = Match(headers=(HeaderMatch(name="a", match=StringMatch(kind="exact", value="b")),))
        after = ISTIO.set_match(before, compile(before).topology, HOST, match, "v2")
        after = ISTIO.set_fault(after, compile(after).topology, HOST, Fault(abort=Abort(http_status=500)))
        first, second = compile(after).topology.tables[0].routes
        assert (first.destinations[0].subset, second.destinations[0].subset) == ("v2", "v1")
        assert first.fault is not None
        assert first.fault == second.fault


class TestStreams:
    def test_tcp_rules_move_where_there_are_no_others(self, reviews: str) -> None:
        tcp = reviews.replace("name: http", "name: tcp")
        head = (
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec:\n  hosts: [reviews]\n"
        )
        before = read_text(
            f"{tcp}{head}  tcp: [{{match: [{{port: 9080}}], route: [{{destination: {{host: reviews}}}}]}}]"
        )
        after = ISTIO.set_weights(before, compile(before).topology, HOST, {"v1": 3, "v2": 1})
        (route,) = compile(after).topology.tables[0].tcp
        assert [(d.subset, d.weight) for d in route.destinations] == [("v1", 3), ("v2", 1)]
        assert shares(compile(after).topology, HOST) == {"v1": 75.0, "v2": 25.0}

    def test_a_service_that_speaks_tcp_gets_a_tcp_rule(self, reviews: str) -> None:
        before = read_text(reviews.replace("name: http", "name: tcp"))
        after = ISTIO.set_weights(before, compile(before).topology, HOST, {"v2": 1})
        assert after.of("networking.istio.io/VirtualService")[0].data["spec"] == {
            "hosts": ["reviews"],
            "tcp": [{"route": [{"destination": {"host": "reviews", "subset": "v2"}, "weight": 1}]}],
        }

    def test_requests_of_a_connection_cannot_be_told_apart(self, reviews: str) -> None:
        before = read_text(reviews.replace("name: http", "name: tcp"))
        with pytest.raises(UsageError, match="'reviews' is reached by tcp rules"):
            ISTIO.set_mirror(before, compile(before).topology, HOST, "v2", percent=10)


def test_hosts_of_a_service_entry_split_by_the_labels_of_its_endpoints() -> None:
    before = read_text(
        """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: pay}
spec:
  hosts: [pay.example]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints:
  - {address: 127.0.0.2, labels: {version: v1}}
  - {address: 127.0.0.3, labels: {version: v2}}
"""
    )
    after = ISTIO.set_weights(before, compile(before).topology, "pay.example", {"v1": 1, "v2": 1})
    topology = compile(after).topology
    assert shares(topology, "pay.example") == {"v1": 50.0, "v2": 50.0}
    assert topology.tables[0].hosts == ("pay.example",)
