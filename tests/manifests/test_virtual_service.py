"""VirtualServices as route tables: matches, destinations, actions, and what is refused with its place."""

from __future__ import annotations

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Severity
from meshtest.model.route import (
    Abort,
    Cors,
    Delay,
    DirectResponse,
    HeaderEdits,
    HeaderMatch,
    Match,
    Redirect,
    Retry,
    Rewrite,
    Route,
    RouteTable,
    StringMatch,
)

HEAD = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews}\nspec:\n"
TO_V1 = "route: [{destination: {host: reviews, subset: v1}}]"


def virtual_service(http: str, *, hosts: str = "[reviews]", more: str = "") -> str:
    rules = "\n".join(f"  {line}" for line in http.splitlines())
    return f"{HEAD}  hosts: {hosts}\n{more}  http:\n{rules}\n"


def table(reviews: str, http: str, **more: str) -> RouteTable:
    (found,) = compile(read_text(reviews + virtual_service(http, **more))).topology.tables
    return found


def the_route(reviews: str, rule: str) -> Route:
    return table(reviews, f"- {{{rule}}}").routes[0]


def said(reviews: str, http: str, **more: str) -> list[str]:
    """The diagnostics, with lines counted from the head of the VirtualService."""
    notes = compile(read_text(reviews + virtual_service(http, **more), "m.yaml")).diagnostics
    shown = []
    for note in notes:
        if note.severity >= Severity.WARNING:
            line = note.source.line - reviews.count("\n")
            shown.append(f"{line}: {note.severity.name.lower()}: {note.message} [{note.code}]")
    return shown


def matched(reviews: str, match: str) -> Match:
    return the_route(reviews, f"match: [{{{match}}}], {TO_V1}").match


class TestTable:
    def test_short_names_are_of_the_namespace_of_the_object(self, reviews: str) -> None:
        found = table(reviews, f"- {TO_V1}", more="  gateways: [mesh, edge, other/edge, ./edge, edge.infra]\n")
        assert found.hosts == ("reviews.default.svc.cluster.local",)
        assert found.gateways == ("mesh", "default/edge", "other/edge", "default/edge", "infra/edge")
        assert found.routes[0].destinations[0].host == "reviews.default.svc.cluster.local"

    def test_dotted_names_and_wildcards_stay(self, reviews: str) -> None:
        found = table(reviews, f"- {TO_V1}", hosts='["*", "*.example.com", reviews.default]')
        assert found.hosts == ("*", "*.example.com", "reviews.default")

    def test_without_gateways_it_is_for_callers_in_the_mesh(self, reviews: str) -> None:
        assert table(reviews, f"- {TO_V1}").gateways == ("mesh",)

    @pytest.mark.parametrize(
        ("export_to", "namespaces"),
        [("", ()), ("['*']", ()), ("[.]", ("default",)), ("[., shop]", ("default", "shop")), ("['~']", ("~",))],
    )
    def test_export_to_limits_who_sees_it(self, reviews: str, export_to: str, namespaces: tuple[str, ...]) -> None:
        assert table(reviews, f"- {TO_V1}", more=f"  exportTo: {export_to}\n").visible_to == namespaces

    def test_each_match_of_a_rule_is_a_route_of_its_own(self, reviews: str) -> None:
        rule = f"- {{name: r, match: [{{uri: {{exact: /a}}}}, {{name: m, uri: {{prefix: /b}}}}], {TO_V1}}}"
        routes = table(reviews, rule).routes
        assert [(r.name, r.match.path and r.match.path.value) for r in routes] == [("r", "/a"), ("r.m", "/b")]


