"""What is told of one request: the rule that takes it, those that do not and why, and where each stands."""

from __future__ import annotations

import pytest

from meshtest.errors import UsageError
from meshtest.explain import Asked, Explanation, explain
from meshtest.explain.data import data
from meshtest.explain.text import lines
from meshtest.manifests.compiler import compile_or_raise
from meshtest.manifests.reader import read_text

SHOP = """\
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {ports: [{port: 9080, name: http}], selector: {app: reviews}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v1}
spec:
  selector: {matchLabels: {app: reviews, version: v1}}
  template:
    metadata: {labels: {app: reviews, version: v1}}
    spec: {containers: [{name: reviews, image: reviews:1}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: reviews-v2}
spec:
  replicas: 3
  selector: {matchLabels: {app: reviews, version: v2}}
  template:
    metadata: {labels: {app: reviews, version: v2}}
    spec: {containers: [{name: reviews, image: reviews:2}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy: {outlierDetection: {consecutive5xxErrors: 3}}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
  - {name: v3, labels: {version: v3}}
---
"""

HEAD = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
"""


def asked(path: str = "/", host: str = "reviews:9080", method: str = "GET", **headers: str) -> Asked:
    return Asked.of(host, method, path, {name.replace("_", "-"): value for name, value in headers.items()})


def explained(rules: str, request: Asked | None = None, source: str = "", more: str = "") -> Explanation:
    text = SHOP + HEAD + "".join(f"  {line}\n" for line in rules.strip().splitlines()) + more
    return explain(compile_or_raise(read_text(text, "shop.yaml")).topology, source, request or asked())


def shown(found: Explanation) -> str:
    return "\n".join(lines(found))


class TestRules:
    RULES = """
- name: jason
  match: [{headers: {end-user: {exact: jason}}}]
  route: [{destination: {host: reviews, subset: v2}}]
