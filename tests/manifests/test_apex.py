"""Whom a version answers for, where it is a Service of its own."""

from __future__ import annotations

import pytest

from meshtest.manifests import apex
from meshtest.manifests.compiler import compile_or_raise
from meshtest.manifests.shares import shares
from meshtest.model.topology import Topology
from tests.manifests.gateway_api.shop import SHOP, WEB, deployment, documents, gateway, route, service

IN_MESH = "[{group: '', kind: Service, name: web}]"
BOTH = "[{backendRefs: [{name: web-v1, port: 80, weight: 9}, {name: web-v2, port: 80, weight: 1}]}]"


def topology(*texts: str) -> Topology:
    return compile_or_raise(documents(*texts)).topology


def answered(found: Topology) -> dict[str, str]:
    """Workload to service."""
    return {workload.name: apex.of_workload(found, workload) for workload in found.workloads}


def parts(*, web: str = "{app: web}", canary: str = "{app: web, version: v2}") -> str:
    """`web` and `web-canary`, with two versions behind them."""
    return service("web", web) + service("web-canary", canary) + deployment("v1") + deployment("v2")


FLAGGER = (
    parts(web="{app: web, version: v1}")
    + service("web-primary", "{app: web, version: v1}")
    + route("[{backendRefs: [{name: web-primary, port: 80}, {name: web-canary, port: 80}]}]", parents=IN_MESH)
)
LINKERD = parts(web="{app: web, version: v1}") + route(
    "[{backendRefs: [{name: web, port: 80, weight: 100}, {name: web-canary, port: 80, weight: 0}]}]", parents=IN_MESH
)
SELECTORLESS = SHOP.replace("selector: {app: web},", "selector: {app: nobody},") + route(BOTH, parents=IN_MESH)


class TestWorkloads:
    @pytest.mark.parametrize("text", [SHOP + route(BOTH, parents=IN_MESH), FLAGGER, LINKERD, SELECTORLESS])
    def test_versions_answer_for_the_parent_of_their_route(self, text: str) -> None:
        assert set(answered(topology(text)).values()) == {"web"}

    def test_behind_a_gateway_they_answer_for_the_service_that_selects_most(self) -> None:
        narrow_first = service("web-old", "{app: web, version: v1}") + SHOP
        assert set(answered(topology(narrow_first, gateway(), route(BOTH))).values()) == {"web"}

    def test_of_services_that_select_as_many_the_first_counts(self) -> None:
        found = topology(service("b", "{app: web}") + service("a", "{app: web}") + deployment("v1"))
        assert answered(found) == {"web-v1": "b"}

    def test_whom_nobody_selects_answers_for_its_app(self) -> None:
        assert answered(topology(deployment("v1"))) == {"web-v1": "web"}

    def test_a_path_of_its_own_leads_to_another_service(self) -> None:
        text = (
            SHOP
            + service("api", "{app: api}")
            + deployment("v1").replace("app: web", "app: api").replace("web-v1", "api-v1")
        )
        rules = "[{matches: [{path: {value: /api}}], backendRefs: [{name: api, port: 80}]}]"
        found = topology(text, route(rules, parents=IN_MESH))
        assert answered(found)["api-v1"] == "api"

    def test_two_services_that_lead_to_one_another_stay_themselves(self) -> None:
        text = parts(web="{app: web, version: v1}")
        text += route("[{backendRefs: [{name: web-canary, port: 80}]}]", parents=IN_MESH)
        text += route(
            "[{backendRefs: [{name: web, port: 80}]}]", name="back", parents=IN_MESH.replace("web", "web-canary")
        )
        assert len(apex.parents(topology(text))) == 1


class TestCallers:
    def test_a_second_service_for_all_pods_keeps_its_name(self) -> None:
        found = topology(SHOP + service("web-admin", "{app: web}"))
        seen = {
            s.name: apex.answering(found, s, found.workloads[0]) for s in found.services if s.selector != {"app": "db"}
        }
        assert seen == {"web": "web", "web-v1": "web", "web-v2": "web", "web-admin": "web-admin"}


class TestShares:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (SHOP + route(BOTH, parents=IN_MESH), {"v1": 90.0, "v2": 10.0}),
            (SHOP + gateway() + route(BOTH), {"v1": 90.0, "v2": 10.0}),
            (FLAGGER, {"v1": 50.0, "v2": 50.0}),
            (LINKERD, {"v1": 100.0}),
            (SELECTORLESS, {"v1": 90.0, "v2": 10.0}),
        ],
    )
    def test_they_are_those_of_the_service_that_users_call(self, text: str, expected: dict[str, float]) -> None:
        assert shares(topology(text), WEB) == expected

    def test_a_version_at_rest_is_still_one(self) -> None:
        found = topology(LINKERD)
        web = found.service(WEB)
        assert web is not None
        assert [w.name for w in apex.backends(found, web)] == ["web-v1", "web-v2"]