class TestMatch:
    @pytest.mark.parametrize(
        ("text", "path"),
        [
            ("uri: {exact: /a}", StringMatch(kind="exact", value="/a")),
            ("uri: {prefix: /a}, ignoreUriCase: true", StringMatch(kind="prefix", value="/a", ignore_case=True)),
            ("uri: {regex: /a.*}, ignoreUriCase: true", StringMatch(kind="regex", value="/a.*")),
            ("uri: {}", None),
        ],
    )
    def test_paths(self, reviews: str, text: str, path: StringMatch | None) -> None:
        assert matched(reviews, text).path == path

    def test_headers_are_sorted_and_an_empty_one_asks_for_presence(self, reviews: str) -> None:
        found = matched(reviews, "headers: {X-B: {exact: '1'}, x-a: {}, x-c: {regex: '*'}}, method: {exact: GET}")
        assert found.headers == (
            HeaderMatch(name="x-a", match=StringMatch(kind="present")),
            HeaderMatch(name="x-b", match=StringMatch(kind="exact", value="1")),
            HeaderMatch(name="x-c", match=StringMatch(kind="present")),
            HeaderMatch(name=":method", match=StringMatch(kind="exact", value="GET")),
        )

    def test_without_headers_an_absent_header_matches(self, reviews: str) -> None:
        found = matched(reviews, "withoutHeaders: {a: {exact: '1'}, b: {}}")
        assert found.headers == (
            HeaderMatch(name="a", match=StringMatch(kind="exact", value="1"), invert=True, missing_is_empty=True),
            HeaderMatch(name="b", match=StringMatch(kind="present"), invert=True),
        )

    def test_the_rest(self, reviews: str) -> None:
        text = "queryParams: {q: {exact: '1'}}, port: 9080, sourceLabels: {app: a}, sourceNamespace: shop, name: m"
        found = matched(reviews, f"{text}, gateways: [mesh, edge]")
        assert found.query == (("q", StringMatch(kind="exact", value="1")),)
        assert (found.port, found.caller_labels, found.caller_namespace) == (9080, {"app": "a"}, "shop")
        assert (found.gateways, found.name) == (("mesh", "default/edge"), "m")

    @pytest.mark.parametrize(
        ("name", "path"),
        [
            ("@request.auth.claims[sub]", ("sub",)),
            ("@request.auth.claims.sub", ("sub",)),
            ("@request.auth.claims.group.id", ("group", "id")),
            ("@request.auth.claims[group][id]", ("group", "id")),
            ("@request.auth.claims[a.b]", ("a.b",)),
        ],
    )
    def test_a_match_on_a_claim_of_the_token(self, reviews: str, name: str, path: tuple[str, ...]) -> None:
        wanted = StringMatch(kind="exact", value="a")
        (found,) = matched(reviews, f"headers: {{'{name}': {{exact: a}}}}").headers
        assert found == HeaderMatch(name=name, match=wanted, claim=path)
        (found,) = matched(reviews, f"withoutHeaders: {{'{name}': {{exact: a}}}}").headers
        assert found == HeaderMatch(name=name, match=wanted, claim=path, invert=True)

    @pytest.mark.parametrize("name", ["@request.auth.claims", "@request.auth.claims[]", "@request.auth.claims.a..b"])
    def test_a_claim_without_a_name_is_an_error(self, reviews: str, name: str) -> None:
        (error,) = said(reviews, f"- match: [{{headers: {{'{name}': {{exact: a}}}}}}]\n  {TO_V1}")
        assert error == (
            f'7: error: `spec.http[0].match[0].headers["{name}"]` names no claim; write @request.auth.claims.NAME, or '
            "@request.auth.claims[NAME][BELOW] [bad-value]"
        )


