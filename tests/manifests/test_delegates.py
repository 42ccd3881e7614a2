"""VirtualServices whose routes others hold. The cases are those of Istio's rules, told in pilot/pkg/model."""

from __future__ import annotations

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Severity
from meshtest.model.document import Documents
from meshtest.model.route import Route

KIND = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n"
TO = "route: [{destination: {host: reviews}}]"


def root(rule: str, more: str = "") -> str:
    return f"{KIND}metadata: {{name: root}}\nspec:\n  hosts: [reviews]\n{more}  http:\n  - {{{rule}}}\n"


def below(*rules: str, name: str = "below", namespace: str = "default", more: str = "") -> str:
    head = f"{KIND}metadata: {{name: {name}, namespace: {namespace}}}\nspec:\n{more}  http:\n"
    return head + "".join(f"  - {{{rule}}}\n" for rule in rules)


DELEGATE = "delegate: {name: below}"


def documents(*parts: str) -> Documents:
    return Documents(tuple(d for i, part in enumerate(parts) for d in read_text(part, f"{i}.yaml")))


def routes(*parts: str) -> tuple[Route, ...]:
    compiled = compile(documents(*parts))
    assert [str(d) for d in compiled.diagnostics if d.severity is Severity.ERROR] == []
    (table,) = compiled.topology.tables
    return table.routes


def said(*parts: str) -> list[str]:
    return [str(d) for d in compile(documents(*parts)).diagnostics if d.severity >= Severity.WARNING]


def paths(*parts: str) -> list[str]:
    return [f"{r.match.path.kind} {r.match.path.value}" if r.match.path else "" for r in routes(*parts)]


def test_the_routes_of_the_delegate_stand_in_the_place_of_the_rule(reviews: str) -> None:
    two = below(f"match: [{{uri: {{prefix: /a/b}}}}], {TO}", f"match: [{{uri: {{exact: /a/c}}}}], {TO}")
    assert paths(reviews, root(f"match: [{{uri: {{prefix: /a}}}}], {DELEGATE}"), two) == ["prefix /a/b", "exact /a/c"]


def test_matches_of_both_levels_hold(reviews: str) -> None:
    leaf = below(f"match: [{{headers: {{h: {{exact: '1'}}}}, name: leaf}}], name: leaf, {TO}")
    (route,) = routes(reviews, root(f"match: [{{uri: {{prefix: /a}}, name: top}}], name: top, {DELEGATE}"), leaf)
    assert route.name == "top-leaf.top-leaf"
    assert route.match.path is not None
    assert (route.match.path.value, [h.name for h in route.match.headers]) == ("/a", ["h"])


def test_a_delegate_without_a_match_has_that_of_the_root(reviews: str) -> None:
    assert paths(reviews, root(f"match: [{{uri: {{prefix: /a}}}}], {DELEGATE}"), below(TO)) == ["prefix /a"]


@pytest.mark.parametrize(
    ("top", "leaf"),
    [
        ("uri: {prefix: /a/b}", "uri: {prefix: /a}"),
        ("uri: {prefix: /a}", "uri: {exact: /b}"),
        ("uri: {exact: /a}", "uri: {prefix: /a}"),
        ("uri: {regex: /a}", "uri: {regex: /a}"),
        ("uri: {prefix: /a}", "uri: {regex: /a.*}"),
        ("uri: {prefix: /a}, ignoreUriCase: true", "uri: {prefix: /a/b}"),
        ("method: {exact: GET}", "method: {exact: POST}"),
        ("headers: {h: {prefix: a}}", "headers: {h: {exact: b}}"),
        ("queryParams: {q: {exact: a}}", "queryParams: {q: {exact: b}}"),
        ("port: 1", "port: 2"),
        ("sourceLabels: {a: b}", "sourceLabels: {a: c}"),
        ("sourceNamespace: a", "sourceNamespace: b"),
        ("gateways: [a/b]", "gateways: [mesh]"),
    ],
)
def test_a_rule_outside_of_the_root_is_left_out_and_told(reviews: str, top: str, leaf: str) -> None:
    parts = root(f"match: [{{{top}}}], {DELEGATE}"), below(f"match: [{{{leaf}}}], {TO}", TO)
    compiled = compile(documents(reviews, *parts))
    assert len(compiled.topology.tables[0].routes) == 1
    assert [str(d) for d in compiled.diagnostics if d.code == "delegate-conflict"] == [
        "2.yaml:6: warning: `spec.http[0]` is left out: it matches requests that `spec.http[0]` (1.yaml:7) does not "
        "delegate [delegate-conflict]"
    ]


