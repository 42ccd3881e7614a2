"""Routes: who gets a request, and in which shape."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from meshtest.model.feature import Feature
from meshtest.testing.conformance.case import ERROR, Cases
from meshtest.testing.conformance.manifests import WEB, deployment, routes, to

if TYPE_CHECKING:
    from meshtest.mesh import Mesh

CASES = cases = Cases()


@cases(Feature.WEIGHTS, WEB + routes("web", f"{{route: [{to('v1', weight=75)}, {to('v2', weight=25)}]}}"))
def requests_are_split_by_weight_and_a_shift_moves_all(mesh: Mesh) -> None:
    load = mesh.load("GET http://web/", rps=300, requests=200).run()
    assert load.share("v2") == mesh.about(25, error=ERROR)
    mesh["web"].shift(v2=100)
    assert mesh.load("GET http://web/", rps=300, requests=30).run().versions == {"v2"}


@cases(
    Feature.MATCHES,
    WEB
    + routes(
        "web",
        f"""
        {{match: [{{uri: {{exact: /exact}}}}], route: [{to("v2")}]}}
        {{match: [{{headers: {{end-user: {{prefix: ja}}}}}}], route: [{to("v2")}]}}
        {{match: [{{queryParams: {{beta: {{exact: "on"}}}}, method: {{exact: GET}}}}], route: [{to("v2")}]}}
        {{match: [{{uri: {{regex: "/item/[0-9]+"}}}}], route: [{to("v2")}]}}
        {{route: [{to("v1")}]}}""",
    ),
)
def paths_headers_queries_and_methods_choose_the_version(mesh: Mesh) -> None:
    meant = {
        ("GET", "/exact", ""): "v2", ("GET", "/exact/", ""): "v1",
        ("GET", "/", "jason"): "v2", ("GET", "/", "bob"): "v1",
        ("GET", "/?beta=on", ""): "v2", ("POST", "/?beta=on", ""): "v1", ("GET", "/item/12", ""): "v2",
        ("GET", "/item/x", ""): "v1",
    }  # fmt: skip
    for (method, path, user), version in meant.items():
        reply = mesh.ask(f"{method} http://web{path}", headers={"end-user": user} if user else {})
        assert reply.server.version == version, (method, path, user)


@cases(
    Feature.REWRITES,
    WEB
    + routes(
        "web",
        f"{{match: [{{uri: {{prefix: /api/}}}}], rewrite: {{uri: /, authority: inner.example}}, route: [{to('v1')}]}}",
    ),
)
def the_service_sees_the_rewritten_path_and_host(mesh: Mesh) -> None:
    seen = mesh.ask("GET http://web/api/books?x=1").json
    assert (seen["path"], seen["host"]) == ("/books?x=1", "inner.example")


@cases(
    Feature.REDIRECTS,
    WEB + routes("web", "{redirect: {uri: /new, authority: other.example, redirectCode: 308}}"),
)
def a_redirect_names_the_new_place(mesh: Mesh) -> None:
    reply = mesh.ask("GET http://web/old")
    assert (reply.status, reply.header("location")) == (308, "http://other.example/new")


@cases(
    Feature.HEADER_EDITS,
    WEB
    + routes(
        "web",
        "{headers: {request: {set: {x-set: a}, remove: [x-gone]}, response: {add: {x-answer: b}}}, "
        f"route: [{to('v1')}]}}",
    ),
)
def headers_are_set_and_removed_on_the_way_in_and_added_on_the_way_out(mesh: Mesh) -> None:
    reply = mesh.ask("GET http://web/", headers={"x-gone": "1", "x-set": "old"})
    seen = {name.lower(): value for name, value in reply.json["headers"].items()}
    assert seen["x-set"] in ("a", ["a"])
    assert "x-gone" not in seen
    assert reply.header("x-answer") == "b"


FAULTY = WEB.replace(
    deployment("web", "v2"), deployment("web", "v2", more='meshtest.dev/errors: "503:50"\nmeshtest.dev/delay: 200ms')
)


@cases(
    Feature.RETRIES,
    FAULTY + routes("web", f"{{retries: {{attempts: 9, retryOn: '503', backoff: 1ms}}, route: [{to('v2')}]}}"),
)
def failed_tries_are_repeated(mesh: Mesh) -> None:
    replies = [mesh.ask("GET http://web/") for _ in range(4)]
    assert [reply.status for reply in replies] == [200] * 4


@cases(Feature.TIMEOUTS, FAULTY + routes("web", f"{{timeout: 50ms, route: [{to('v2')}]}}"))
def a_slow_answer_is_cut_off(mesh: Mesh) -> None:
    assert mesh.ask("GET http://web/").status == 504


@cases(
    Feature.CORS,
    WEB
    + routes(
        "web",
        "{corsPolicy: {allowOrigins: [{exact: https://shop.example}], allowMethods: [GET]}, "
        f"route: [{to('v1')}]}}",
    ),
)
def a_preflight_is_answered_by_the_proxy(mesh: Mesh) -> None:
    asked = {"origin": "https://shop.example", "access-control-request-method": "GET"}
    reply = mesh.ask("OPTIONS http://web/", headers=asked)
    assert (reply.status, reply.header("access-control-allow-origin")) == (200, "https://shop.example")


@cases(Feature.MIRROR, WEB + routes("web", f"{{route: [{to('v1')}], mirror: {{host: web, subset: v2}}}}"))
def copies_reach_the_shadow_and_nobody_sees_its_answers(mesh: Mesh) -> None:
    load = mesh.load("GET http://web/", rps=200, requests=40).run()
    assert load.versions == {"v1"}
    assert mesh["web"]["v2"].shadow.requests == 40


@cases(
    Feature.FAULT_DELAY,
    WEB
    + routes("web", f"{{fault: {{delay: {{fixedDelay: 100ms, percentage: {{value: 100}}}}}}, route: [{to('v1')}]}}"),
)
def a_delay_holds_requests_back(mesh: Mesh) -> None:
    """A proxy's timer counts from when its loop last looked at the clock, so that on a busy machine it is early."""
    assert mesh.ask("GET http://web/").seconds > 0.05


@cases(
    Feature.FAULT_ABORT,
    WEB + routes("web", f"{{fault: {{abort: {{httpStatus: 418, percentage: {{value: 50}}}}}}, route: [{to('v1')}]}}"),
)
def an_abort_answers_its_share(mesh: Mesh) -> None:
    load = mesh.load("GET http://web/", rps=300, requests=200).run()
    answered = Counter(request.status for request in load.requests)
    assert answered.keys() == {200, 418}
    assert load.all.share("v1").hits + answered[418] == 200


@cases(Feature.FAULT_AT_DESTINATION, WEB + routes("web", f"{{route: [{to('v1')}], mirror: {{host: web, subset: v2}}}}"))
def a_version_can_fail_for_mirrored_requests_alone(mesh: Mesh) -> None:
    with mesh.fault("web@v2", abort=500):
        load = mesh.load("GET http://web/", rps=200, requests=30).run()
    assert not load.failures
    assert mesh["web"]["v2"].shadow.requests == 30