class TestDestinations:
    def test_entries_without_weight_get_nothing_beside_others(self, reviews: str) -> None:
        rule = (
            "- route:\n  - {destination: {host: reviews, subset: v1}, weight: 9}\n"
            "  - {destination: {host: reviews, subset: v2}}\n"
        )
        assert [(d.subset, d.weight) for d in table(reviews, rule).routes[0].destinations] == [("v1", 9)]

    def test_the_weight_of_a_single_entry_does_not_count(self, reviews: str) -> None:
        route = the_route(reviews, "route: [{destination: {host: reviews, subset: v1}, weight: 0}]")
        assert [(d.subset, d.weight) for d in route.destinations] == [("v1", 1)]

    def test_the_only_port_of_a_service_need_not_be_said(self, reviews: str) -> None:
        assert the_route(reviews, TO_V1).destinations[0].port == 9080

    def test_headers_of_a_destination(self, reviews: str) -> None:
        route = the_route(
            reviews,
            "route: [{destination: {host: reviews}, headers: {request: {set: {b: '1', a: '2', ':path': x}, "
            "remove: [c]}, response: {add: {d: '3'}}}}]",
        )
        (destination,) = route.destinations
        assert destination.request_headers == HeaderEdits(set={"a": "2", "b": "1"}, remove=("c",))
        assert destination.response_headers == HeaderEdits(add={"d": "3"})

    @pytest.mark.parametrize(
        ("rule", "authority"),
        [
            ("headers: {request: {set: {Host: a.example}}}", "a.example"),
            ("headers: {request: {add: {':authority': a.example}}}", "a.example"),
            ("headers: {request: {set: {host: a.example}}}, rewrite: {authority: b.example}", "b.example"),
        ],
    )
    def test_a_host_header_is_a_rewrite(self, reviews: str, rule: str, authority: str) -> None:
        route = the_route(reviews, f"{rule}, {TO_V1}")
        assert route.rewrite == Rewrite(authority=authority)
        assert not route.request_headers


