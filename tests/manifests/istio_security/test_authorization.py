"""AuthorizationPolicy: what is read, and what is refused in upstream's words, with file and line."""

from __future__ import annotations

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Severity
from meshtest.model.security import Authorization, Condition, Target


def document(spec: str, annotations: str = "") -> str:
    more = f", annotations: {{{annotations}}}" if annotations else ""
    return f"""\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: a{more}}}
spec: {spec}
"""


def read(spec: str, annotations: str = "") -> Authorization:
    return compile(read_text(document(spec, annotations), "m.yaml")).topology.authorizations[0]


def errors(spec: str, annotations: str = "") -> list[str]:
    notes = compile(read_text(document(spec, annotations), "m.yaml")).diagnostics
    return [str(n) for n in notes if n.severity is Severity.ERROR]


def rule(text: str, action: str = "ALLOW") -> str:
    return f"{{action: {action}, rules: [{text}]}}"


def test_sources_operations_and_conditions_are_attributes_with_values() -> None:
    text = (
        "from: [{source: {principals: [p], notNamespaces: [n]}}, {source: {ipBlocks: [10.0.0.1]}}], "
        "to: [{operation: {paths: [/a], notMethods: [PUT]}}], when: [{key: 'request.headers[x]', values: ['1']}]"
    )
    found = read(rule(f"{{{text}}}")).rules[0]
    assert found.sources == (
        (Condition(key="source.principal", values=("p",)), Condition(key="source.namespace", not_values=("n",))),
        (Condition(key="source.ip", values=("10.0.0.1",)),),
    )
    assert found.operations == (
        (Condition(key="request.method", not_values=("PUT",)), Condition(key="request.path", values=("/a",))),
    )
    assert found.conditions == (Condition(key="request.headers[x]", values=("1",)),)


def test_a_policy_without_rules_is_kept_because_it_denies_everything() -> None:
    assert read("{}").rules == ()
    assert read("{}").action == "ALLOW"
    assert errors("{}") == []


def test_a_target_is_kept_and_a_dry_run_is_one() -> None:
    found = read(
        "{targetRefs: [{kind: Gateway, group: gateway.networking.k8s.io, name: g}]}", 'istio.io/dry-run: "true"'
    )
    assert found.scope.targets == (Target(kind="Gateway", name="g", group="gateway.networking.k8s.io"),)
    assert found.dry_run


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{action: DENI}", 'spec.action: Unsupported value: "DENI"'),
        ("{action: DENY}", "DENY action without `rules` is meaningless as it will never be triggered"),
        ("{action: CUSTOM, rules: [{}]}", "`provider.name` must not be empty"),
        ("{provider: {name: x}}", "`provider` must not be with non CUSTOM action, found ALLOW"),
        (rule("{from: []}"), "`from` must not be empty"),
        (rule("{from: [{}]}"), "`from.source` must not be nil"),
        (rule("{from: [{source: {}}]}"), "`from.source` must not be empty"),
        (rule("{to: []}"), "`to` must not be empty"),
        (rule("{to: [{operation: {}}]}"), "`to.operation` must not be empty"),
        (rule("{from: [{source: {ipBlocks: [10.0.0.300]}}]}"), "bad IP address (10.0.0.300)"),
        (rule("{from: [{source: {remoteIpBlocks: [10.0.0.0/40]}}]}"), "bad CIDR range (10.0.0.0/40)"),
        (rule('{from: [{source: {principals: [""]}}]}'), "empty value not allowed"),
        (rule('{to: [{operation: {ports: ["http"]}}]}'), "bad port (http)"),
        (rule("{to: [{operation: {ports: ['70000']}}]}"), "bad port (70000)"),
        (rule('{to: [{operation: {paths: ["/{*}/{id}"]}}]}'), "invalid or unsupported path template"),
        (rule('{to: [{operation: {paths: ["/{**}/x/{**}"]}}]}'), "`{**}` may stand once, as the last operator"),
        (rule('{to: [{operation: {paths: ["/{**}/{*}"]}}]}'), "`{**}` may stand once, as the last operator"),
        (rule('{to: [{operation: {paths: ["/{*}x"]}}]}'), "'{*}x' must be `{*}`, `{**}`, or a plain path segment"),
        (rule('{to: [{operation: {paths: ["/a b/{*}"]}}]}'), "'a b' must be `{*}`, `{**}`, or a plain path segment"),
        (rule('{to: [{operation: {paths: ["//{*}"]}}]}'), "'' must be `{*}`, `{**}`, or a plain path segment"),
        (rule('{to: [{operation: {paths: ["a/{*}"]}}]}'), "it must start with a slash"),
        (rule('{to: [{operation: {paths: ["/{*}/{*}/{*}/{*}/{*}/{*}"]}}]}'), "at most 5 operators"),
        (rule("{when: [{key: '', values: [a]}]}"), "`key` must not be empty"),
        (rule("{when: [{key: source.ip}]}"), "at least one of `values` or `notValues` must be set for key source.ip"),
        (rule("{when: [{key: source.principle, values: [a]}]}"), "did you mean `source.principal`?"),
        (
            rule("{when: [{key: 'request.headers[]', values: [a]}]}"),
            "bad key (request.headers[])",
        ),
        (rule("{when: [{key: destination.user, values: [a]}]}"), "only supported in v1alpha1"),
        (
            rule("{from: [{source: {serviceAccounts: [a], principals: [b]}}]}"),
            "Cannot set serviceAccounts with namespaces or principals",
        ),
        (rule("{from: [{source: {serviceAccounts: ['a/*']}}]}"), "wildcard not allowed"),
        ("{selector: {matchLabels: {app: 'a*'}}}", "wildcard is not supported in selector"),
        (
            "{selector: {matchLabels: {a: b}}, targetRef: {kind: Service, name: x}}",
            "only one of targetRefs or selector can be set",
        ),
        (
            "{targetRef: {kind: Service, name: x, namespace: y}}",
            "cross namespace referencing is not currently supported",
        ),
        (
            "{action: CUSTOM, provider: {name: x}, rules: [{from: [{source: {namespaces: [a]}}]}]}",
            "From.Namespaces is currently not supported with CUSTOM action",
        ),
    ],
)
def test_what_istio_refuses_is_refused_in_its_words(spec: str, message: str) -> None:
    found = errors(spec)
    assert any(message in text for text in found), found
    assert all(text.startswith("m.yaml:4: error: ") for text in found)


def test_a_dry_run_annotation_is_a_truth_value() -> None:
    assert "must be true or false, not 'yes'" in errors("{}", "istio.io/dry-run: 'yes'")[0]
