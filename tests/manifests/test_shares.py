"""The shares of a service's versions that its rules intend."""

from __future__ import annotations

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read_text
from meshtest.manifests.shares import shares

HOST = "reviews.default.svc.cluster.local"


def split(text: str) -> dict[str, float]:
    return shares(compile(read_text(text)).topology, HOST)


def virtual_service(*rules: str, more: str = "", hosts: str = "[reviews]", name: str = "reviews") -> str:
    http = "".join(f"  - {{{rule}}}\n" for rule in rules)
    head = f"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: {name}}}\nspec:\n"
    return f"{head}  hosts: {hosts}\n{more}  http:\n{http}---\n"


def to(**weights: int) -> str:
    entries = (f"{{destination: {{host: reviews, subset: {s}}}, weight: {w}}}" for s, w in weights.items())
    return f"route: [{', '.join(entries)}]"


GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec: {servers: [{port: {number: 80, protocol: HTTP, name: http}, hosts: ["*"]}]}
---
"""
AT_THE_EDGE = "  gateways: [edge]\n"


def test_without_rules_requests_spread_over_the_pods(reviews: str) -> None:
    assert split(reviews) == {"v1": 25.0, "v2": 75.0}


def test_weights_are_shares_and_need_not_sum_to_100(reviews: str) -> None:
    assert split(reviews + virtual_service(to(v1=1, v2=3))) == {"v1": 25.0, "v2": 75.0}


def test_a_destination_without_subset_spreads_its_part_over_the_pods(reviews: str) -> None:
    rule = "route: [{destination: {host: reviews}, weight: 50}, {destination: {host: reviews, subset: v1}, weight: 50}]"
    assert split(reviews + virtual_service(rule)) == {"v1": 62.5, "v2": 37.5}


def test_a_subset_is_told_by_its_version_label_and_else_by_its_name(reviews: str) -> None:
    renamed = reviews.replace("{name: v1, labels: {version: v1}}", "{name: stable, labels: {version: v1}}").replace(
        "{name: v2, labels: {version: v2}}", "{name: canary, labels: {tier: canary}}"
    )
    assert split(renamed + virtual_service(to(stable=9, canary=1))) == {"v1": 90.0, "canary": 10.0}


def test_rules_for_some_users_do_not_count(reviews: str) -> None:
    jason = "match: [{headers: {end-user: {exact: jason}}}], " + to(v2=1)
    assert split(reviews + virtual_service(jason, to(v1=1))) == {"v1": 100.0}


def test_the_rule_that_takes_the_rest_counts_before_one_for_a_path(reviews: str) -> None:
    path = "match: [{uri: {prefix: /a}}], " + to(v2=1)
    assert split(reviews + virtual_service(path, to(v1=1))) == {"v1": 100.0}
    assert split(reviews + virtual_service(path)) == {"v2": 100.0}


def test_a_gateway_counts_where_the_mesh_has_no_rule(reviews: str) -> None:
    edge = GATEWAY + virtual_service(to(v2=1), more=AT_THE_EDGE, hosts="['*']", name="edge")
    assert split(reviews + edge) == {"v2": 100.0}
    assert split(reviews + edge + virtual_service(to(v1=1))) == {"v1": 100.0}


@pytest.mark.parametrize("host", ["ratings.default.svc.cluster.local", "reviews"])
def test_a_host_that_is_no_service_has_no_shares(reviews: str, host: str) -> None:
    assert shares(compile(read_text(reviews)).topology, host) == {}
