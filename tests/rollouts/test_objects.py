"""Objects of a Canary: our dialects understand them, and refusals stand at file:line. What they are in detail is held
against Flagger's own: tests/conformance/test_flagger_objects.py."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest.errors import ManifestError
from meshtest.manifests.compiler import compile_or_raise
from meshtest.manifests.hosts import gateway_hosts, mesh_hosts
from meshtest.manifests.shares import shares
from meshtest.model.diagnostic import Severity
from meshtest.model.document import Documents
from meshtest.model.route import Door, Route
from meshtest.rollouts.canary import Canary, Routes, objects
from meshtest.rollouts.canary.state import ALL_CANARY, ALL_PRIMARY, MIRRORED, Status
from tests.rollouts.shop import GATEWAY, PUBLIC, SERVICE_PARENT, Json, canary, deployment, shop

HOST = "podinfo.test.svc.cluster.local"
AFFINITY = {"stepWeight": 10, "sessionAffinity": {"cookieName": "stay", "primaryCookieName": "leave"}}
AB = {"iterations": 3, "match": [{"headers": {"x-canary": {"exact": "yes"}}}]}
INSIDE = [
    ("istio", {}),
    ("gatewayapi:v1", SERVICE_PARENT),
    ("gatewayapi:v1beta1", SERVICE_PARENT),
    ("linkerd", {}),
]
"""Providers whose routes count for callers in the mesh."""


def initialised(one: Canary, documents: Documents, status: Status | None = None) -> Documents:
    """As after the first deployment."""
    made = objects.scaled(one, objects.created(one, documents), 0)
    return objects.routed(one, made, ALL_PRIMARY, status or Status())


def under_way(
    routes: Routes, provider: str, service: Json, status: Status | None = None, **analysis: Any
) -> tuple[Canary, Documents]:
    """v2 is deployed, and gets these routes."""
    one, documents = shop(deployment(), canary(provider, service=service, **analysis), PUBLIC)
    _, newer = shop(deployment("podinfo:6.1.0"), canary())
    status = status or Status()
    documents = initialised(one, documents).apply(newer.of("apps/Deployment"))
    return one, objects.routed(one, objects.scaled(one, documents, 2), routes, status)


def routes_in_mesh(documents: Documents) -> tuple[Route, ...]:
    hosts = mesh_hosts(compile_or_raise(documents).topology, namespace="test", labels={})
    return next(host.routes for host in hosts if host.name == f"{HOST}:9898")


def split(route: Route) -> list[tuple[str, int]]:
    return [(d.host.partition(".")[0], d.weight) for d in route.destinations if d.weight]


class TestOurDialectsUnderstandThem:
    @pytest.mark.parametrize(("provider", "service"), INSIDE)
    @pytest.mark.parametrize("routes", [ALL_PRIMARY, Routes(90, 10), Routes(40, 60), ALL_CANARY], ids=str)
    def test_the_shares_are_those_of_the_routes(self, provider: str, service: Json, routes: Routes) -> None:
        _, documents = under_way(routes, provider, service)
        found = shares(compile_or_raise(documents).topology, HOST)
        assert {name: share for name, share in found.items() if share} == {
            name: share for name, share in (("podinfo-primary", routes.primary), ("podinfo", routes.canary)) if share
        }

    @pytest.mark.parametrize(("provider", "service"), [*INSIDE, ("kubernetes", {}), ("gatewayapi:v1", GATEWAY)])
    @pytest.mark.parametrize("analysis", [{}, {"iterations": 3, "mirror": True}, AB, AFFINITY], ids=str)
    def test_nothing_is_wrong_with_them(self, provider: str, service: Json, analysis: Json) -> None:
        """None of what the mesh would ignore, either: Linkerd's dialect has its own words for that."""
        status = Status(applied="v2", previous_cookie="stay=before")
        for routes in (Routes(50, 50), MIRRORED, ALL_PRIMARY):
            _, documents = under_way(routes, provider, service, status, **analysis)
            notes = compile_or_raise(documents).diagnostics
            assert [str(note) for note in notes if note.severity > Severity.INFO] == []

    def test_behind_a_gateway(self) -> None:
        _, documents = under_way(Routes(90, 10), "gatewayapi:v1", GATEWAY)
        (host,) = gateway_hosts(compile_or_raise(documents).topology, Door(80, "test/public"))
        assert split(host.routes[0]) == [("podinfo-primary", 90), ("podinfo-canary", 10)]

    def test_plain_kubernetes_has_services_and_no_routes(self) -> None:
        _, documents = under_way(ALL_CANARY, "kubernetes", {}, iterations=3)
        topology = compile_or_raise(documents).topology
        assert not topology.tables
        assert shares(topology, HOST) == {"podinfo-primary": 100}


