"""Documents together: which kinds and names a cluster would refuse, and that every error is told at once."""

from __future__ import annotations

import pytest

from meshtest.errors import ManifestError
from meshtest.manifests.compiler import compile, compile_or_raise
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Severity


def said(text: str, least: Severity = Severity.WARNING) -> list[str]:
    """The diagnostics of a text, as they are printed."""
    return [str(d) for d in compile(read_text(text, "m.yaml")).diagnostics if d.severity >= least]


def named(api_version: str, kind: str) -> str:
    return f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: a}}\nspec: {{}}\n"


class TestKinds:
    @pytest.mark.parametrize(
        ("api_version", "kind", "message"),
        [
            (
                "networking.istio.io/v1",
                "VirtualServise",
                "m.yaml:2: error: unknown kind `VirtualServise`; did you mean `VirtualService`? [unknown-kind]",
            ),
            (
                "apps/v1",
                "Deploymnt",
                "m.yaml:2: error: unknown kind `Deploymnt`; did you mean `Deployment`? [unknown-kind]",
            ),
            (
                "apps/v2",
                "Deployment",
                "m.yaml:1: error: Deployment has no apiVersion 'apps/v2'; accepted: apps/v1 [unknown-version]",
            ),
            (
                "extensions/v1beta1",
                "Deployment",
                "m.yaml:1: error: Deployment has no apiVersion 'extensions/v1beta1'; accepted: apps/v1 "
                "[unknown-version]",
            ),
            (
                "v1",
                "Deployment",
                "m.yaml:1: error: Deployment has no apiVersion 'v1'; accepted: apps/v1 [unknown-version]",
            ),
            (
                "networking.istio.io/v2",
                "Gateway",
                "m.yaml:1: error: Gateway has no apiVersion 'networking.istio.io/v2'; accepted: "
                "networking.istio.io/v1, networking.istio.io/v1beta1, networking.istio.io/v1alpha3 [unknown-version]",
            ),
            (
                "networking.istio/v1",
                "VirtualService",
                "m.yaml:1: error: VirtualService has no apiVersion 'networking.istio/v1'; accepted: "
                "networking.istio.io/v1, networking.istio.io/v1beta1, networking.istio.io/v1alpha3 [unknown-version]",
            ),
        ],
    )
    def test_a_slip_in_kind_or_version_is_an_error_with_what_is_accepted(
        self, api_version: str, kind: str, message: str
    ) -> None:
        assert message in said(named(api_version, kind))

    @pytest.mark.parametrize(
        ("api_version", "kind"),
        [
            ("networking.istio.io/v1", "WorkloadGroup"),
            ("gateway.networking.k8s.io/v1", "UDPRoute"),
            ("gateway.networking.k8s.io/v1", "SomethingNew"),
            ("policy.linkerd.io/v1", "SomethingNew"),
            ("apps/v1", "StatefulSet"),
            ("networking.k8s.io/v1", "Ingress"),
        ],
    )
    def test_a_kind_that_would_move_requests_is_a_warning(self, api_version: str, kind: str) -> None:
        assert said(named(api_version, kind)) == [
            f"m.yaml:1: warning: {kind} `a` is not supported: requests may go another way than on a cluster "
            "[not-supported]"
        ]

    @pytest.mark.parametrize("kind", ["Canary", "MetricTemplate", "AlertProvider"])
    def test_flaggers_kinds_are_performed_when_asked_for(self, kind: str) -> None:
        assert said(named("flagger.app/v1beta1", kind)) == []
        assert said(named("flagger.app/v1beta1", kind), Severity.INFO) == [
            f"m.yaml:1: info: {kind} `a` has no effect by itself: `meshtest rehearse` performs it [unused]"
        ]

    @pytest.mark.parametrize(
        ("api_version", "kind"),
        [
            ("v1", "ServiceAccount"),
            ("v1", "LimitRange"),
            ("autoscaling/v2", "HorizontalPodAutoscaler"),
            ("policy/v1", "PodDisruptionBudget"),
            ("cert-manager.io/v1", "Certificate"),
            ("serving.knative.dev/v1", "Service"),
        ],
    )
    def test_a_kind_that_is_none_of_our_business_is_only_listed(self, api_version: str, kind: str) -> None:
        assert said(named(api_version, kind)) == []
        assert said(named(api_version, kind), Severity.INFO) == [
            f"m.yaml:1: info: {kind} `a` has no effect here [unused]"
        ]


class TestNames:
    @pytest.mark.parametrize(
        ("api_version", "kind", "name", "allowed"),
        [
            ("networking.istio.io/v1", "VirtualService", "shopFront", "digits, `-` and `.`, at most 253 characters"),
            ("v1", "Service", "web.v1", "digits, `-`, at most 63 characters"),
            ("v1", "Service", "x" * 64, "digits, `-`, at most 63 characters"),
            ("v1", "ConfigMap", "-a", "digits, `-` and `.`, at most 253 characters"),
        ],
    )
    def test_one_that_a_cluster_would_refuse_is_an_error(
        self, api_version: str, kind: str, name: str, allowed: str
    ) -> None:
        text = f"apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: {name}\n"
        assert [line for line in said(text) if "metadata" in line] == [
            f"m.yaml:4: error: `metadata.name` is {name!r}; allowed: lower-case letters, {allowed}, a letter or digit "
            "at both ends [bad-value]"
        ]

    def test_a_namespace_has_no_dots(self) -> None:
        (line,) = said("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a.b\n  namespace: a.b\n")
        assert line.startswith("m.yaml:5: error: `metadata.namespace` is 'a.b'; allowed: ")

    def test_rbac_allows_more(self) -> None:
        assert said(named("rbac.authorization.k8s.io/v1", "ClusterRole").replace("name: a", "name: 'system:a'")) == []


def test_every_error_is_raised_at_once(reviews: str) -> None:
    text = reviews + named("apps/v1", "Deploymnt") + "---\n" + named("networking.istio.io/v1", "Gatway")
    with pytest.raises(ManifestError) as error:
        compile_or_raise(read_text(text, "m.yaml"))
    assert [d.code for d in error.value.diagnostics] == ["unknown-kind", "unknown-kind"]


def test_without_errors_the_result_is_that_of_compile(reviews: str) -> None:
    documents = read_text(reviews)
    assert compile_or_raise(documents) == compile(documents)


def test_a_document_that_did_not_change_is_not_read_again(reviews: str) -> None:
    before = read_text(reviews)
    after = before.apply([d.with_data(dict(d.data)) for d in before if d.name == "reviews-v2"])
    one, other = (compile(documents).topology for documents in (before, after))
    assert one.services[0] is other.services[0]
    assert one.workloads[0] is other.workloads[0]
    assert one.workloads[1] is not other.workloads[1]
    assert one == other


def test_no_dialect_means_that_nothing_is_understood(reviews: str) -> None:
    compiled = compile(read_text(reviews), dialects=())
    assert compiled.topology.services == ()
    assert {d.code for d in compiled.diagnostics} == {"unused"}