- route: [{destination: {host: reviews, subset: v1}}]
"""

    def test_the_first_whose_conditions_hold_takes_the_request(self) -> None:
        found = explained(self.RULES, asked(end_user="jason"))
        assert found.taken is not None
        assert found.taken.route.name == "jason"
        assert found.answers[0].versions == ("v2",)

    def test_each_one_that_did_not_says_why_and_where(self) -> None:
        found = explained(self.RULES, asked(end_user="bob"))
        assert [c.unmet for c in found.considered] == ["header end-user is 'bob', not 'jason'", ""]
        assert "shop.yaml:42" in shown(found).splitlines()[2]
        assert found.answers[0].versions == ("v1",)

    @pytest.mark.parametrize(
        ("match", "why"),
        [
            ("uri: {prefix: /a}", "path /x is not prefix '/a'"),
            ("method: {exact: POST}", "method is 'GET', not 'POST'"),
            ("headers: {x: {}}", "header x is absent, not there"),
            ("withoutHeaders: {b: {exact: '1'}}", "header b is '1', which this rule leaves out"),
            ("queryParams: {q: {exact: '2'}}", "query parameter q is '1', not '2'"),
            ("queryParams: {r: {exact: '2'}}", "query parameter r is absent"),
        ],
    )
    def test_a_condition_that_fails_is_named(self, match: str, why: str) -> None:
        rules = f"- match: [{{{match}}}]\n  route: [{{destination: {{host: reviews}}}}]"
        found = explained(rules, asked("/x?q=1", b="1"))
        assert [c.unmet for c in found.considered] == [why]
        assert found.route is None
        assert [a.status for a in found.answers] == [404]


class TestAnswers:
    def test_weights_become_percentages(self) -> None:
        found = explained(
            "- route: [{destination: {host: reviews, subset: v1}, weight: 1}, "
            "{destination: {host: reviews, subset: v2}, weight: 3}]"
        )
        assert [(a.percent, a.versions) for a in found.answers] == [(25.0, ("v1",)), (75.0, ("v2",))]

    def test_a_fault_takes_its_share_first(self) -> None:
        found = explained(
            "- fault: {abort: {httpStatus: 503, percentage: {value: 20}}}\n"
            "  route: [{destination: {host: reviews, subset: v1}}]"
        )
        assert [(a.percent, a.status) for a in found.answers] == [(20.0, 503), (80.0, None)]

    def test_a_subset_without_pods_is_503(self) -> None:
        (answer,) = explained("- route: [{destination: {host: reviews, subset: v3}}]").answers
        assert (answer.status, answer.why) == (503, "subset 'v3' selects no pods (UH)")

    @pytest.mark.parametrize(
        ("redirect", "location"),
        [
            ("uri: /new", "http://reviews:9080/new?q=1"),
            ("authority: shop.example", "http://shop.example/old?q=1"),
            ("scheme: https", "https://reviews:9080/old?q=1"),
            ("authority: shop.example, port: 8080", "http://shop.example:8080/old?q=1"),
        ],
    )
    def test_a_redirect_tells_the_location(self, redirect: str, location: str) -> None:
        (answer,) = explained(f"- redirect: {{{redirect}}}", asked("/old?q=1")).answers
        assert (answer.status, answer.location) == (301, location)

    def test_a_rewrite_tells_what_the_service_sees(self) -> None:
        (answer,) = explained(
            "- match: [{uri: {prefix: /api/}}]\n  rewrite: {uri: /, authority: inner}\n"
            "  route: [{destination: {host: reviews, subset: v1}}]",
            asked("/api/reviews?x=1"),
        ).answers
        assert (answer.authority, answer.path) == ("inner", "/reviews?x=1")

    def test_an_answer_that_was_seen_is_compared(self) -> None:
        found = explained("- route: [{destination: {host: reviews, subset: v1}}]")
        assert found.allows(status=200, version="v1")
        assert not found.allows(status=200, version="v2")
        assert not found.allows(status=503)


class TestCallers:
    GATEWAY_ONLY = "- route: [{destination: {host: reviews, subset: v2}}]"
    GATEWAY = """\
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  servers: [{hosts: ["*"], port: {number: 80, name: http, protocol: HTTP}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: outside}
spec:
  hosts: [reviews]
  gateways: [edge]
  http: [{route: [{destination: {host: reviews, subset: v1}}]}]
"""

    def test_a_table_for_a_gateway_does_not_count_in_the_mesh_and_that_is_said(self) -> None:
        found = explained(self.GATEWAY_ONLY, more=self.GATEWAY)
        assert [p.table.name for p in found.passed_over] == ["outside"]
        assert "not for callers in the mesh" in found.passed_over[0].why

    def test_a_gateway_sees_its_own(self) -> None:
        found = explained(
            self.GATEWAY_ONLY, asked(host="reviews.default.svc.cluster.local"), source="ingress", more=self.GATEWAY
        )
        assert found.answers[0].versions == ("v1",)
        assert "is for callers in the mesh" in found.passed_over[0].why

    def test_a_host_nobody_knows_is_502_in_the_mesh(self) -> None:
        assert [a.status for a in explained(self.GATEWAY_ONLY, asked(host="nowhere")).answers] == [502]

    def test_policies_stand_with_their_place(self) -> None:
        (applied,) = explained(self.GATEWAY_ONLY).policies
        assert applied.policy.outlier_detection is not None
        assert applied.source.line == 33


class TestInput:
    @pytest.mark.parametrize(
        "words", [("a b", "GET", "/"), ("ftp://x", "GET", "/"), ("x", "get", "/"), ("x", "GET", "a")]
    )
    def test_what_can_be_no_request_is_refused(self, words: tuple[str, str, str]) -> None:
        with pytest.raises(UsageError):
            Asked.of(*words)

    def test_a_caller_nobody_knows_names_those_there_are(self) -> None:
        with pytest.raises(UsageError, match="reviews-v1, reviews-v2"):
            explained(TestCallers.GATEWAY_ONLY, source="rewiews")

    def test_programs_get_plain_values(self) -> None:
        found = data(explained(TestRules.RULES))
        assert found["rules"][0]["unmet"] == "header end-user is absent, not 'jason'"
        assert found["answers"][0]["versions"] == ["v1"]