class TestUsers:
    @pytest.mark.parametrize(("provider", "service"), INSIDE[:3])
    def test_of_an_ab_test_go_to_the_canary_by_their_headers(self, provider: str, service: Json) -> None:
        _, documents = under_way(ALL_CANARY, provider, service, **AB)
        insiders, others = routes_in_mesh(documents)
        assert (insiders.match.headers[0].name, split(insiders)) == ("x-canary", [("podinfo-canary", 100)])
        assert [host for host, _ in split(others)] == ["podinfo-primary"]

    @pytest.mark.parametrize(("provider", "service"), INSIDE[:2])
    def test_with_a_cookie_stay_where_they_are(self, provider: str, service: Json) -> None:
        _, documents = under_way(Routes(90, 10), provider, service, Status(applied="v2"), **AFFINITY)
        to_canary, to_primary, new = routes_in_mesh(documents)
        assert (split(to_canary), split(to_primary)) == ([("podinfo-canary", 100)], [("podinfo-primary", 100)])
        assert [d.response_headers.add["Set-Cookie"].partition("=")[0] for d in new.destinations] == ["leave", "stay"]
        cookie = to_canary.match.headers[0]
        assert cookie.name.lower() == "cookie"
        assert cookie.match.value.startswith(".*stay.*")

    def test_lose_the_cookie_when_it_is_over(self) -> None:
        _, documents = under_way(ALL_PRIMARY, "istio", {}, Status(cookie="stay=abc"), **AFFINITY)
        stuck, others = routes_in_mesh(documents)
        assert stuck.response_headers.add == {"Set-Cookie": "stay=abc; Max-Age=-1"}
        assert not others.response_headers

    def test_get_the_end_of_a_cookie_that_they_never_had(self) -> None:
        """Flagger's slip: the headers of the service are one object for all rules."""
        headers = {"headers": {"response": {"add": {"x-served-by": "podinfo"}}}}
        _, documents = under_way(ALL_PRIMARY, "istio", headers, Status(cookie="stay=abc"), **AFFINITY)
        assert [route.response_headers.add["Set-Cookie"] for route in routes_in_mesh(documents)] == [
            "stay=abc; Max-Age=-1"
        ] * 2

    def test_are_mirrored(self) -> None:
        _, documents = under_way(MIRRORED, "istio", {}, stepWeight=10, mirror=True, mirrorWeight=30)
        (only,) = routes_in_mesh(documents)
        assert [(m.destination.host.partition(".")[0], m.percent) for m in only.mirrors] == [("podinfo-canary", 30)]


USERS = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "podinfo", "namespace": "test", "labels": {"team": "shop"}},
    "spec": {"type": "NodePort", "selector": {"app": "podinfo"}, "ports": [{"port": 9898, "name": "http"}]},
}
"""The Service that users had before there was a Canary."""


