"""A Canary from YAML: defaults, what is refused and where, and that no field of the CRD is forgotten."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshtest.errors import ManifestError, UsageError
from meshtest.manifests.fields import METADATA, Fields
from meshtest.manifests.patch import put
from meshtest.manifests.reader import read_text
from meshtest.manifests.view import View
from meshtest.model.document import Document
from meshtest.rollouts.canary.fields import CANARY, SPEC
from meshtest.rollouts.canary.reading import of, parse
from meshtest.rollouts.canary.spec import (
    AlertRule,
    Autoscaler,
    Bounds,
    Hook,
    HookType,
    Metric,
    Reference,
    SessionAffinity,
)
from meshtest.rollouts.canary.spec import Severity as AlertSeverity
from tests.crds import schemas_of, unlike

LEAST = """\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: podinfo}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: podinfo}
  service: {port: 9898}
  analysis: {interval: 1m, threshold: 5, stepWeight: 10}
"""

EVERYTHING = """\
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: podinfo, namespace: test}
spec:
  provider: gatewayapi:v1
  metricsServer: http://prometheus:9090
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: podinfo}
  autoscalerRef:
    {apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, name: podinfo, primaryScalerQueries: {a: up},
     primaryScalerReplicas: {minReplicas: 2, maxReplicas: 5}}
  progressDeadlineSeconds: 60
  skipAnalysis: false
  revertOnDeletion: true
  suspend: false
  service:
    name: web
    port: 80
    portName: http-web
    targetPort: http
    appProtocol: http
    portDiscovery: true
    headless: false
    timeout: 5s
    backendTimeout: 4s
    hosts: [web.example]
    gateways: [public]
    gatewayRefs: [{group: g, kind: Gateway, name: public, namespace: infra, sectionName: http, port: 80}]
    delegation: false
    match:
    - {name: all, ignoreUriCase: true, port: 80, gateways: [mesh], sourceLabels: {a: b}, sourceNamespace: test,
       uri: {prefix: /}, scheme: {exact: http}, method: {regex: GET}, authority: {exact: a}, headers: {a: {exact: b}},
       queryParams: {a: {exact: b}}, withoutHeaders: {c: {exact: d}}}
    retries: {attempts: 3, perTryTimeout: 1s, retryOn: 5xx}
    rewrite: {uri: /, authority: a, type: ReplaceFullPath}
    mirror: [{backendRef: {group: "", kind: Service, name: shadow, namespace: test, port: 80}}]
    headers: {request: {add: {a: b}, set: {c: d}, remove: [e]}, response: {add: {a: b}}}
    corsPolicy: {allowMethods: [GET], allowOrigin: ["*"], allowOrigins: [{exact: a}], allowHeaders: [a],
                 exposeHeaders: [a], allowCredentials: true, maxAge: 1h}
    trafficPolicy:
      connectionPool: {http: {http1MaxPendingRequests: 1}}
      loadBalancer:
        consistentHash: {httpCookie: {name: a, path: /, ttl: 1s}}
        localityLbSetting: {enabled: true, distribute: [{from: a, to: {b: 100}}], failover: [{from: a, to: b}]}
      outlierDetection: {consecutive5xxErrors: 1}
      tls: {mode: DISABLE}
    trafficDistribution: PreferClose
    apex: {labels: {a: b}}
    primary: {labels: {a: b}}
    canary: {labels: {a: b}}
    unmanagedMetadata: {labels: [a]}
  analysis:
    interval: 30s
    threshold: 3
    maxWeight: 60
    stepWeight: 20
    stepWeightPromotion: 50
    mirror: true
    mirrorWeight: 10
    primaryReadyThreshold: 80
    canaryReadyThreshold: 90
    match: [{headers: {cookie: {regex: "beta=.*"}}, queryParams: {a: {exact: b}}}]
    sessionAffinity: {cookieName: canary, primaryCookieName: primary, maxAge: 60, domain: web.example, httpOnly: true,
                      partitioned: true, path: /, sameSite: Lax, secure: true}
    metrics:
    - {name: request-success-rate, interval: 2m, thresholdRange: {min: 99}}
    - {name: errors, templateRef: {name: errors, namespace: flagger}, templateVariables: {a: b}, threshold: 1}
    - {name: old, query: up, thresholdRange: {min: 0.5, max: 1}}
    alerts:
    - {name: people, severity: warn, providerRef: {name: slack, namespace: flagger}}
    webhooks:
    - {name: gate, type: confirm-rollout, url: "http://gate/", timeout: 3m, retries: 5, muteAlert: true,
       disableTLS: true, metadata: {a: b}}
    - {name: load, url: "http://load/"}