class TestActions:
    def test_the_default_is_no_timeout_and_two_retries(self, reviews: str) -> None:
        route = the_route(reviews, TO_V1)
        terms = ("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes")
        assert route.timeout is None
        assert route.retry == Retry(attempts=2, on=terms)
        assert compile(read_text(reviews)).topology.default_retry == route.retry

    def test_attempts_zero_turns_retries_off(self, reviews: str) -> None:
        assert the_route(reviews, f"retries: {{attempts: 0}}, {TO_V1}").retry is None

    def test_numbers_in_retry_on_are_status_codes(self, reviews: str) -> None:
        retries = (
            "retries: {attempts: 3, retryOn: '503, reset,5xx', perTryTimeout: 250ms, backoff: 1s, "
            "retryIgnorePreviousHosts: false, retryRemoteLocalities: true}"
        )
        assert the_route(reviews, f"{retries}, {TO_V1}").retry == Retry(
            attempts=3, on=("reset", "5xx", "retriable-status-codes"), status_codes=(503,), per_try_timeout=0.25,
            backoff=1.0, other_host=False, other_localities=True,
        )  # fmt: skip

    @pytest.mark.parametrize(("text", "seconds"), [("7s", 7.0), ("1m30s", 90.0), ("250ms", 0.25), ("0s", None)])
    def test_timeouts(self, reviews: str, text: str, seconds: float | None) -> None:
        assert the_route(reviews, f"timeout: {text}, {TO_V1}").timeout == seconds

    def test_faults(self, reviews: str) -> None:
        fault = the_route(
            reviews,
            "fault: {delay: {fixedDelay: 2s, percent: 5}, abort: {httpStatus: 555, percentage: {value: 0.1}}}, "
            + TO_V1,
        ).fault
        assert fault is not None
        assert fault.delay == Delay(seconds=2.0, percent=5.0)
        assert fault.abort == Abort(http_status=555, percent=0.1)

    @pytest.mark.parametrize("status", ["UNAVAILABLE", "unavailable", "'14'"])
    def test_a_grpc_status_by_name_or_number(self, reviews: str, status: str) -> None:
        fault = the_route(
            reviews, f"fault: {{abort: {{grpcStatus: {status}, percentage: {{value: 1}}}}}}, {TO_V1}"
        ).fault
        assert fault is not None
        assert fault.abort == Abort(grpc_status=14, percent=1.0)

    def test_a_fault_without_a_percentage_injects_nothing_and_is_told(self, reviews: str) -> None:
        rule = f"- fault: {{abort: {{httpStatus: 500}}}}\n  {TO_V1}"
        assert table(reviews, rule).routes[0].fault is None
        assert said(reviews, rule) == [
            "7: warning: `spec.http[0].fault.abort` has no `percentage`, so nothing is injected (Istio: absent means "
            "0) [fault-without-percentage]"
        ]

    @pytest.mark.parametrize(
        ("text", "percents"),
        [
            ("mirror: {host: reviews, subset: v2}", [100.0]),
            ("mirror: {host: reviews, subset: v2}, mirrorPercentage: {value: 12.5}", [12.5]),
            ("mirror: {host: reviews, subset: v2}, mirror_percent: 7", [7.0]),
            ("mirror: {host: reviews, subset: v2}, mirrorPercent: 7, mirrorPercentage: {value: 9}", [9.0]),
            ("mirror: {host: reviews, subset: v2}, mirrorPercentage: {value: 0}", []),
            (
                "mirrors: [{destination: {host: reviews, subset: v1}}, {destination: {host: reviews, subset: v2}, "
                "percentage: {value: 1}}, {destination: {host: reviews}, percentage: {value: 0}}]",
                [100.0, 1.0],
            ),
        ],
    )
    def test_mirrors(self, reviews: str, text: str, percents: list[float]) -> None:
        route = the_route(reviews, f"{text}, {TO_V1}")
        assert [m.percent for m in route.mirrors] == percents
        assert {m.destination.port for m in route.mirrors} <= {9080}

    @pytest.mark.parametrize(
        ("text", "rewrite"),
        [
            ("rewrite: {uri: /new}", Rewrite(prefix="/new")),
            (r"rewrite: {uriRegexRewrite: {match: '/a/(.*)', rewrite: '/\1'}}", Rewrite(regex=("/a/(.*)", r"/\1"))),
            ("rewrite: {authority: a.example}", Rewrite(authority="a.example")),
        ],
    )
    def test_rewrites(self, reviews: str, text: str, rewrite: Rewrite) -> None:
        assert the_route(reviews, f"{text}, {TO_V1}").rewrite == rewrite

    @pytest.mark.parametrize(
        ("text", "redirect"),
        [
            ("uri: /new, authority: a.example", Redirect(path="/new", authority="a.example")),
            ("redirectCode: 308, scheme: https, port: 8443", Redirect(status=308, scheme="https", port=8443)),
            ("derivePort: FROM_REQUEST_PORT", Redirect(port=0)),
            ("derivePort: FROM_PROTOCOL_DEFAULT, prefixRewrite: /p", Redirect(prefix="/p")),
        ],
    )
    def test_redirects(self, reviews: str, text: str, redirect: Redirect) -> None:
        route = the_route(reviews, f"redirect: {{{text}}}")
        assert (route.redirect, route.destinations, route.retry) == (redirect, (), None)

    @pytest.mark.parametrize(
        ("text", "answer"),
        [
            ("status: 503", DirectResponse(status=503)),
            ("status: 200, body: {string: hello}", DirectResponse(status=200, body="hello")),
            ("status: 200, body: {bytes: aGVsbG8=}", DirectResponse(status=200, body="hello")),
        ],
    )
    def test_direct_responses(self, reviews: str, text: str, answer: DirectResponse) -> None:
        assert the_route(reviews, f"directResponse: {{{text}}}").direct_response == answer

    def test_cors(self, reviews: str) -> None:
        text = (
            "corsPolicy: {allowOrigins: [{prefix: 'https://'}], allowMethods: [GET], allowHeaders: [x-a], "
            "exposeHeaders: [x-b], maxAge: 24h, allowCredentials: true, unmatchedPreflights: IGNORE}"
        )
        assert the_route(reviews, f"{text}, {TO_V1}").cors == Cors(
            origins=(StringMatch(kind="prefix", value="https://"),), methods=("GET",), headers=("x-a",),
            expose_headers=("x-b",), max_age=86400.0, credentials=True, forward_unmatched_preflights=False,
        )  # fmt: skip

    def test_the_old_spelling_of_origins(self, reviews: str) -> None:
        cors = the_route(reviews, f"corsPolicy: {{allowOrigin: ['*']}}, {TO_V1}").cors
        assert cors == Cors(origins=(StringMatch(kind="exact", value="*"),))