class TestTheApex:
    def test_serves_the_target_until_the_primary_is_ready(self) -> None:
        one, documents = shop(deployment(), canary("kubernetes", iterations=3), USERS)
        made = objects.created(one, documents)
        assert shares(compile_or_raise(made).topology, HOST) == {"podinfo": 100}
        assert shares(compile_or_raise(objects.scaled(one, made, 0)).topology, HOST) == {"podinfo-primary": 100}

    def test_keeps_what_the_user_gave_it(self) -> None:
        one, documents = shop(deployment(), canary("kubernetes", iterations=3), USERS)
        apex = initialised(one, documents).of("/Service")[0]
        assert (apex.file, apex.metadata["labels"], apex.data["spec"]["type"]) == (
            "shop.yaml",
            {"team": "shop"},
            "NodePort",
        )


class TestThePrimary:
    def test_is_the_target_under_another_label(self) -> None:
        one, documents = shop(deployment(), canary())
        topology = compile_or_raise(initialised(one, documents)).topology
        assert [(w.name, w.replicas, w.labels["app"]) for w in topology.workloads] == [
            ("podinfo", 0, "podinfo"),
            ("podinfo-primary", 2, "podinfo-primary"),
        ]

    def test_gets_the_new_version_at_the_promotion_only(self) -> None:
        one, documents = under_way(Routes(50, 50), "istio", {})

        def images(documents: Documents) -> list[str]:
            return [w.containers[0].image for w in compile_or_raise(documents).topology.workloads]

        assert images(documents) == ["podinfo:6.1.0", "podinfo:6.0.0"]
        assert images(objects.promoted(one, documents)) == ["podinfo:6.1.0", "podinfo:6.1.0"]

    def test_is_rolled_even_if_it_is_promoted_to_what_it_was(self) -> None:
        one, documents = shop(deployment(), canary())
        documents = initialised(one, documents)
        ids = set()
        for _ in range(3):
            pods = documents.of("apps/Deployment")[1].data["spec"]["template"]
            ids.add(pods["metadata"]["annotations"]["flagger-id"])
            documents = objects.promoted(one, documents)
        assert len(ids) == 3

    def test_that_is_there_stays_as_it_is(self) -> None:
        one, documents = under_way(Routes(50, 50), "istio", {})
        assert objects.created(one, documents) == documents


class TestTheRevision:
    def revision(self, *args: Any, **more: Any) -> str:
        return objects.target_of(*shop(deployment(*args, **more), canary())).revision

    def test_changes_with_the_pods(self) -> None:
        assert self.revision() == self.revision("podinfo:6.0.0", env=[])
        assert len({self.revision(), self.revision("podinfo:6.1.0"), self.revision(env=[{"name": "A"}])}) == 3

    def test_is_short_and_does_not_depend_on_replicas(self) -> None:
        one, documents = shop(deployment(), canary())
        before = objects.target_of(one, documents)
        assert objects.target_of(one, objects.scaled(one, documents, 7)) == before
        assert len(before.revision) == 10

    def test_configuration_counts_by_its_data_unless_told_otherwise(self) -> None:
        uses = {"envFrom": [{"configMapRef": {"name": "env"}}]}

        def configs(data: str, **annotations: str) -> tuple[tuple[str, str], ...]:
            metadata = {"name": "env", "namespace": "test", "annotations": annotations}
            env = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"A": data}}
            return objects.target_of(*shop(deployment(**uses), canary(), env)).configs

        assert configs("1") == (("configmap/env", "c73dd9fca58e98a9"),)
        assert configs("1") != configs("2")
        assert configs("1", **{"flagger.app/config-tracking": "disabled"}) == ()

    def test_its_label_is_for_people(self) -> None:
        def label(image: str) -> str:
            return objects.label_of(*shop(deployment(image), canary()))

        assert label("ghcr.io:443/stefanprodan/podinfo:6.0.0@sha256:abc") == "6.0.0"
        assert label("localhost:5000/podinfo") == self.revision("localhost:5000/podinfo")

    def test_the_least_replicas_are_those_of_the_autoscaler(self) -> None:
        named = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "podinfo"}
        told = canary()
        told["spec"]["autoscalerRef"] = named
        hpa = {**named, "metadata": {"name": "podinfo", "namespace": "test"}, "spec": {"minReplicas": 3}}
        assert objects.target_of(*shop(deployment(), told, hpa)).least_replicas == 3
        assert objects.target_of(*shop(deployment(), told)).least_replicas == 1

    def test_of_a_daemon_set_does_not_say_whether_it_is_at_zero(self) -> None:
        told = {**deployment(), "kind": "DaemonSet"}
        one, documents = shop(told, canary(target={"kind": "DaemonSet"}))
        before = objects.target_of(one, documents)
        zero = objects.scaled(one, objects.created(one, documents), 0)
        assert objects.target_of(one, zero) == before
        assert objects.target_of(one, objects.scaled(one, zero, 1)) == before


