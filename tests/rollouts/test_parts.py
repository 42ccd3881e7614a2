"""The small parts: weights, routers, cookies, readiness, checksums, numbers as Go prints them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meshtest.rollouts.canary import Answer, Readiness, Routes
from meshtest.rollouts.canary.affinity import set_cookies
from meshtest.rollouts.canary.checksum import checksum
from meshtest.rollouts.canary.readiness import Rollout, daemon_set, deployment, of, share
from meshtest.rollouts.canary.routers import mirrors
from meshtest.rollouts.canary.spec import Analysis
from meshtest.rollouts.canary.state import Configs
from meshtest.rollouts.canary.steps import Payload, Who
from meshtest.rollouts.canary.weights import steps
from meshtest.rollouts.canary.wording import duration, number
from tests.rollouts.podinfo import V1, V2, V3, hook, podinfo, seen, ticks


@pytest.mark.parametrize(
    ("analysis", "weights"),
    [
        (Analysis(step_weight=20, max_weight=50), (20, 40, 60)),
        (Analysis(step_weight=40), (40, 80, 100)),
        (Analysis(step_weights=(1, 2, 10, 80)), (1, 2, 10, 80)),
        (Analysis(step_weights=(1, 2, 10, 200)), (1, 2, 10, 100)),
        (Analysis(step_weights=(30,)), (30,)),
        (Analysis(step_weights=(10, 10, 20)), (10,)),
        (Analysis(step_weights=(50, 20, 80)), (50,)),
        (Analysis(), ()),
    ],
)
def test_the_weights_of_a_canary(analysis: Analysis, weights: tuple[int, ...]) -> None:
    assert steps(analysis) == weights


@pytest.mark.parametrize(
    ("provider", "more", "comes_to_be"),
    [
        ("istio", {}, True),
        ("istio", {"match": [{"headers": {"a": {"exact": "b"}}}]}, False),
        ("gatewayapi:v1", {}, False),
        ("gatewayapi:v1beta1", {"iterations": 2}, True),
        ("linkerd", {"iterations": 2}, False),
        ("kubernetes", {"iterations": 2}, False),
    ],
)
def test_who_can_mirror(provider: str, more: dict[str, Any], comes_to_be: bool) -> None:
    assert mirrors(podinfo(spec={"provider": provider}, mirror=True, **more)) is comes_to_be


AFFINITY = {"cookieName": "canary", "primaryCookieName": "primary", "maxAge": 60, "secure": True}


class TestCookies:
    def test_a_run_has_one_and_its_end_takes_it_back(self) -> None:
        canary = podinfo(stepWeight=50, sessionAffinity=AFFINITY)
        settings = canary.analysis.affinity
        assert settings is not None
        found = [tick.state.status for tick in ticks(canary, seen(V1), (6, seen(V2)))]
        assert found[1].cookie == ""
        assert found[2].cookie.startswith("canary=")
        assert found[2].cookie == found[3].cookie
        assert (found[-1].cookie, found[-1].previous_cookie) == ("", found[2].cookie)
        during, after = (set_cookies(status, canary, settings) for status in (found[2], found[-1]))
        assert during["canary"] == f"{found[2].cookie}; Max-Age=60; Secure"
        assert during["primary"] == f"{found[2].primary_cookie}; Max-Age=60; Secure"
        assert after == {"previous": f"{found[2].cookie}; Max-Age=-1"}

    def test_the_next_run_has_another_and_the_primary_keeps_its_own(self) -> None:
        canary = podinfo(stepWeight=50, sessionAffinity=AFFINITY)
        first, second = (ticks(canary, seen(V1), (6, seen(V2)), (n, seen(V3)))[-1].state.status for n in (0, 2))
        assert second.cookie not in ("", first.previous_cookie)
        assert second.primary_cookie == first.primary_cookie

    @pytest.mark.parametrize("provider", ["linkerd", "kubernetes"])
    def test_some_providers_have_none(self, provider: str) -> None:
        canary = podinfo(spec={"provider": provider}, stepWeight=50, sessionAffinity=AFFINITY)
        assert not any(tick.state.status.cookie for tick in ticks(canary, seen(V1), (4, seen(V2))))


OK = Rollout(wanted=2, total=2, updated=2, available=2)


class TestDeployments:
    # pkg/canary/deployment_ready_test.go
    @pytest.mark.parametrize(
        ("rollout", "threshold", "error", "retriable"),
        [
            (OK, 100, "", True),
            (replace(OK, observed=False), 100, "observed deployment generation less than desired generation", True),
            (replace(OK, updated=1), 100, "1 out of 2 new replicas have been updated", True),
            (replace(OK, wanted=None, updated=1), 100, "1 old replicas are pending termination", True),
            (replace(OK, available=1), 100, "1 of 2 (readyThreshold 100%) updated replicas are available", True),
            (Rollout(wanted=4, total=4, updated=4, available=2), 50, "", True),
            (Rollout(wanted=4, total=4, updated=4, available=1), 50, "1 of 2 (readyThreshold 50%) updated", True),
            (replace(OK, gave_up=True), 100, 'deployment "podinfo" exceeded its progress deadline', False),
            (replace(OK, available=1, unavailable_for=10), 100, "1 of 2", False),
            (replace(OK, available=1, unavailable_for=4), 100, "1 of 2", True),
        ],
    )
    def test_readiness(self, rollout: Rollout, threshold: int, error: str, retriable: bool) -> None:
        found = deployment(rollout, threshold, deadline=5, name="podinfo")
        assert error in found.error
        assert (not error, retriable) == (not found.error, found.retriable)

    @pytest.mark.parametrize(("replicas", "percent", "enough"), [(1, 99, 0), (3, 50, 1), (10, 70, 7), (4, 100, 4)])
    def test_thresholds_are_rounded_down(self, replicas: int, percent: int, enough: int) -> None:
        assert share(replicas, percent) == enough

    def test_the_sentence_names_the_workload(self) -> None:
        late = replace(OK, available=0)
        primary, canary = (of(podinfo(), who, late).error for who in (Who.PRIMARY, Who.CANARY))
        said = "waiting for rollout to finish: 0 of 2 (readyThreshold 100%) updated replicas are available"
        assert primary == f"podinfo-primary.test not ready: {said}"
        assert canary == f"canary deployment podinfo.test not ready: {said}"


def test_a_daemon_set_counts_its_deadline_from_the_last_write() -> None:
    late = replace(OK, updated=1, unavailable_for=700)
    assert daemon_set(late, 100, 600) == Readiness(error="exceeded its progressDeadlineSeconds: 600", retriable=False)
    waiting = daemon_set(replace(late, unavailable_for=500), 100, 600)
    assert waiting.error == "waiting for rollout to finish: 1 out of 2 new pods have been updated"
    assert daemon_set(OK, 100, 600) == Readiness()


# computed by Go: fnv32a over spew's %#v of {TrackedConfigs, LastAppliedSpec}, then SafeEncodeString
@pytest.mark.parametrize(
    ("applied", "configs", "told"),
    [
        ("", None, "758df7c9fc"),
        ("v1", None, "84f869898"),
        ("", (), "68bf6f479b"),
        ("v1", (), "69947876ff"),
        ("7d8f9", (), "5f8876689d"),
        ("v1", (("configmap/b", "12"), ("secret/a", "34")), "7d78c5d654"),
        ("7d8f9", (("configmap/b", "12"), ("secret/a", "34")), "65778b845"),
    ],
)
def test_checksums_are_flaggers(applied: str, configs: Configs | None, told: str) -> None:
    assert checksum(applied, configs) == told


def test_a_payload_leaves_out_empty_metadata() -> None:
    (tick,) = ticks(podinfo(webhooks=[hook("confirm-rollout")]), seen(V1), seen(V2))[1:]
    ((call, _),) = tick.hooks
    assert isinstance(call.payload, Payload)
    assert call.payload.as_data() == {
        "name": "podinfo", "namespace": "test", "phase": "Initialized", "checksum": checksum("v1", ()),
    }  # fmt: skip


def test_users_cannot_replace_what_an_event_says() -> None:
    own = {"eventMessage": "mine", "team": "shop"}
    (tick,) = ticks(podinfo(webhooks=[hook("event", metadata=own)]), seen(V1))
    said = [call.payload.metadata for call, _ in tick.hooks]
    assert {metadata["team"] for metadata in said} == {"shop"}
    assert [metadata["eventMessage"] for metadata in said] == [event.message for event in tick.events]


@pytest.mark.parametrize(("status", "ok"), [(200, True), (202, True), (203, False), (204, False), (403, False)])
def test_only_200_to_202_pass(status: int, ok: bool) -> None:
    assert Answer.of(status, "why") == Answer(ok=ok, reason="" if ok else "why")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (99.0, "99"),
        (99.5, "99.5"),
        (0.0, "0"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e-7, "1.5e-07"),
        (0.0001, "0.0001"),
        (-2.50, "-2.5"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Inf"),
    ],
)
def test_numbers_as_go_prints_them(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0s"), (1, "1ms"), (1500, "1.5s"), (60_000, "1m0s"), (3_600_500, "1h0m0.5s"), (-10, "-10ms")],
)
def test_durations_as_go_prints_them(milliseconds: int, text: str) -> None:
    assert duration(milliseconds) == text


def test_routes_print_as_people_say_them() -> None:
    assert (str(Routes(90, 10)), str(Routes(100, 0, True))) == ("90/10", "100/0 mirrored")