class TestRefusals:
    @pytest.mark.parametrize(
        ("http", "message"),
        [
            (
                "- route:\n  - {destination: {host: reviews, subset: v1}, weight: 110}\n"
                "  - {destination: {host: reviews, subset: v2}, weight: -10}",
                "9: error: `spec.http[0].route[1].weight` must be at least 0, not -10 [bad-value]",
            ),
            (
                "- route:\n  - {destination: {host: reviews, subset: v1}, weight: 0}\n"
                "  - {destination: {host: reviews, subset: v2}}",
                "7: error: the weights of `spec.http[0].route` sum to 0, so no request could go anywhere [bad-weights]",
            ),
            (
                "- route:\n  - destination:\n      host: reviws",
                "8: error: destination `reviws` is no Service here; did you mean `reviews`? [unknown-host]",
            ),
            (
                "- route:\n  - destination: {host: reviews.default}",
                "8: error: destination `reviews.default` is no Service here; did you mean "
                "`reviews.default.svc.cluster.local`? [unknown-host]",
            ),
            (
                f"- {TO_V1}\n  mirror: {{host: nowhere}}",
                "8: error: destination `nowhere` is no Service here; Services: reviews [unknown-host]",
            ),
            (
                "- route:\n  - destination: {host: reviews, subset: v3}",
                "8: error: service `reviews` has no subset `v3`; known: v1, v2 [unknown-subset]",
            ),
            (
                "- route:\n  - destination: {host: reviews, port: {number: 80}}",
                "8: error: service `reviews` has no port 80; it has 9080 [unknown-port]",
            ),
            (
                "- rout: []",
                "7: error: unknown field `spec.http[0].rout`; did you mean `route`? [unknown-field]",
            ),
            (
                "- route:\n  - destinaton: {host: reviews}",
                "8: error: unknown field `spec.http[0].route[0].destinaton`; did you mean `destination`? "
                "[unknown-field]",
            ),
            (
                "- name: nothing",
                "7: error: `spec.http[0]` needs one of route, redirect, directResponse [missing-field]",
            ),
            (
                f"- redirect: {{uri: /a}}\n  {TO_V1}",
                "7: error: `spec.http[0]` takes one of route, redirect, directResponse; it has route and redirect "
                "[bad-value]",
            ),
            (
                f"- timeout: 5\n  {TO_V1}",
                '7: error: `spec.http[0].timeout` must be a duration like "7s", "1m30s" or "250ms", not 5 [wrong-type]',
            ),
            (
                f"- match: [{{uri: {{exact: /a, prefix: /b}}}}]\n  {TO_V1}",
                "7: error: `spec.http[0].match[0].uri` takes one of exact, prefix, regex; it has exact, prefix "
                "[bad-value]",
            ),
            (
                f"- fault: {{abort: {{httpStatus: 99, percentage: {{value: 1}}}}}}\n  {TO_V1}",
                "7: error: `spec.http[0].fault.abort.httpStatus` must be 200 to 599, not 99 [bad-value]",
            ),
            (
                f"- fault: {{abort: {{grpcStatus: NOPE, percentage: {{value: 1}}}}}}\n  {TO_V1}",
                "7: error: `spec.http[0].fault.abort.grpcStatus`: 'NOPE' is no gRPC status [bad-value]",
            ),
            (
                f"- fault: {{delay: {{fixedDelay: 1s, percentage: {{value: 101}}}}}}\n  {TO_V1}",
                "7: error: `spec.http[0].fault.delay.percentage.value` must be 0 to 100, not 101 [bad-value]",
            ),
            (
                "- redirect: {redirectCode: 200}",
                "7: error: `spec.http[0].redirect.redirectCode` must be one of (301, 302, 303, 307, 308), not 200 "
                "[bad-value]",
            ),
            (
                f"- mirror: {{host: reviews}}\n  mirrors: [{{destination: {{host: reviews}}}}]\n  {TO_V1}",
                "7: error: `spec.http[0]` takes one of mirror, mirrors; it has both [bad-value]",
            ),
            ("- route: []", "7: error: `spec.http[0].route` needs at least one destination [missing-field]"),
            ("- []", "7: error: `spec.http[0]` must be a mapping, not a list [wrong-type]"),
        ],
    )
    def test_an_error_has_its_place_and_what_is_allowed(self, reviews: str, http: str, message: str) -> None:
        assert message in said(reviews, http)

    def test_an_unknown_gateway(self, reviews: str) -> None:
        gateway = (
            "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: edge}\n"
            "spec: {servers: [{port: {number: 80, protocol: HTTP, name: h}, hosts: ['*']}]}\n---\n"
        )
        assert said(reviews + gateway, f"- {TO_V1}", more="  gateways: [egde]\n") == [
            "6: error: there is no Gateway `default/egde`; did you mean `default/edge`? [unknown-gateway]"
        ]
        assert said(reviews, f"- {TO_V1}", more="  gateways: [edge]\n") == [
            "6: error: there is no Gateway `default/edge`; known: none [unknown-gateway]"
        ]

    def test_subsets_without_a_destination_rule(self, reviews: str) -> None:
        alone = reviews[: reviews.index("apiVersion: networking")]
        assert said(alone, f"- {TO_V1}") == [
            "7: error: service `reviews` has no subset `v1`; no DestinationRule defines any [unknown-subset]"
        ]

    def test_a_service_with_several_ports_needs_one_named_unless_the_request_has_it(self, reviews: str) -> None:
        two = reviews.replace("{port: 9080, name: http}", "{port: 9080, name: http}, {port: 9090, name: http-b}")
        assert said(two, f"- {TO_V1}") == []
        assert said(two, f"- {TO_V1}", hosts="[reviews.example.com]") == [
            "7: error: service `reviews` has 2 ports (9080, 9090): say which by `port.number` [unknown-port]"
        ]