"""


def first(text: str) -> Document:
    (found,) = read_text(text, "canary.yaml")
    return found


def complaints(text: str) -> list[str]:
    return [f"{note.source.line}: {note.message}" for note in parse(first(text)).notes]


def test_defaults_are_flaggers() -> None:
    canary = of(first(LEAST))
    analysis = canary.analysis
    assert (canary.provider, canary.deadline, canary.skip, canary.suspend) == ("istio", 600, False, False)
    assert (canary.service.name, canary.service.port_name, canary.service.target_port) == ("podinfo", "http", None)
    assert (analysis.interval, analysis.threshold, analysis.target_weight) == (60.0, 5, 100)
    assert (analysis.primary_ready, analysis.canary_ready, analysis.promotion_step) == (100, 100, 0)
    assert (canary.full_name, canary.workload, canary.primary) == ("podinfo.default",) * 2 + (
        "podinfo-primary.default",
    )


def test_everything_that_is_written_is_read() -> None:
    canary = of(first(EVERYTHING))
    analysis, service = canary.analysis, canary.service
    assert (canary.deadline, canary.revert) == (60, True)
    assert canary.autoscaler == Autoscaler(
        kind="HorizontalPodAutoscaler", name="podinfo", least=2, most=5, queries={"a": "up"}
    )
    assert canary.metrics_server == "http://prometheus:9090"
    assert (service.name, service.primary, service.canary) == ("web", "web-primary", "web-canary")
    assert (service.target_port, service.hosts, service.data["timeout"]) == ("http", ("web.example",), "5s")
    assert (analysis.interval, analysis.target_weight, analysis.promotion_step) == (30.0, 60, 50)
    assert (analysis.primary_ready, analysis.canary_ready, analysis.mirror_weight) == (80, 90, 10)
    assert analysis.metrics == (
        Metric(name="request-success-rate", interval="2m", bounds=Bounds(least=99)),
        Metric(
            name="errors", template=Reference(name="errors", namespace="flagger"), threshold=1, variables={"a": "b"}
        ),
        Metric(name="old", query="up", bounds=Bounds(least=0.5, most=1)),
    )
    gate = Hook(
        name="gate", url="http://gate/", type=HookType.CONFIRM_ROLLOUT, timeout=180, retries=5, mute=True,
        insecure=True, metadata={"a": "b"},
    )  # fmt: skip
    assert analysis.hooks == (gate, Hook(name="load", url="http://load/"))
    slack = Reference(name="slack", namespace="flagger")
    assert analysis.alerts == (AlertRule(name="people", severity=AlertSeverity.WARN, provider=slack),)
    attributes = ("Domain=web.example", "HttpOnly", "Partitioned", "Path=/", "SameSite=Lax", "Secure")
    affinity = SessionAffinity(cookie="canary", primary_cookie="primary", max_age=60, attributes=attributes)
    assert analysis.affinity == affinity


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("interval: 1m, ", "", "7: `spec.analysis.interval` is required"),
        ("stepWeight: 10", "stepWeight: 10, iterations: 2", "exactly one of iterations, stepWeight, stepWeights"),
        (", stepWeight: 10", "", "exactly one of iterations, stepWeight, stepWeights, not none"),
        ("interval: 1m", "interval: fast", "7: `spec.analysis.interval` must begin like"),
        ("interval: 1m", "interval: 1", '7: `spec.analysis.interval` must be text with a unit, as "1s", not 1'),
        ("stepWeight: 10", "stepWeights: [10, x]", "7: `spec.analysis.stepWeights[1]` must be an integer, not 'x'"),
        (
            "stepWeight: 10",
            "stepWeight: 10, webhooks: [{name: a, url: 'http://a/', type: pre-rolout}]",
            "not 'pre-rolout'; did you mean 'pre-rollout'?",
        ),
        ("stepWeight: 10", "stepWeight: -1", "7: `spec.analysis.stepWeight` must be at least 0, not -1"),
        ("stepWeight: 10", "stepweight: 10", "7: unknown field `spec.analysis.stepweight`; did you mean `stepWeight`?"),
        ("kind: Deployment", "kind: StatefulSet", "5: `spec.targetRef.kind` must be one of Deployment, DaemonSet"),
        ("{port: 9898}", "{name: web}", "6: `spec.service.port` is required"),
        ("  service", "  provider: gatewayapi\n  service", "6: `spec.provider` must be one of"),
        ("threshold: 5", "threshold: 5, webhooks: [{name: a}]", "7: `spec.analysis.webhooks[0].url` is required"),
        ("threshold: 5", "threshold: 5, webhooks: [{name: a, url: b, type: before}]", "must be one of confirm-rollout"),
        ("threshold: 5", "threshold: 5, metrics: [{interval: 1m}]", "7: `spec.analysis.metrics[0].name` is required"),
        ("threshold: 5", "threshold: 5, sessionAffinity: {cookieName: a, primaryCookieName: a}", "must differ from"),
        ("analysis:", "canaryAnalysis:", "7: `spec.canaryAnalysis` is not supported: it was renamed to `analysis`"),
        ("  service", "  provider: nginx\n  service", "6: `spec.provider` is not supported: simulated like istio"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_stands(old: str, new: str, said: str) -> None:
    assert old in LEAST
    assert any(said in complaint for complaint in complaints(LEAST.replace(old, new))), complaints(
        LEAST.replace(old, new)
    )


def test_a_canary_with_gateway_refs_is_one_of_gateway_api_unless_somebody_says_otherwise() -> None:
    told = first(LEAST.replace("{port: 9898}", "{port: 9898, gatewayRefs: [{name: public}]}"))
    assert of(told).provider == "gatewayapi:v1"
    assert of(told, provider="kubernetes").provider == "kubernetes"
    assert of(first(LEAST)).provider == "istio"


def test_a_provider_that_flagger_does_not_have_is_told() -> None:
    with pytest.raises(
        UsageError, match=r"no provider 'gatewayapi'; did you mean 'gatewayapi:v1'\? simulated are: istio"
    ):
        of(first(LEAST), provider="gatewayapi")


def test_knative_asks_for_no_service() -> None:
    knative = LEAST.replace("kind: Deployment", "kind: Service").replace("  service: {port: 9898}\n", "")
    assert of(first(knative), provider="knative").kind == "Service"


def test_errors_are_raised_together() -> None:
    with pytest.raises(ManifestError) as caught:
        of(first(LEAST.replace("interval: 1m", "interval: 1").replace("{port: 9898}", "{}")))
    assert len(caught.value.diagnostics) == 2
    assert "canary.yaml:7: error: " in str(caught.value)


@pytest.mark.parametrize(("written", "seconds"), [("1s", 10.0), ("90s", 90.0), ("1m30s", 90.0), ("5mm", 60.0)])
def test_intervals_are_what_flagger_makes_of_them(written: str, seconds: float) -> None:
    assert of(first(LEAST.replace("interval: 1m", f"interval: {written}"))).analysis.interval == seconds


def test_every_property_of_the_crd_is_read_or_reported(schemas: Path) -> None:
    crd = schemas_of(schemas / "flagger.yaml")["Canary"]
    assert unlike(crd, SPEC) == ["spec.canaryAnalysis is not in the CRD"]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("service: {port: 9898, trafficPolicy: {connectionPool: {tcp: {}}}}", "`spec.service.trafficPolicy"),
        ("service: {port: 9898, retries: {attempts: 1, backoff: 1s}}", "`spec.service.retries.backoff`"),
        ("service: {port: 9898, match: [{uri: {suffix: a}}]}", "`spec.service.match[0].uri.suffix`"),
        ("service: {port: 9898, gatewayRefs: [{namespace: a}]}", "`spec.service.gatewayRefs[0].name` is required"),
        ("service: {port: 9898, mirror: [{}]}", "`spec.service.mirror[0].backendRef` is required"),
    ],
)
def test_words_of_a_mesh_that_the_crd_does_not_have_are_refused(written: str, said: str) -> None:
    (complaint,) = complaints(LEAST.replace("service: {port: 9898}", written))
    assert complaint.startswith("6: ")
    assert said in complaint


def test_an_ab_test_chooses_by_headers_not_by_paths() -> None:
    (complaint,) = complaints(LEAST.replace("stepWeight: 10", "iterations: 3, match: [{uri: {prefix: /new}}]"))
    assert complaint.startswith("7: unknown field `spec.analysis.match[0].uri`; known here: ")


def tables(fields: Fields, path: str) -> Iterator[tuple[str, Fields]]:
    yield path, fields
    for name, below in fields.read.items():
        if below is not None and below is not METADATA:
            yield from tables(below, f"{path}.{name}")


def test_every_field_of_the_table_is_really_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[tuple[int, str]] = set()
    original = View._get

    def spy(self: View, key: str) -> Any:
        read.add((id(self.fields), key))
        return original(self, key)

    monkeypatch.setattr(View, "_get", spy)
    assert parse(first(EVERYTHING)).notes == ()
    unread = {f"{path}.{name}" for path, fields in tables(CANARY, "Canary")
              for name in fields.read if (id(fields), name) not in read}  # fmt: skip
    assert unread == {"Canary.apiVersion", "Canary.kind", "Canary.metadata"}


def test_no_value_of_a_wrong_type_is_more_than_a_diagnostic() -> None:
    document = first(EVERYTHING)
    values: Iterator[Any] = itertools.cycle([1, "x", [], {}, [None], {"a": 1}, True, [[]], 1.5, -1, None, [{}], ""])
    for path in document.lines:
        if len(path) > 1 and path[0] == "spec":
            for _ in range(13):
                parse(put(document, path, next(values)))
