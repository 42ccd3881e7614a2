"""Every surprise: shown in ticks where it happens there, found in the Canary where it stands there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from meshtest.manifests.view import shown
from meshtest.rollouts.canary import Readiness, Tick, surprises
from meshtest.rollouts.canary.bites import bites
from meshtest.rollouts.canary.checksum import checksum
from meshtest.rollouts.canary.steps import SetRoutes
from meshtest.rollouts.canary.surprises import SURPRISES
from tests.rollouts.podinfo import (
    NO,
    V1,
    V2,
    V3,
    called,
    document,
    hook,
    phases,
    podinfo,
    routes,
    seen,
    ticks,
    to_promotion,
)

HEADER = {"headers": {"x-beta": {"exact": "yes"}}}
ROLLOUT = hook("rollout")
WAITING = Readiness(error="waiting for rollout to finish")
STUCK = Readiness(error="deadline exceeded", retriable=False)


def bitten(found: Iterable[Tick]) -> set[str]:
    return {code for tick in found for code in tick.surprises}


@pytest.mark.parametrize("code", SURPRISES)
def test_each_is_one_sentence_with_a_source(code: str) -> None:
    surprise = SURPRISES[code]
    assert re.fullmatch(r"FL\d\d", code)
    assert surprise.says.endswith(".")
    assert surprise.source


def test_no_code_is_used_that_is_not_in_the_table() -> None:
    sources = Path(surprises.__file__).parent.glob("*.py")
    used = {code for path in sources for code in re.findall(r'"(FL\d\d)"', path.read_text())}
    assert used == SURPRISES.keys()
    assert list(SURPRISES) == [f"FL{n:02}" for n in range(1, len(SURPRISES) + 1)]


class TestInTicks:
    def test_fl01_nobody_is_asked_to_roll_back_while_the_rollout_waits(self) -> None:
        canary = podinfo(webhooks=[hook("confirm-rollout"), hook("rollback")])
        found = ticks(canary, seen(V1), (2, seen(V2, hooks={"confirm-rollout": NO})))
        assert "FL01" in found[-1].surprises
        assert called(found[-1]) == ["confirm-rollout"]

    def test_fl02_an_approval_lets_the_next_revision_through(self) -> None:
        canary = podinfo(stepWeight=10, webhooks=[hook("confirm-rollout")])
        found = ticks(canary, seen(V1), (2, seen(V2)), (2, seen(V3)))
        assert "FL02" in found[3].surprises
        assert [called(tick) for tick in found[2:]] == [[], [], []]
        assert routes(found)[-2:] == ["100/0", "90/10"]

    def test_fl03_fl04_blue_green_is_asked_twice_and_its_status_misleads(self) -> None:
        canary = podinfo(iterations=2, webhooks=[hook("confirm-promotion")])
        found = ticks(canary, seen(V1), (4, seen(V2)), seen(V2, hooks={"confirm-promotion": NO}))
        assert [called(tick) for tick in found[-2:]] == [["confirm-promotion"]] * 2
        assert {"FL03", "FL04"} <= set(found[-1].surprises)
        assert (str(found[-1].state.routes), found[-1].state.status.weight) == ("0/100", 0)

    def test_fl05_pre_rollout_hooks_repeat_while_the_first_step_is_denied(self) -> None:
        canary = podinfo(webhooks=[hook("pre-rollout"), hook("confirm-traffic-increase")])
        found = ticks(canary, seen(V1), seen(V2), (3, seen(V2, hooks={"confirm-traffic-increase": NO})))
        assert [called(tick)[0] for tick in found[2:]] == ["pre-rollout"] * 3
        assert bitten(found) >= {"FL05"}

    def test_fl07_the_maximum_is_exceeded(self) -> None:
        found = to_promotion(podinfo(stepWeight=20, maxWeight=50))
        assert "40/60" in routes(found)
        assert "FL07" in bitten(found)

    @pytest.mark.parametrize(
        ("provider", "more"),
        [
            ("gatewayapi:v1", {}),
            ("linkerd", {}),
            ("istio", {"match": [{"headers": {"a": {"exact": "b"}}}]}),
            ("istio", {"sessionAffinity": {"cookieName": "a"}}),
        ],
    )
    def test_fl09_a_mirror_that_flagger_cannot_see_stops_it_for_ever(self, provider: str, more: dict[str, Any]) -> None:
        told = {"spec": {"provider": provider}, "mirror": True, "webhooks": [hook("pre-rollout")], **more}
        found = ticks(podinfo(**told), seen(V1), (20, seen(V2)))
        assert [called(tick) for tick in found[2:]] == [["pre-rollout"]] * 19
        assert found[-1].state.status.weight == 0
        assert "FL09" in found[-1].surprises
        assert "FL09" in codes(**told)

    def test_fl12_going_back_to_the_promoted_version_does_not_end_the_analysis(self) -> None:
        found = ticks(podinfo(stepWeight=50), seen(V1), (2, seen(V2)), (4, seen(V1)))
        assert "FL12" in bitten(found)
        assert phases(found)[-1] == "Succeeded"
        status = found[-1].state.status
        assert (found[-1].state.primary, status.promoted) == ("v1", "v2")

    def test_fl19_confirm_rollout_is_asked_about_the_revision_before(self) -> None:
        canary = podinfo(webhooks=[hook("confirm-rollout"), hook("pre-rollout")])
        found = ticks(canary, seen(V1), (2, seen(V2)), seen(V2, canary=STUCK), seen(V3))
        sums = [call.payload.checksum for tick in found for call, _ in tick.hooks]
        assert sums == [checksum(revision, ()) for revision in ("v1", "v2", "v3")], "after a failure it is the new one"

    def test_fl20_plain_kubernetes_says_so(self) -> None:
        found = to_promotion(podinfo(spec={"provider": "kubernetes"}, iterations=2, match=[{"headers": {}}]))
        assert "FL20" in bitten(found)

    def test_fl21_plain_kubernetes_cannot_leave_a_broken_primary(self) -> None:
        found = ticks(podinfo(spec={"provider": "kubernetes"}, iterations=1), seen(V1), (4, seen(V2)),
                      seen(V2, primary=STUCK))  # fmt: skip
        assert "FL21" in found[-1].surprises
        assert (str(found[-1].state.routes), found[-1].state.status.weight) == ("100/0", 100)

    def test_fl22_a_revision_is_forgotten_when_the_primary_is_not_ready(self) -> None:
        found = ticks(podinfo(), seen(V1), seen(V2), seen(V2, canary=STUCK), seen(V3, primary=WAITING), (9, seen(V3)))
        assert "FL22" in found[3].surprises
        assert phases(found)[3:] == ["Failed"] * 10

    def test_fl23_after_a_failed_promotion_the_fix_brings_the_outage(self) -> None:
        found = ticks(podinfo(), seen(V1), (4, seen(V2)), seen(V2, primary=STUCK), (5, seen(V3, primary=STUCK)))
        assert str(found[5].state.routes) == "0/100"
        assert "FL23" in found[6].surprises
        assert (str(found[6].state.routes), found[6].state.replicas) == ("100/0", 0)
        assert phases(found)[6:] == ["Failed"] * 5

    def test_fl24_a_revision_that_comes_during_promotion_is_not_checked_before_it_serves(self) -> None:
        canary = podinfo(stepWeight=100, stepWeightPromotion=40)
        found = ticks(canary, seen(V1), (3, seen(V2)), (2, seen(V3)))
        assert routes(found)[-2:] == ["40/60", "80/20"]
        assert "FL24" in bitten(found)

    @pytest.mark.parametrize("broken", [{"canary": STUCK}, {"primary": STUCK}])
    def test_fl25_nobody_is_told_of_a_rollback_for_readiness(self, broken: dict[str, Any]) -> None:
        found = ticks(podinfo(), seen(V1), (2, seen(V2)), seen(V2, **broken))
        assert phases(found)[-1] == "Failed"
        assert found[-1].alerts == ()
        assert "FL25" in found[-1].surprises

    def test_fl26_an_alert_without_severity_is_never_sent(self) -> None:
        found = to_promotion(podinfo(alerts=[{"name": "people", "providerRef": {"name": "slack"}}]))
        assert [tick.alerts for tick in found if tick.alerts] == []
        assert "FL26" in bitten(found)

    def test_fl28_steps_that_do_not_rise_stop_it(self) -> None:
        found = ticks(podinfo(stepWeights=[10, 10, 50]), seen(V1), (20, seen(V2)))
        assert routes(found)[2:] == ["90/10"] * 19
        assert found[-1].events == ()
        assert "FL28" in found[-1].surprises

    def test_fl29_a_weight_that_is_no_step_goes_to_100(self) -> None:
        before = ticks(podinfo(stepWeights=[5, 50]), seen(V1), (2, seen(V2)))[-1].state
        (tick,) = ticks(podinfo(stepWeights=[10, 20]), seen(V2), state=before)
        assert str(tick.state.routes) == "0/100"

    def test_fl30_a_mirror_does_not_limit_the_first_step(self) -> None:
        found = ticks(podinfo(stepWeight=150, mirror=True), seen(V1), (3, seen(V2)))
        assert routes(found)[-1] == "-50/150"

    def test_fl39_the_target_is_stopped_and_the_route_never_made(self) -> None:
        canary = podinfo(spec={"provider": "gatewayapi:v1"})
        found = ticks(replace(canary, service=replace(canary.service, gateway_refs=())), (3, seen(V1)))
        assert phases(found) == ["", "", ""]
        assert found[-1].state.replicas == 0
        assert found[-1].events[-1].message.startswith("GatewayRefs must be specified")

    def test_fl50_a_denied_ab_test_is_asked_at_every_other_tick(self) -> None:
        match = [{"headers": {"a": {"exact": "b"}}}]
        canary = podinfo(iterations=2, match=match, webhooks=[hook("confirm-promotion")])
        found = ticks(canary, seen(V1), (3, seen(V2)), (5, seen(V2, hooks={"confirm-promotion": NO})))
        asked = ["confirm-promotion"]
        assert [called(tick) for tick in found[4:]] == [asked, [], asked, [], asked]

    def test_fl51_a_rollback_during_promotion_leaves_the_new_version_to_all_users(self) -> None:
        found = ticks(podinfo(), seen(V1), (4, seen(V2)), seen(V2, canary=STUCK))
        assert phases(found)[-2:] == ["Promoting", "Failed"]
        assert (str(found[-1].state.routes), found[-1].state.primary) == ("100/0", "v2")
        assert "FL51" in found[-1].surprises

    def test_fl53_fl36_cookies_and_conditions_keep_the_promotion_from_ending(self) -> None:
        told = {"iterations": 1, "match": [HEADER], "sessionAffinity": {"cookieName": "a"}, "stepWeightPromotion": 50}
        found = ticks(podinfo(spec={"provider": "gatewayapi:v1"}, **told), seen(V1), (20, seen(V2)))
        assert phases(found)[-10:] == ["Promoting"] * 10
        assert {"FL36", "FL53"} <= bitten(found)

    def test_fl36_a_weighted_canary_stays_at_its_first_step(self) -> None:
        told = {"stepWeight": 30, "match": [HEADER], "sessionAffinity": {"cookieName": "a"}}
        found = ticks(podinfo(spec={"provider": "gatewayapi:v1"}, **told), seen(V1), (20, seen(V2)))
        assert routes(found)[2:] == ["70/30"] * 19
        assert "FL36" in found[-1].surprises

    @pytest.mark.parametrize("provider", ["istio", "gatewayapi:v1"])
    def test_fl54_a_mirror_is_taken_away_and_set_again_at_every_tick(self, provider: str) -> None:
        told = {"iterations": 3, "mirror": True, "sessionAffinity": {"cookieName": "a"}}
        found = ticks(podinfo(spec={"provider": provider}, **told), seen(V1), (4, seen(V2)))
        flips = [str(a.routes) for tick in found[3:] for a in tick.actions if isinstance(a, SetRoutes)]
        assert flips == ["100/0", "100/0 mirrored"] * 2
        assert "FL54" in bitten(found)

    @pytest.mark.parametrize(
        ("provider", "missing"),
        [("istio", "VirtualService"), ("linkerd", "TrafficSplit"), ("gatewayapi:v1", "HTTPRoute")],
    )
    def test_fl55_a_first_primary_past_its_deadline_is_tried_for_ever(self, provider: str, missing: str) -> None:
        canary = podinfo(spec={"provider": provider}, webhooks=[hook("post-rollout")])
        found = ticks(canary, (5, seen(V1, primary=STUCK)))
        assert phases(found) == [""] * 5
        assert found[-1].events[-1].message.startswith(f"{missing} podinfo.test get")
        assert (called(found[-1]), found[-1].surprises) == ([], ("FL25", "FL55"))


def codes(**told: Any) -> dict[str, str]:
    """Codes of what a Canary will run into, with the field."""
    return {bite.surprise.code: shown(bite.path) for bite in bites(document(**told))}


class TestInTheCanary:
    def test_a_plain_one_has_none(self) -> None:
        assert codes(stepWeight=25, webhooks=[ROLLOUT]) == {}

    @pytest.mark.parametrize(
        ("code", "told", "path"),
        [
            ("FL01", {"webhooks": [hook("confirm-rollout"), hook("rollback")]}, "webhooks[1].type"),
            ("FL02", {"webhooks": [hook("confirm-rollout")]}, "webhooks[0].type"),
            ("FL03", {"iterations": 2, "webhooks": [hook("confirm-promotion")]}, "webhooks[0].type"),
            ("FL05", {"webhooks": [hook("pre-rollout"), hook("confirm-traffic-increase")]}, "webhooks[0].type"),
            ("FL07", {"stepWeight": 20, "maxWeight": 50}, "maxWeight"),
            ("FL08", {"stepWeights": [10, 20], "maxWeight": 50}, "maxWeight"),
            ("FL09", {"mirror": True, "spec": {"provider": "gatewayapi:v1"}}, "mirror"),
            ("FL10", {"stepWeight": 0}, ""),
            ("FL60", {"stepWeight": 10, "maxWeight": 500}, "maxWeight"),
            ("FL11", {"match": [HEADER]}, "match"),
            ("FL13", {"sessionAffinity": {"cookieName": "a", "primaryCookieName": "b"}},
             "sessionAffinity.primaryCookieName"),
            ("FL14", {"interval": "5s"}, "interval"),
            ("FL14", {"interval": "1mm"}, "interval"),
            ("FL15", {"threshold": 0}, "threshold"),
            ("FL26", {"alerts": [{"name": "a", "providerRef": {"name": "b"}}]}, "alerts[0]"),
            ("FL27", {"canaryReadyThreshold": 50}, "canaryReadyThreshold"),
            ("FL28", {"stepWeights": [10, 20, 20, 40]}, "stepWeights"),
            ("FL30", {"stepWeight": 120, "mirror": True}, "stepWeight"),
            ("FL31", {"metrics": [{"name": "request-success-rate"}]}, "metrics[0]"),
            ("FL32", {"metrics": [{"name": "request-duration", "thresholdRange": {"max": 0.5}}]},
             "metrics[0].thresholdRange"),
            ("FL33", {"metrics": [{"name": "request-duration", "threshold": 1, "query": "up"}]}, "metrics[0].name"),
            ("FL35", {"spec": {"provider": "linkerd"}, "iterations": 2, "match": [HEADER]}, "match"),
            ("FL36", {"iterations": 2, "match": [HEADER], "sessionAffinity": {"cookieName": "a"}}, "sessionAffinity"),
            ("FL37", {"spec": {"provider": "linkerd"}, "sessionAffinity": {"cookieName": "a"}}, "sessionAffinity"),
            ("FL38", {}, ""),
            ("FL40", {"spec": {"provider": "gatewayapi:v1"}, "iterations": 2, "mirror": True, "mirrorWeight": 10},
             "mirrorWeight"),
            ("FL43", {"iterations": 2, "webhooks": [hook("confirm-traffic-increase")]}, "webhooks[0].type"),
            ("FL45", {"webhooks": [hook("rollout", timeout="5mm")]}, "webhooks[0].timeout"),
            ("FL46", {"stepWeightPromotion": 10}, "stepWeightPromotion"),
            ("FL48", {"iterations": 2, "match": [{"queryParams": {"beta": {"exact": "1"}}}],
                      "spec": {"service": {"port": 80, "match": [{"uri": {"prefix": "/"}}]}}}, "match[0].queryParams"),
            ("FL49", {"iterations": 2, "match": [{"headers": {"x-beta": {"prefix": "y"}}}],
                      "spec": {"provider": "gatewayapi:v1"}}, "match[0].headers"),
            ("FL49", {"iterations": 2, "match": [{"sourceLabels": {"app": "a"}}],
                      "spec": {"provider": "gatewayapi:v1"}}, "match[0].sourceLabels"),
            ("FL50", {"iterations": 2, "match": [HEADER], "webhooks": [hook("confirm-promotion")]}, "webhooks[0].type"),
            ("FL52", {"iterations": 2, "mirror": True, "sessionAffinity": {"cookieName": "a"}}, "mirror"),
            ("FL56", {"iterations": 2, "match": [HEADER], "mirror": True}, "mirror"),
            ("FL53", {"iterations": 2, "match": [HEADER], "sessionAffinity": {"cookieName": "a"},
                      "stepWeightPromotion": 10, "spec": {"provider": "gatewayapi:v1"}}, "stepWeightPromotion"),
            ("FL54", {"iterations": 2, "mirror": True, "sessionAffinity": {"cookieName": "a"},
                      "spec": {"provider": "gatewayapi:v1"}}, "mirror"),
        ],
    )  # fmt: skip
    def test_the_field_that_leads_to_it_is_named(self, code: str, told: dict[str, Any], path: str) -> None:
        assert codes(**told).get(code) == f"spec.analysis.{path}".rstrip(".")

    @pytest.mark.parametrize(
        ("code", "spec", "path"),
        [
            ("FL20", {"provider": "kubernetes"}, "spec.provider"),
            ("FL39", {"provider": "gatewayapi:v1", "service": {"port": 80}}, "spec.service"),
            ("FL39", {"service": {"port": 80, "delegation": True, "hosts": ["a"]}}, "spec.service"),
            ("FL44", {"skipAnalysis": True}, "spec.skipAnalysis"),
            ("FL57", {"provider": "linkerd", "service": {"port": 80, "hosts": ["a.example"]}}, "spec.service.hosts"),
            ("FL59", {"service": {"port": 80, "backendTimeout": "1s"}}, "spec.service.backendTimeout"),
            ("FL59", {"service": {"port": 80, "appProtocol": "tcp", "retries": {"attempts": 1}}},
             "spec.service.retries"),
            ("FL59", {"provider": "gatewayapi:v1", "service": {"port": 80, "retries": {"attempts": 1}}},
             "spec.service.retries"),
            ("FL59", {"provider": "gatewayapi:v1beta1", "service": {"port": 80, "timeout": "1s"}},
             "spec.service.timeout"),
            ("FL59", {"provider": "linkerd", "service": {"port": 80, "headers": {"request": {"remove": ["a"]}}}},
             "spec.service.headers"),
            ("FL34", {"provider": "linkerd", "targetRef": {"apiVersion": "v1", "kind": "Service", "name": "a"}},
             "spec.targetRef.kind"),
        ],
    )  # fmt: skip
    def test_so_is_one_outside_the_analysis(self, code: str, spec: dict[str, Any], path: str) -> None:
        metrics = [{"name": "request-success-rate", "thresholdRange": {"min": 99}}]
        assert codes(spec=spec, metrics=metrics, webhooks=[hook("rollback")]).get(code) == path

    def test_what_cannot_be_read_is_no_reason_to_fall(self) -> None:
        assert bites(document(interval=5, threshold="x", match="y", webhooks=7, spec={"service": []}))
