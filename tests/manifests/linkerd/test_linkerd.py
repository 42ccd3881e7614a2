"""What a Linkerd mesh does differently, and what it says it cannot do."""

from __future__ import annotations

import pytest

from meshtest.errors import ManifestError
from meshtest.manifests.compiler import compile, compile_or_raise
from meshtest.manifests.hosts import mesh_hosts
from meshtest.manifests.linkerd.annotations import ACCRUAL
from meshtest.manifests.reader import read_text
from meshtest.model.route import Route
from meshtest.model.topology import Topology

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {{name: {name}{more}}}
spec: {{ports: [{{port: 80, name: http}}], selector: {{app: {name}}}}}
---
"""


def service(name: str, **annotations: str) -> str:
    more = ", annotations: {" + ", ".join(f'{k}: "{v}"' for k, v in annotations.items()) + "}" if annotations else ""
    return SERVICE.format(name=name, more=more)


def annotated(text: str) -> str:
    """A Service web with these annotations."""
    return SERVICE.format(name="web", more=f", annotations: {{{text}}}")


def route(
    rules: str, *, group: str = "policy.linkerd.io/v1beta3", annotations: str = "", namespace: str = "default"
) -> str:
    return f"""\
apiVersion: {group}
kind: HTTPRoute
metadata: {{name: web, namespace: {namespace}, annotations: {{{annotations}}}}}
spec:
  parentRefs: [{{group: core, kind: Service, name: web, namespace: default, port: 80}}]
  rules: {rules}
