"""EnvoyFilter: what is read, and what can be told without asking Envoy."""

from __future__ import annotations

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.security import ListenerMatch, Patch, RoutesMatch

VALUE = "value: {name: x}"


def document(patch: str, labels: str = "") -> str:
    selector = f"workloadSelector: {{labels: {labels}}}, " if labels else ""
    return f"""\
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: a}}
spec: {{{selector}configPatches: [{patch}]}}
"""


def notes(patch: str, labels: str = "") -> list[Diagnostic]:
    return list(compile(read_text(document(patch, labels), "m.yaml")).diagnostics)


def test_a_patch_with_its_match() -> None:
    text = (
        "{applyTo: HTTP_FILTER, match: {context: GATEWAY, listener: {portNumber: 80, filterChain: {sni: a, "
        f"filter: {{name: hcm, subFilter: {{name: router}}}}}}}}}}, patch: {{operation: INSERT_BEFORE, {VALUE}}}}}"
    )
    found = compile(read_text(document(text, "{app: web}"))).topology.proxy_patches[0]
    assert found.scope.labels == {"app": "web"}
    listener = ListenerMatch(port=80, sni="a", filter="hcm", sub_filter="router")
    expected = Patch(apply_to="HTTP_FILTER", operation="INSERT_BEFORE", value={"name": "x"}, context="GATEWAY")
    assert found.patches[0] == Patch(**{**vars(expected), "listener": listener})


def test_routes_are_found_by_name_host_and_action() -> None:
    text = (
        "{applyTo: HTTP_ROUTE, match: {routeConfiguration: {name: http.80, gateway: a/b, vhost: {name: 'x:80', "
        "domainName: y, route: {name: z, action: REDIRECT}}}}, patch: {operation: REMOVE}}"
    )
    found = compile(read_text(document(text))).topology.proxy_patches[0].patches[0]
    assert found.routes == RoutesMatch(
        name="http.80", gateway="a/b", host="x:80", domain="y", route="z", action="REDIRECT"
    )


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ("{patch: {operation: ADD}}", "Envoy filter: missing applyTo"),
        ("{applyTo: HTTP_FILTERS}", 'Unsupported value: "HTTP_FILTERS"'),
        ("{applyTo: CLUSTER}", "Envoy filter: missing patch operation"),
        ("{applyTo: CLUSTER, patch: {operation: ADD}}", "Envoy filter: missing patch value for non-remove operation"),
        ("{applyTo: HTTP_FILTER, patch: {operation: ADD, value: {}}}", "a filter needs a name"),
        (f"{{applyTo: CLUSTER, patch: {{operation: INSERT_FIRST, {VALUE}}}}}", "CLUSTER takes MERGE, ADD, REMOVE, not"),
        (
            "{applyTo: CLUSTER, match: {context: SIDECAR_INBOUND, waypoint: {}}, patch: {operation: REMOVE}}",
            "only support waypointMatch when context is WAYPOINT",
        ),
        (
            "{applyTo: HTTP_FILTER, match: {listener: {filterChain: {filter: {subFilter: {name: a}}}}}, "
            f"patch: {{operation: INSERT_FIRST, {VALUE}}}}}",
            "subFilter needs the name of the network filter",
        ),
    ],
)
def test_what_makes_no_sense_is_an_error(patch: str, message: str) -> None:
    found = [str(n) for n in notes(patch) if n.severity is Severity.ERROR]
    assert any(message in text and text.startswith("m.yaml:4: ") for text in found), found


@pytest.mark.parametrize(
    ("patch", "code", "message"),
    [
        (f"{{applyTo: BOOTSTRAP, patch: {{operation: MERGE, {VALUE}}}}}", "not-supported", "share one Envoy"),
        (
            f"{{applyTo: CLUSTER, match: {{context: SIDECAR_OUTBOUND}}, patch: {{operation: MERGE, {VALUE}}}}}",
            "shared",
            "all proxies share their clusters",
        ),
        (
            f"{{applyTo: VIRTUAL_HOST, patch: {{operation: MERGE, {VALUE}}}}}",
            "shared",
            "callers of one namespace share their routes",
        ),
        (
            "{applyTo: HTTP_FILTER, match: {context: SIDECAR_OUTBOUND, listener: {portNumber: 80}}, "
            f"patch: {{operation: INSERT_FIRST, {VALUE}}}}}",
            "shared",
            "one outbound listener for all ports",
        ),
        (
            f"{{applyTo: CLUSTER, match: {{listener: {{}}}}, patch: {{operation: MERGE, {VALUE}}}}}",
            "no-effect",
            "does not match a patch of CLUSTER",
        ),
    ],
)
def test_what_reaches_elsewhere_than_on_a_cluster_is_a_warning(patch: str, code: str, message: str) -> None:
    found = [n for n in notes(patch, "{app: web}") if n.code == code]
    assert found
    assert message in found[0].message
    assert found[0].severity is Severity.WARNING