HPA = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "podinfo"}


def scaler(**spec: Any) -> Json:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "podinfo"}
    metadata = {"name": "podinfo", "namespace": "test"}
    return {**HPA, "metadata": metadata, "spec": {"scaleTargetRef": reference, "maxReplicas": 4, **spec}}


class TestTheAutoscaler:
    """That its copy is Flagger's is held against Flagger; here is what it does to pods, and what is ours."""

    @staticmethod
    def under(*autoscalers: Json, replicas: int = 2, **reference: Any) -> tuple[Canary, Documents]:
        told, target = canary("kubernetes", iterations=3), deployment()
        told["spec"]["autoscalerRef"] = {**HPA, **reference}
        target["spec"]["replicas"] = replicas
        return shop(target, told, *autoscalers)

    @staticmethod
    def replicas(documents: Documents) -> list[int]:
        return [one.data["spec"]["replicas"] for one in documents.of("apps/Deployment")]

    def test_holds_the_target_and_the_primary_within_bounds_of_their_own(self) -> None:
        one, documents = self.under(scaler(minReplicas=3), primaryScalerReplicas={"minReplicas": 5, "maxReplicas": 6})
        documents = objects.held(documents)
        assert self.replicas(documents) == [3]
        resting = objects.held(initialised(one, documents))
        assert self.replicas(resting) == [0, 5], "who has no pods gets none"
        assert self.replicas(objects.held(objects.scaled(one, resting, 1))) == [3, 5]

    def test_allows_no_more_than_its_most(self) -> None:
        assert self.replicas(objects.held(self.under(scaler(maxReplicas=4), replicas=9)[1])) == [4]

    def test_of_keda_leaves_what_is_paused_alone_and_keeps_one_without_load(self) -> None:
        keda = {**scaler(), "apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject"}
        keda["spec"] = {"scaleTargetRef": {"name": "podinfo"}, "triggers": [], "minReplicaCount": 0}
        one, documents = self.under(keda, apiVersion="keda.sh/v1alpha1", kind="ScaledObject")
        assert self.replicas(objects.held(objects.scaled(one, documents, 1))) == [1]
        keda["spec"]["minReplicaCount"] = 3
        one, documents = self.under(keda, apiVersion="keda.sh/v1alpha1", kind="ScaledObject")
        paused = objects.scaled(one, objects.created(one, documents), 0)
        assert self.replicas(objects.held(paused)) == [0, 3]

    def test_that_is_not_there_is_not_waited_for(self) -> None:
        one, documents = self.under()
        made = initialised(one, documents)
        assert [d.kind for d in made if "Autoscaler" in d.kind] == []
        assert objects.promoted(one, made)

    def test_of_the_first_version_has_its_one_metric_told_in_the_words_of_the_second(self) -> None:
        first = {**scaler(targetCPUUtilizationPercentage=80), "apiVersion": "autoscaling/v1"}
        one, documents = self.under(first)
        copy = next(
            d
            for d in initialised(one, documents)
            if d.key[0] == "autoscaling/HorizontalPodAutoscaler" and d.name != "podinfo"
        )
        assert copy.data["apiVersion"] == "autoscaling/v2"
        assert copy.data["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 80
        assert str(copy.where()).startswith("HorizontalPodAutoscaler/podinfo-primary made from shop.yaml:5")


class TestPlaces:
    def test_are_those_of_the_canary(self) -> None:
        one, documents = shop(deployment(), canary(service={"retries": {"attempts": -1}}))
        with pytest.raises(ManifestError) as refused:
            compile_or_raise(initialised(one, documents))
        assert str(refused.value).startswith("VirtualService/podinfo made from shop.yaml:3: error: ")


def refusal(*documents: Json, call: Any = objects.created) -> str:
    with pytest.raises(ManifestError) as refused:
        call(*shop(*documents))
    return str(refused.value)


class TestRefusals:
    def test_no_such_target(self) -> None:
        other = {**deployment(), "metadata": {"name": "podinfos", "namespace": "test"}}
        assert refusal(other, canary()) == (
            "shop.yaml:3: error: there is no Deployment `podinfo` in namespace `test`; did you mean `podinfos`? "
            "[unknown-target]"
        )

    def test_a_target_in_another_namespace(self) -> None:
        other = {**deployment(), "metadata": {"name": "podinfo", "namespace": "prod"}}
        assert "only in prod; a Canary and its target share one namespace" in refusal(other, canary())

    def test_no_label_to_tell_them_apart(self) -> None:
        told = deployment()
        told["spec"]["selector"]["matchLabels"] = {"k8s-app": "podinfo"}
        assert refusal(told, canary()) == (
            "shop.yaml:1: error: Deployment `podinfo`: `spec.selector.matchLabels` must contain one of app, name, "
            "app.kubernetes.io/name; Flagger tells primary and canary apart by it [missing-field]"
        )

    @pytest.mark.parametrize(
        ("service", "said"),
        [
            ({"port": 80}, "`spec.service.port` is 80, and Deployment `podinfo` (shop.yaml:1) has no such port"),
            ({"port": 80, "targetPort": 8080}, "`spec.service.targetPort` is 8080,"),
            ({"port": 80, "targetPort": "web"}, "has no such port; it has: http"),
        ],
    )
    def test_a_port_that_the_pods_do_not_have(self, service: Json, said: str) -> None:
        assert said in refusal(deployment(), canary(service=service))

    def test_two_canaries_of_one_target(self) -> None:
        second = canary(name="again", service={"name": "other"})
        assert refusal(deployment(), canary(), second) == (
            "shop.yaml:3: error: Canary `again` (shop.yaml:5) has `spec.targetRef.name` 'podinfo', too; "
            "one Canary is all that a target and a service can have [duplicate-canary]"
        )

    def test_a_daemon_set_whose_pods_are_replaced_by_hand(self) -> None:
        told = {**deployment(), "kind": "DaemonSet"}
        del told["spec"]["replicas"]
        told["spec"]["updateStrategy"] = {"type": "OnDelete"}
        assert refusal(told, canary(target={"kind": "DaemonSet"})) == (
            "shop.yaml:1: error: DaemonSet `podinfo` must have RollingUpdate strategy but has OnDelete: Flagger makes "
            "no primary of it [not-supported]"
        )

    def test_what_gateway_api_cannot_say(self) -> None:
        service = {**GATEWAY, "match": [{"headers": {"x-a": {"prefix": "b"}}}]}
        said = refusal(deployment(), canary("gatewayapi:v1", service=service), call=initialised)
        assert "`spec.service.match.0.headers.x-a` has no counterpart in Gateway API" in said

    def test_no_gateway_at_all(self) -> None:
        said = refusal(deployment(), canary("gatewayapi:v1"), call=initialised)
        assert "GatewayRefs must be specified" in said