---
"""


SPLIT = "[{backendRefs: [{name: web, port: 80, weight: 90}, {name: canary, port: 80, weight: 10}]}]"
PLAIN = "[{backendRefs: [{name: web, port: 80}]}]"


def topology(text: str) -> Topology:
    return compile_or_raise(read_text(text, "l.yaml")).topology


def routes(text: str, *, host: str = "web", namespace: str = "default") -> tuple[Route, ...]:
    hosts = mesh_hosts(topology(text), namespace=namespace, labels={})
    return next(h.routes for h in hosts if h.name == f"{host}.default.svc.cluster.local:80")


def warnings(text: str) -> list[str]:
    return [str(note) for note in compile(read_text(text, "l.yaml")).diagnostics if note.severity > 0]


class TestRoutes:
    def test_weights_are_backend_services(self) -> None:
        (only,) = routes(service("web") + service("canary") + route(SPLIT))
        assert [(d.host.partition(".")[0], d.weight) for d in only.destinations] == [("web", 90), ("canary", 10)]

    def test_nothing_is_retried_unless_it_is_asked_for(self) -> None:
        (only,) = routes(service("web") + route(PLAIN))
        assert only.retry is None

    def test_routes_of_gateway_api_lose_istios_retries_too(self) -> None:
        gateway_api = route(PLAIN, group="gateway.networking.k8s.io/v1").replace("core", '""')
        assert routes(service("web") + gateway_api)[0].retry is not None, "an Istio mesh"
        assert routes(service("web", **{"linkerd.io/inject": "enabled"}) + gateway_api)[0].retry is None

    def test_a_consumers_route_is_for_its_namespace_only(self) -> None:
        text = (
            service("web")
            + service("canary")
            + route(PLAIN, namespace="shop", annotations='timeout.linkerd.io/request: "1s"')
        )
        assert routes(text, namespace="shop")[0].timeout == 1.0
        assert routes(text)[0].timeout is None

    def test_a_filter_that_linkerd_lacks_takes_the_route_out(self) -> None:
        mirrored = (
            "[{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: web, port: 80}}}], "
            "backendRefs: [{name: canary, port: 80}]}]"
        )
        text = service("web", **{"linkerd.io/inject": "enabled"}) + service("canary")
        text += route(mirrored, group="gateway.networking.k8s.io/v1").replace("core", '""')
        assert routes(text)[0].name == "default"
        assert any("Linkerd has no RequestMirror" in said and "l.yaml:11" in said for said in warnings(text))

    def test_istios_kinds_would_be_ignored_and_that_is_said(self) -> None:
        rule = (
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: {host: web}\n---\n"
        )
        assert any("would be ignored by Linkerd" in said for said in warnings(service("web") + rule + route(PLAIN)))
        assert not any("Linkerd" in said for said in warnings(service("web") + rule))


class TestRetries:
    @pytest.mark.parametrize(
        ("condition", "codes"),
        [("5xx", range(500, 600)), ("gateway-error", range(502, 505)), ("429,503-504", (429, 503, 504))],
    )
    def test_a_services_annotation_says_which_responses(self, condition: str, codes: object) -> None:
        (only,) = routes(service("web", **{"retry.linkerd.io/http": condition}))
        assert only.retry is not None
        assert only.retry.attempts == 1
        assert list(only.retry.status_codes) == list(codes)  # type: ignore[call-overload]

    def test_limit_and_timeout_are_of_each_try(self) -> None:
        (only,) = routes(service("web", **{"retry.linkerd.io/http": "5xx", "retry.linkerd.io/limit": "3",
                                           "retry.linkerd.io/timeout": "300ms"}))  # fmt: skip
        assert only.retry is not None
        assert (only.retry.attempts, only.retry.per_try_timeout) == (3, 0.3)

    def test_a_routes_annotations_replace_its_services(self) -> None:
        parent = service("web", **{"retry.linkerd.io/http": "5xx", "retry.linkerd.io/limit": "5"})
        (only,) = routes(parent + route(PLAIN, annotations='retry.linkerd.io/http: "503"'))
        assert only.retry is not None
        assert (only.retry.attempts, only.retry.status_codes) == (1, (503,))

    def test_that_they_stay_with_their_backend_is_said(self) -> None:
        shops = service("web", **{"retry.linkerd.io/http": "5xx"}) + service("canary")
        assert any("Linkerd chooses one by weight" in said for said in warnings(shops + route(SPLIT)))
        assert not any("chooses" in said for said in warnings(shops + route(PLAIN)))

    def test_a_limit_without_a_condition_retries_nothing_and_that_is_said(self) -> None:
        text = service("web", **{"retry.linkerd.io/limit": "3"})
        assert routes(text)[0].retry is None
        assert any("nothing is retried" in said for said in warnings(text))


class TestServices:
    def test_a_request_timeout_of_a_service(self) -> None:
        assert routes(service("web", **{"timeout.linkerd.io/request": "2s"}))[0].timeout == 2.0

    def test_failure_accrual_ejects(self) -> None:
        found = topology(service("web", **{"balancer.linkerd.io/failure-accrual": "consecutive"}))
        outlier = found.policies["web.default.svc.cluster.local"].policy.outlier_detection
        assert outlier is not None
        assert (outlier.consecutive_5xx, outlier.base_ejection_time, outlier.max_ejection_time) == (7, 1.0, 60.0)
        assert outlier.max_ejection_percent == 100

    def test_opaque_ports_carry_bytes(self) -> None:
        (found,) = topology(service("web", **{"config.linkerd.io/opaque-ports": "25,80-90"})).services
        assert found.ports[0].protocol == "tcp"


@pytest.mark.parametrize(
    ("annotation", "complaint"),
    [
        ("retry.linkerd.io/http: 6xx", "'6xx' is no condition; allowed: 5xx, gateway-error"),
        ("retry.linkerd.io/limit: many", "must be a whole number"),
        ("timeout.linkerd.io/request: 3 s", "must be a duration as in 300ms"),
        ("balancer.linkerd.io/failure-accrual: unified", "choose consecutive"),
        ("retry.linkerd.io/htttp: 5xx", "did you mean `retry.linkerd.io/http`?"),
        ("config.linkerd.io/opaque-ports: 99999", "is no port"),
        (f'{ACCRUAL}: consecutive, {ACCRUAL}-consecutive-min-penalty: "2h"', "must not exceed max-penalty"),
    ],
)  # fmt: skip
def test_a_wrong_annotation_is_told_with_its_line(annotation: str, complaint: str) -> None:
    with pytest.raises(ManifestError, match=r"l.yaml:3: error: .*") as caught:
        topology(annotated(annotation))
    assert complaint in str(caught.value)