def test_what_the_delegate_does_not_say_the_root_says(reviews: str) -> None:
    said_above = "timeout: 5s, retries: {attempts: 7}, rewrite: {uri: /x}, fault: {abort: {httpStatus: 500, "
    said_above += "percentage: {value: 1}}}, mirror: {host: reviews}, headers: {request: {set: {a: b}}}"
    own, other = routes(
        reviews, root(f"{said_above}, {DELEGATE}"), below(f"timeout: 1s, match: [{{uri: {{prefix: /a}}}}], {TO}", TO)
    )
    assert (own.timeout, other.timeout) == (1.0, 5.0)
    assert own.retry is not None
    assert own.retry.attempts == 7
    assert own.rewrite is not None
    assert (own.rewrite.prefix, own.fault is not None, len(own.mirrors)) == ("/x", True, 1)
    assert own.request_headers.set == {"a": "b"}


def test_a_delegate_of_another_namespace_means_its_own_services(reviews: str) -> None:
    other = "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: team}\nspec: {ports: [{port: 80}]}\n"
    leaf = below("route: [{destination: {host: web}}]", namespace="team")
    (route,) = routes(reviews, other, root("delegate: {name: below, namespace: team}"), leaf)
    assert route.destinations[0].host == "web.team.svc.cluster.local"
    assert route.source.file == "3.yaml"


@pytest.mark.parametrize(
    ("rule", "other", "message"),
    [
        (
            "delegate: {name: belou}",
            below(TO),
            "1.yaml:7: error: there is no VirtualService `default/belou` to delegate to; did you mean "
            "`default/below`? [unknown-delegate]",
        ),
        (
            DELEGATE,
            below(TO, more="  hosts: [b.example]\n"),
            "1.yaml:7: error: `spec.http[0].delegate`: VirtualService `below` (2.yaml:1) has hosts of its own; a "
            "delegate has none [bad-delegate]",
        ),
        (
            "delegate: {name: root}",
            below(TO),
            "1.yaml:7: error: `spec.http[0].delegate`: VirtualService `root` (1.yaml:1) delegates to itself "
            "[bad-delegate]",
        ),
        (
            DELEGATE,
            below(DELEGATE),
            "1.yaml:7: error: `spec.http[0].delegate`: VirtualService `below` (2.yaml:1) delegates further; there is "
            "one level only (Istio) [bad-delegate]",
        ),
        (
            "delegate: {name: below, namespace: team}",
            below(TO, namespace="team", more="  exportTo: [.]\n"),
            "1.yaml:7: error: `spec.http[0].delegate`: VirtualService `below` (2.yaml:1) is not exported to namespace "
            "`default` [bad-delegate]",
        ),
        (
            f"{DELEGATE}, {TO}",
            below(TO),
            "1.yaml:7: error: `spec.http[0].route`: a rule that delegates has no route of its own (Istio) [bad-value]",
        ),
        (
            DELEGATE,
            below(TO, more="  gateways: [mesh]\n"),
            "2.yaml:5: error: `spec.gateways`: a VirtualService without hosts (a delegate) has no gateways [bad-value]",
        ),
    ],
)
def test_each_complaint_names_both_places(reviews: str, rule: str, other: str, message: str) -> None:
    assert message in said(reviews, root(rule), other)


def test_a_delegate_that_nobody_uses_is_told(reviews: str) -> None:
    assert said(reviews, below(TO)) == [
        "1.yaml:1: warning: VirtualService `below` has no hosts, and no other VirtualService delegates to it: it does "
        "nothing [unused-delegate]"
    ]


def test_nothing_is_told_twice(reviews: str) -> None:
    parts = root(f"match: [{{uri: {{prefix: /a}}}}], {DELEGATE}"), below("route: [{destination: {host: nobody}}]")
    second = parts[0].replace("name: root", "name: other").replace("[reviews]", "[b.example]")
    assert len(said(reviews, *parts, second)) == 1
