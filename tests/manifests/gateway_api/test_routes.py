"""HTTPRoute, GRPCRoute, TLSRoute and TCPRoute as tables: defaults of the CRDs, references, filters."""

from __future__ import annotations

import pytest

from meshtest.model.route import Redirect, Retry, Route, StringMatch
from tests.manifests.gateway_api.shop import V1, V2, compiled, gateway, reason, route

GRANT = """\
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: {name: all, namespace: data}
spec:
  from: [{group: gateway.networking.k8s.io, kind: KIND, namespace: default}]
  to: [{group: "", kind: Service, name: NAME}]
---
"""


def one(rules: str, *more: str) -> Route:
    return compiled(gateway(), route(rules), *more).topology.tables[0].routes[0]


class TestDefaults:
    def test_a_rule_without_matches_takes_every_path(self) -> None:
        assert one("[{backendRefs: [{name: web, port: 80}]}]").match.path == StringMatch(kind="path_prefix", value="/")

    def test_a_weight_that_is_not_given_is_one(self) -> None:
        refs = "[{name: web-v1, port: 80}, {name: web-v2, port: 80, weight: 3}]"
        assert [d.weight for d in one(f"[{{backendRefs: {refs}}}]").destinations] == [1, 3]

    def test_a_redirect_is_302_and_keeps_the_listeners_port(self) -> None:
        found = one("[{filters: [{type: RequestRedirect, requestRedirect: {}}]}]").redirect
        assert found == Redirect(status=302, port=0)

    def test_a_scheme_brings_its_own_port(self) -> None:
        found = one("[{filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]}]").redirect
        assert found == Redirect(status=302, scheme="https", port=443)

    def test_a_cors_answer_is_kept_for_five_seconds(self) -> None:
        found = one("[{filters: [{type: CORS, cors: {allowOrigins: ['*']}}], backendRefs: [{name: web, port: 80}]}]")
        assert found.cors is not None
        assert found.cors.max_age == 5.0
        assert not found.cors.forward_unmatched_preflights

    def test_retries_are_istios_and_a_rules_codes_come_on_top(self) -> None:
        default = one("[{backendRefs: [{name: web, port: 80}]}]").retry
        asked = one("[{backendRefs: [{name: web, port: 80}], retry: {codes: [500, 503]}}]").retry
        assert default is not None
        assert asked == Retry(attempts=2, on=default.on, status_codes=(500, 503))

    def test_no_retry_at_all_makes_the_tries_timeout_the_requests(self) -> None:
        rule = "{backendRefs: [{name: web, port: 80}], retry: {attempts: 0}, timeouts: {backendRequest: 2s}}"
        assert (one(f"[{rule}]").retry, one(f"[{rule}]").timeout) == (None, 2.0)

    def test_a_timeout_of_zero_is_none(self) -> None:
        assert one("[{backendRefs: [{name: web, port: 80}], timeouts: {request: 0s}}]").timeout is None


class TestReferences:
    @pytest.mark.parametrize(
        ("reference", "condition"),
        [
            ("{name: web, port: 80}", "True ResolvedRefs"),
            ("{name: gone, port: 80}", "False BackendNotFound"),
            ("{name: web, port: 99}", "False BackendNotFound"),
            ("{name: web}", "False BackendNotFound"),
            ("{name: db, namespace: data, port: 80}", "False RefNotPermitted"),
            ("{name: x, group: example.com, kind: Thing, port: 80}", "False InvalidKind"),
        ],
    )
    def test_one_that_leads_nowhere_is_answered_500_and_told(self, reference: str, condition: str) -> None:
        found = compiled(gateway(), route(f"[{{backendRefs: [{reference}]}}]"))
        assert reason(found, "web", "ResolvedRefs") == condition
        answer = found.topology.tables[0].routes[0].direct_response
        assert (answer.status if answer else 200) == (200 if condition.startswith("True") else 500)

    @pytest.mark.parametrize(
        ("kind", "name", "granted"),
        [("HTTPRoute", "''", True), ("HTTPRoute", "db", True), ("HTTPRoute", "x", False), ("GRPCRoute", "db", False)],
    )
    def test_another_namespace_needs_a_grant_for_kind_and_name(self, kind: str, name: str, granted: bool) -> None:
        grant = GRANT.replace("KIND", kind).replace("NAME", name)
        found = compiled(gateway(), grant, route("[{backendRefs: [{name: db, namespace: data, port: 80}]}]"))
        assert reason(found, "web", "ResolvedRefs") == ("True ResolvedRefs" if granted else "False RefNotPermitted")

    def test_a_broken_backend_keeps_its_share(self) -> None:
        found = one("[{backendRefs: [{name: web, port: 80}, {name: gone, port: 80, weight: 3}]}]")
        assert [(d.weight, d.broken) for d in found.destinations] == [(1, 0), (3, 500)]

    @pytest.mark.parametrize("refs", ["[]", "[{name: web, port: 80, weight: 0}]"])
    def test_without_a_backend_requests_get_500(self, refs: str) -> None:
        answer = one(f"[{{backendRefs: {refs}}}]").direct_response
        assert answer is not None
        assert answer.status == 500

    def test_a_hint_names_what_was_meant(self) -> None:
        found = compiled(gateway(), route("[{backendRefs: [{name: web-v3, port: 80}]}]"))
        assert any("did you mean `web-v" in d.message for d in found.diagnostics)