class TestWarnings:
    def test_a_rule_behind_one_that_takes_all_is_never_reached(self, reviews: str) -> None:
        assert said(reviews, f"- {TO_V1}\n- {TO_V1}") == [
            f"8: warning: `spec.http[1]` is never reached: `spec.http[0]` (m.yaml:{reviews.count(chr(10)) + 7}) takes "
            "every request [unreachable-rule]"
        ]

    def test_a_catch_all_for_some_callers_hides_nothing(self, reviews: str) -> None:
        assert said(reviews, f"- match: [{{sourceLabels: {{app: a}}}}]\n  {TO_V1}\n- {TO_V1}") == []

    def test_a_short_host_that_is_no_service(self, reviews: str) -> None:
        assert said(reviews, f"- {TO_V1}", hosts="[reviws]") == [
            "5: warning: host `reviws` is no Service here, so callers in the mesh do not reach this VirtualService by "
            "it; did you mean `reviews`? [unknown-host]"
        ]
        assert said(reviews, f"- {TO_V1}", hosts="[reviews.example.com, '*']") == []

    def test_the_second_virtual_service_of_a_host_has_no_effect(self, reviews: str) -> None:
        second = virtual_service(f"- {TO_V1}").replace("{name: reviews}", "{name: zebra}") + "---\n"
        assert said(reviews + second, f"- {TO_V1}") == [
            f"-7: warning: `reviews` is routed by VirtualService `reviews` (m.yaml:{reviews.count(chr(10)) + 9}): this "
            "one has no effect on it in the mesh [duplicate-host]"
        ]

    @pytest.mark.parametrize(
        ("http", "message"),
        [
            (
                f"- fault: {{delay: {{exponentialDelay: 1s, percentage: {{value: 1}}}}}}\n  {TO_V1}",
                "7: warning: `spec.http[0].fault.delay.exponentialDelay` is not supported: Istio does not implement it "
                "either [not-supported]",
            ),
        ],
    )
    def test_what_is_not_translated_is_told_with_the_reason(self, reviews: str, http: str, message: str) -> None:
        assert said(reviews, http) == [message]
