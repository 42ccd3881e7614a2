"""The decision function: order, reasons and places. Single attributes are held against Envoy by tests/conformance."""

from __future__ import annotations

from meshtest.manifests.compiler import compile
from meshtest.manifests.istio_security.decide import Decision, Facts, decide
from meshtest.manifests.reader import read_text
from meshtest.model.security import Proxy

WEB = Proxy(namespace="shop", labels={"app": "web"})


def policy(name: str, spec: str, *, dry_run: bool = False) -> str:
    annotations = ", annotations: {istio.io/dry-run: 'true'}" if dry_run else ""
    return f"""\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}, namespace: shop{annotations}}}
spec:
  {spec}
---
"""


def decided(*policies: str, tcp: bool = False, **facts: object) -> Decision:
    topology = compile(read_text("".join(policies), "p.yaml")).topology
    return decide(topology, WEB, Facts(**facts), tcp=tcp)  # type: ignore[arg-type]


DENY_ADMIN = policy("no-admin", "{action: DENY, rules: [{to: [{operation: {paths: [/admin*]}}]}]}")
ALLOW_GET = policy("get", "{rules: [{to: [{operation: {methods: [PUT]}}]}, {to: [{operation: {methods: [GET]}}]}]}")
NOTHING = policy("nothing", "{}")


def test_without_policies_everything_is_let_in() -> None:
    assert decided(path="/admin") == Decision(allowed=True, why="no policy is against it")


def test_a_deny_names_its_policy_rule_and_line() -> None:
    found = decided(ALLOW_GET, DENY_ADMIN, path="/admin/x")
    assert (found.allowed, found.rule, str(found.source)) == (False, 0, "p.yaml:11")
    assert found.policy is not None
    assert found.policy.name == "no-admin"
    assert found.why == "rule 0 of DENY policy `no-admin` (p.yaml:11) denies it"


def test_an_allow_names_the_rule_that_took_it() -> None:
    found = decided(DENY_ADMIN, ALLOW_GET, path="/")
    assert (found.allowed, found.rule) == (True, 1)
    assert found.why == "rule 1 of ALLOW policy `get` (p.yaml:11) allows it"


def test_what_no_allow_policy_takes_is_denied_and_all_of_them_are_named() -> None:
    found = decided(ALLOW_GET, NOTHING, method="POST")
    assert (found.allowed, found.policy) == (False, None)
    assert "`get` (p.yaml:1), `nothing` (p.yaml:7)" in found.why


def test_an_unknown_authorizer_denies_before_all_others() -> None:
    custom = policy("ask", "{action: CUSTOM, provider: {name: opa}, rules: [{}]}")
    assert decided(custom, DENY_ADMIN, path="/admin").why.endswith("asks an unknown authorizer")


def test_a_dry_run_and_an_audit_decide_nothing_but_a_dry_run_is_told() -> None:
    dry = policy("dry", "{action: DENY, rules: [{}]}", dry_run=True)
    audit = policy("audit", "{action: AUDIT, rules: [{}]}")
    found = decided(dry, audit)
    assert found.allowed
    assert found.dry_run == ("dry-run DENY policy `dry` (p.yaml:1) would take it",)


def test_on_tcp_an_http_attribute_voids_an_allow_rule_and_widens_a_deny_rule() -> None:
    assert not decided(ALLOW_GET, tcp=True, method="GET").allowed
    assert not decided(DENY_ADMIN, tcp=True, path="/").allowed


def test_a_policy_for_others_does_not_count() -> None:
    other = policy("other", "{selector: {matchLabels: {app: other}}, action: DENY, rules: [{}]}")
    assert decided(other).allowed


def test_claims_are_strings_or_lists_and_without_a_token_there_are_none() -> None:
    asks = policy("t", "{rules: [{when: [{key: 'request.auth.claims[realm][roles]', values: [admin]}]}]}")
    assert decided(asks, claims={"realm": {"roles": ["user", "admin"]}}).allowed
    assert decided(asks, claims={"realm": {"roles": "admin"}}).allowed
    assert not decided(asks, claims={"realm": {"roles": ["user"]}}).allowed
    assert not decided(asks, claims=None).allowed