class TestFilters:
    def test_mirrors_have_a_percentage_or_a_fraction(self) -> None:
        mirror = "{type: RequestMirror, requestMirror: {backendRef: {name: web-v2, port: 80}, SHARE}}"
        shares = ["percent: 20", "fraction: {numerator: 1, denominator: 8}", "fraction: {numerator: 5}", "percent: 0"]
        filters = ", ".join(mirror.replace("SHARE", share) for share in shares)
        found = one(f"[{{filters: [{filters}], backendRefs: [{{name: web, port: 80}}]}}]")
        assert [m.percent for m in found.mirrors] == [20.0, 12.5, 5.0]
        assert {m.destination.host for m in found.mirrors} == {V2}

    def test_filters_of_a_backend_are_its_own(self) -> None:
        own = "[{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /x}}}]"
        found = one(f"[{{backendRefs: [{{name: web-v1, port: 80, filters: {own}}}, {{name: web-v2, port: 80}}]}}]")
        rewrites = [d.rewrite and d.rewrite.full_path for d in found.destinations]
        assert rewrites == ["/x", None]

    def test_a_filter_of_some_implementation_must_not_be_passed_over(self) -> None:
        own = "[{type: ExtensionRef, extensionRef: {group: a, kind: b, name: c}}]"
        found = one(f"[{{filters: {own}, backendRefs: [{{name: web, port: 80}}]}}]")
        assert found.direct_response is not None
        assert found.direct_response.status == 500

    @pytest.mark.parametrize(
        ("rule", "message"),
        [
            ("{filters: [{type: RequestRedirect, requestRedirect: {}}], backendRefs: [{name: web, port: 80}]}",
             "takes one of RequestRedirect, backendRefs"),
            ("{matches: [{path: {type: Exact, value: /a}}], filters: [{type: URLRewrite, urlRewrite: {path: "
             "{type: ReplacePrefixMatch, replacePrefixMatch: /}}}], backendRefs: []}", "matches of type PathPrefix"),
            ("{filters: [{type: RequestRedirect, requestRedirect: {statusCode: 300}}]}", "301, 302, 303, 307, 308"),
            ("{filters: [{type: Redirect}]}", "did you mean 'RequestRedirect'?"),
            ("{matches: [{path: {value: a}}], backendRefs: []}", "must begin with `/`"),
            ("{matches: [{path: {type: RegularExpression, value: '('}}], backendRefs: []}", "no regular expression"),
            ("{retry: {codes: [200]}, backendRefs: []}", "statuses from 400 to 599"),
        ],
    )  # fmt: skip
    def test_bad_input_is_told_where_it_stands(self, rule: str, message: str) -> None:
        told = [d for d in compiled(gateway(), route(f"[{rule}]")).diagnostics if d.severity == 2]
        assert [d for d in told if message in d.message], told
        assert all(d.source.file == "m.yaml" and d.source.line > 50 for d in told)


class TestGrpc:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("{service: a.B, method: C}", StringMatch(kind="exact", value="/a.B/C")),
            ("{service: a.B}", StringMatch(kind="prefix", value="/a.B/")),
            ("{method: C}", StringMatch(kind="regex", value="/[^/]+/C")),
            ("{type: RegularExpression, service: 'a.*', method: C}", StringMatch(kind="regex", value="/a.*/C")),
        ],
    )
    def test_a_method_is_a_path(self, method: str, path: StringMatch) -> None:
        rules = f"[{{matches: [{{method: {method}}}], backendRefs: [{{name: web, port: 80}}]}}]"
        assert compiled(gateway(), route(rules, kind="GRPCRoute")).topology.tables[0].routes[0].match.path == path


class TestStreams:
    def test_a_tls_route_goes_by_server_name(self) -> None:
        edge = gateway("[{name: tls, port: 443, protocol: TLS, tls: {mode: Passthrough}}]")
        table = compiled(edge, route(kind="TLSRoute", hostnames="[a.example.com]")).topology.tables[0]
        assert table.tls[0].match.sni_hosts == ("a.example.com",)
        assert [d.host for d in table.tls[0].destinations] == [V1]
        assert table.gateways == ("default/edge/tls",)

    def test_a_tcp_route_goes_by_port_alone(self) -> None:
        edge = gateway("[{name: tcp, port: 90, protocol: TCP}]")
        text = route(kind="TCPRoute").replace("  hostnames: []\n", "")
        table = compiled(edge, text).topology.tables[0]
        assert [d.host for d in table.tcp[0].destinations] == [V1]
