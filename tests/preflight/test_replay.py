"""A plan, step by step, on a real mesh under load: nothing is lost. The same changes in another order lose requests.

client ──100 requests/s──► web: v1 is replaced by v2, subset and all
"""

from __future__ import annotations

from meshtest import Mesh, no_downtime
from meshtest.model.document import Document, Documents
from meshtest.preflight.plan import plan
from tests.preflight.shop import read, route, rule, service, subsets, to, version

BARE = {"readinessProbe": None, "lifecycle": None, "ports": [{"containerPort": 8080}]}


def shop(name: str) -> Documents:
    return read(service(), version(name, container=BARE), subsets(name), route(rule(to("web", name))))


def test_a_version_is_swapped_in_the_order_of_the_plan_without_a_lost_request(mesh: Mesh) -> None:
    old, new = shop("v1"), shop("v2")
    mesh.restore(old, "as it was")
    with mesh.load("GET http://web/", rps=100) as load:
        load.until(requests=20)
        for step in plan(new, old):
            mesh.restore(step.after(mesh.documents), f"{step.number}. {step.action} {step.title}")
            load.until(requests=20)
    assert load.failures == []
    assert load.versions == {"v1", "v2"}
    mesh.verify(no_downtime())


def test_with_the_workloads_swapped_first_requests_are_lost(mesh: Mesh) -> None:
    old, new = shop("v1"), shop("v2")
    mesh.restore(old, "as it was")
    with mesh.load("GET http://web/", rps=100) as load:
        load.until(requests=20)
        mesh.restore(_swapped(old, new), "the workloads of the new files, the rules of the old")
        load.until(requests=20)
        mesh.restore(new, "the rest")
        load.until(requests=20)
    assert {failure.kind for failure in load.failures} == {"503 UH"}


def _swapped(old: Documents, new: Documents) -> Documents:
    def workloads(documents: Documents) -> list[Document]:
        return [d for d in documents if d.kind == "apps/Deployment"]

    rules = [d for d in old if d not in workloads(old)]
    return Documents((*rules, *workloads(new)))
