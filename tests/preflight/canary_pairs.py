"""For each code about Flagger a Canary that it is about, and the nearest that it is not about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.preflight.shop import Object, thing

Pair = tuple[Sequence[Object], Sequence[Object]]
FLAGGER = "flagger.app/v1beta1"
AB: Object = {"iterations": 5, "match": [{"headers": {"x-beta": {"exact": "yes"}}}]}
GATEWAY: Object = {"provider": "gatewayapi:v1", "service": {"port": 80, "gatewayRefs": [{"name": "public"}]}}
HEADERS: Object = {"response": {"add": {"x-served-by": "web"}}}
SESSIONS: Object = {"cookieName": "a"}
SUCCESS: Object = {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}}
DURATION: Object = {"name": "request-duration", "interval": "1m", "thresholdRange": {"max": 500}}
TEMPLATED: Object = {
    "name": "errors",
    "interval": "1m",
    "templateRef": {"name": "errors"},
    "thresholdRange": {"max": 1},
}


def canary(*, spec: Object | None = None, name: str = "web", annotations: Any = None, **analysis: Any) -> Object:
    """Steps of 10 % a minute to 50 %, judged by the success rate."""
    way = {} if {"iterations", "stepWeight", "stepWeights"} & analysis.keys() else {"stepWeight": 10}
    weights = {"maxWeight": 50} if way else {}
    told = {"interval": "1m", "threshold": 5, **way, **weights, "metrics": [SUCCESS], **analysis}
    body = {
        "provider": "istio",
        "targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "service": {"port": 80},
        **(spec or {}),
        "analysis": {key: value for key, value in told.items() if value is not None},
    }
    return thing("Canary", name, api=FLAGGER, spec=body, annotations=annotations or {})


def hook(kind: str, **more: Any) -> Object:
    return {"name": kind, "type": kind, "url": "http://tester/", **more}


def hooks(*kinds: str, **analysis: Any) -> Object:
    return canary(**{"webhooks": [hook(kind) for kind in kinds], **analysis})


def load(command: str, **analysis: Any) -> Object:
    return canary(**{"webhooks": [hook("rollout", metadata={"cmd": command})], **analysis})


def metric(**told: Any) -> Object:
    return canary(metrics=[{**SUCCESS, **told}])


def target(*ports: Object, name: str = "web") -> Object:
    spec = {"template": {"spec": {"containers": [{"name": "app", "image": "x", "ports": list(ports)}]}}}
    return thing("Deployment", name, api="apps/v1", spec=spec)


def template(query: str) -> Object:
    spec = {"provider": {"type": "prometheus", "address": "http://prometheus:9090"}, "query": query}
    return thing("MetricTemplate", "errors", api=FLAGGER, spec=spec)


def scaler(name: str = "web") -> Object:
    ref = {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
    return thing("HorizontalPodAutoscaler", api="autoscaling/v2", spec={"scaleTargetRef": ref, "maxReplicas": 3})


ERRORS = 'sum(rate(r{code=~"5.*"}[1m])) / sum(rate(r[1m])) * 100'
GUARDED = '(sum(rate(r{code=~"5.*"}[1m])) or vector(0)) / sum(rate(r[1m])) * 100'
SCALED_BY: Object = {
    "autoscalerRef": {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "web"}
}
MATCHED: Object = {"service": {"port": 80, "match": [{"uri": {"prefix": "/"}}]}}
QUERY: Object = {"iterations": 5, "match": [{"queryParams": {"beta": {"exact": "yes"}}}]}

CANARY_PAIRS: Mapping[str, Pair] = {
    "FL01": ([hooks("confirm-rollout", "rollback")], [hooks("rollback")]),
    "FL02": ([hooks("confirm-rollout")], [hooks("confirm-promotion")]),
    "FL03": ([hooks("confirm-promotion", iterations=5)], [hooks("confirm-promotion")]),
    "FL04": ([hooks("confirm-promotion")], [hooks("confirm-traffic-increase")]),
    "FL05": ([hooks("confirm-traffic-increase", "pre-rollout")], [hooks("confirm-traffic-increase")]),
    "FL06": ([canary()], [canary(iterations=5, metrics=[SUCCESS])]),
    "FL07": ([canary(stepWeight=20, maxWeight=50)], [canary(stepWeight=25, maxWeight=50)]),
    "FL08": ([canary(stepWeights=[1, 50], maxWeight=20)], [canary(stepWeights=[1, 50])]),
    "FL09": ([canary(spec=GATEWAY, mirror=True)], [canary(mirror=True)]),
    "FL10": ([canary(stepWeight=0)], [canary(stepWeight=1)]),
    "FL11": ([canary(match=AB["match"])], [canary(**AB)]),
    "FL13": (
        [canary(sessionAffinity={**SESSIONS, "primaryCookieName": "b"})],
        [canary(sessionAffinity=SESSIONS)],
    ),
    "FL14": ([canary(interval="5s")], [canary(interval="10s")]),
    "FL15": ([canary(threshold=0)], [canary(threshold=1)]),
    "FL20": ([canary(spec={"provider": "kubernetes"})], [canary()]),
    "FL26": (
        [canary(alerts=[{"name": "a", "providerRef": {"name": "slack"}}])],
        [canary(alerts=[{"name": "a", "severity": "info", "providerRef": {"name": "slack"}}])],
    ),
    "FL27": ([canary(canaryReadyThreshold=50)], [canary(canaryReadyThreshold=100)]),
    "FL28": ([canary(stepWeights=[10, 10, 50])], [canary(stepWeights=[10, 20, 50])]),
    "FL30": ([canary(stepWeight=120, mirror=True)], [canary(stepWeight=100, mirror=True)]),
    "FL31": ([canary(metrics=[{"name": "request-success-rate"}])], [canary()]),
    "FL32": (
        [canary(metrics=[{**DURATION, "thresholdRange": {"max": 0.5}}])],
        [canary(metrics=[DURATION])],
    ),
    "FL33": ([metric(query="up")], [metric(name="mine", query="up")]),
    "FL34": (
        [canary(spec={"provider": "linkerd", "targetRef": {"apiVersion": "v1", "kind": "Service", "name": "web"}})],
        [canary(spec={"provider": "linkerd"})],
    ),
    "FL35": ([canary(spec={"provider": "linkerd"}, **AB)], [canary(**AB)]),
    "FL36": ([canary(sessionAffinity=SESSIONS, **AB)], [canary(sessionAffinity=SESSIONS)]),
    "FL37": ([canary(spec={"provider": "linkerd"}, sessionAffinity=SESSIONS)], [canary(sessionAffinity=SESSIONS)]),
    "FL38": ([canary(metrics=[])], [hooks("rollout", metrics=[])]),
    "FL39": ([canary(spec={"provider": "gatewayapi:v1"})], [canary(spec=GATEWAY)]),
    "FL40": (
        [canary(spec=GATEWAY, iterations=5, mirror=True, mirrorWeight=10)],
        [canary(iterations=5, mirror=True, mirrorWeight=10)],
    ),
    "FL43": ([hooks("confirm-traffic-increase", iterations=5)], [hooks("confirm-traffic-increase")]),
    "FL44": ([hooks("rollback", spec={"skipAnalysis": True})], [hooks("rollback")]),
    "FL45": ([canary(webhooks=[hook("rollout", timeout="5mm")])], [canary(webhooks=[hook("rollout", timeout="5m")])]),
    "FL46": ([canary(stepWeightPromotion=20)], [canary()]),
    "FL48": ([canary(spec=MATCHED, **QUERY)], [canary(**QUERY)]),
    "FL49": (
        [canary(spec=GATEWAY, iterations=5, match=[{"headers": {"x": {"prefix": "a"}}}])],
        [canary(spec=GATEWAY, **AB)],
    ),
    "FL50": ([hooks("confirm-promotion", **AB)], [hooks("confirm-promotion", iterations=5)]),
    "FL52": (
        [canary(mirror=True, iterations=5, sessionAffinity=SESSIONS)],
        [canary(spec=GATEWAY, mirror=True, iterations=5, sessionAffinity=SESSIONS)],
    ),
    "FL60": ([canary(maxWeight=500)], [canary(maxWeight=100)]),
    "FL53": (
        [canary(spec=GATEWAY, stepWeightPromotion=50, sessionAffinity=SESSIONS, **AB)],
        [canary(spec=GATEWAY, sessionAffinity=SESSIONS, **AB)],
    ),
    "FL54": (
        [canary(mirror=True, iterations=5, sessionAffinity=SESSIONS)],
        [canary(mirror=True, iterations=5)],
    ),
    "FL56": ([canary(mirror=True, **AB)], [canary(mirror=True, iterations=5)]),
    "FL57": (
        [canary(spec={"provider": "linkerd", "service": {"port": 80, "hosts": ["shop.example"]}})],
        [canary(spec={"provider": "linkerd", "service": {"port": 80, "hosts": ["web"]}})],
    ),
    "FL58": (
        [canary(spec={"service": {"port": 80, "headers": HEADERS}}, sessionAffinity=SESSIONS)],
        [canary(spec={"service": {"port": 80}}, sessionAffinity=SESSIONS)],
    ),
    "FL59": (
        [canary(spec={"service": {"port": 80, "backendTimeout": "1s"}})],
        [canary(spec={"service": {"port": 80, "timeout": "1s"}})],
    ),
    "MT026": (
        [canary(webhooks=[hook("rollout", timeout="25s", retries=2)])],
        [canary(webhooks=[hook("rollout", timeout="25s", retries=1)])],
    ),
    "MT027": ([canary(interval="30s")], [canary()]),
    "MT028": ([metric(thresholdRange={"min": 101})], [metric(thresholdRange={"min": 100})]),
    "MT029": ([metric(thresholdRange={"max": 100})], [metric(thresholdRange={"min": 1, "max": 100})]),
    "MT030": (
        [canary(metrics=[TEMPLATED]), template(ERRORS)],
        [canary(metrics=[TEMPLATED]), template(GUARDED)],
    ),
    "MT031": ([canary(spec=GATEWAY)], [canary()]),
    "MT032": ([canary(metrics=[TEMPLATED]), target()], [canary(metrics=[TEMPLATED]), target(), template(GUARDED)]),
    "MT033": (
        [canary(spec={"service": {"port": 80, "targetPort": "http"}}), target({"containerPort": 8080})],
        [canary(spec={"service": {"port": 80, "targetPort": "http"}}), target({"containerPort": 80, "name": "http"})],
    ),
    "MT034": (
        [canary(), canary(name="shop", spec={"service": {"name": "web", "port": 80}})],
        [canary(), canary(name="shop")],
    ),
    "MT035": ([canary(), target(), scaler()], [canary(spec=SCALED_BY), target(), scaler()]),
    "MT036": ([canary(spec={"service": {"port": 80, "portName": "grpc"}})], [canary()]),
    "MT037": ([canary()], [canary(spec={"provider": "linkerd"})]),
    "MT039": (
        [canary(metrics=[TEMPLATED]), template('rate(r{namespace="{{ namespac }}"}[1m])')],
        [canary(metrics=[TEMPLATED]), template('rate(r{namespace="{{ namespace }}"}[1m])')],
    ),
    "MT040": ([canary(webhooks=[hook("rollout", url="gate test")])], [canary(webhooks=[hook("rollout")])]),
    "MT038": (
        [canary(iterations=5)],
        [load("hey -z 1m -q 10 -c 2 http://web-canary.default/", iterations=5)],
    ),
}
