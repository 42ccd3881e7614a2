"""DaemonSet: a pod a node, and this machine is as many nodes as the annotation says."""

from __future__ import annotations

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.kubernetes.daemon_set import at_zero, from_zero, on_nodes
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Severity
from meshtest.model.document import Document, Documents
from meshtest.model.service import Workload


def text(spec: str = "", *, pod: str = "", annotations: str = "{}") -> str:
    return f"""\
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: agent, annotations: {annotations}}}
spec:
  selector: {{matchLabels: {{app: agent}}}}
  template:
    metadata: {{labels: {{app: agent}}}}
    spec:
      containers: [{{name: agent, image: agent}}]
      {pod}
  {spec}
"""


def document(told: str) -> Document:
    (found,) = read_text(told, "m.yaml")
    return found


def workload(one: str | Document) -> Workload:
    documents = read_text(one) if isinstance(one, str) else Documents((one,))
    (found,) = compile(documents).topology.workloads
    return found


def said(told: str, least: Severity = Severity.WARNING) -> list[str]:
    return [str(d) for d in compile(read_text(told, "m.yaml")).diagnostics if d.severity >= least]


THREE = '{meshtest.dev/nodes: "3"}'


def test_this_machine_is_one_node() -> None:
    found = workload(text(pod="nodeSelector: {kubernetes.io/os: linux}"))
    assert (found.replicas, found.max_surge, found.max_unavailable) == (1, 0, 1)
    assert said(text(pod="nodeSelector: {kubernetes.io/os: linux}"), Severity.INFO) == []


def test_it_can_be_more_nodes_and_pods_of_the_same_template_stay() -> None:
    one, three = workload(text()), workload(text(annotations=THREE))
    assert three.replicas == 3
    assert three.template_hash == one.template_hash


def test_flagger_scales_it_to_zero_by_a_label_that_no_node_has() -> None:
    before = document(text(pod="nodeSelector: {disk: ssd}", annotations=THREE))
    zero = at_zero(before)
    assert zero.data["spec"]["template"]["spec"]["nodeSelector"] == {"disk": "ssd", "flagger.app/scale-to-zero": "true"}
    assert workload(zero).replicas == 0
    assert workload(zero).template_hash == workload(before).template_hash
    assert from_zero(zero).data == before.data
    assert from_zero(at_zero(document(text()))).data == document(text()).data
    assert from_zero(before) is before


def test_to_scale_it_is_to_have_other_nodes() -> None:
    assert workload(on_nodes(at_zero(document(text())), 4)).replicas == 4
    assert workload(on_nodes(document(text()), 0)).replicas == 0


@pytest.mark.parametrize(
    ("rolling", "limits"),
    [
        ("{maxUnavailable: 2}", (0, 2)),
        ("{maxUnavailable: 34%}", (0, 2)),
        ("{maxSurge: 10%, maxUnavailable: 0}", (1, 0)),
    ],
)
def test_a_share_of_the_nodes_is_rounded_up(rolling: str, limits: tuple[int, int]) -> None:
    found = workload(text(f"updateStrategy: {{rollingUpdate: {rolling}}}", annotations=THREE))
    assert (found.max_surge, found.max_unavailable) == limits


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (
            text("updateStrategy: {rollingUpdate: {maxSurge: 1}}"),
            "m.yaml:11: error: `spec.updateStrategy.rollingUpdate`: maxSurge is 1 and maxUnavailable 1; set "
            "maxUnavailable to 0 with a maxSurge [bad-value]",
        ),
        (
            text("updateStrategy: {rollingUpdate: {maxUnavailable: 0}}"),
            "m.yaml:11: error: `spec.updateStrategy.rollingUpdate`: maxSurge is 0 and maxUnavailable 0; one of them "
            "must be more than 0 [bad-value]",
        ),
        (
            text(annotations='{meshtest.dev/nodes: "many"}'),
            "m.yaml:3: error: annotation meshtest.dev/nodes is the number of nodes, 1 to 100, not 'many' [bad-value]",
        ),
        (
            text("updateStrategy: {type: OnDelete}"),
            "m.yaml:11: warning: `spec.updateStrategy.type` is not supported: pods are replaced at once, as "
            "RollingUpdate does it [not-supported]",
        ),
        (text("replicas: 2"), "m.yaml:11: error: unknown field `spec.replicas`; known here: selector, template, "),
        ("{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: a}}", "`spec.template.spec` is required"),
    ],
)
def test_what_is_wrong_with_one_is_told_with_its_place(told: str, message: str) -> None:
    assert message in "\n".join(said(told))
