"""Each hook in each state of its run: status, first line, what was started and what was ended."""

from __future__ import annotations

import asyncio
import json

import pytest

from meshtest.webhook.jobs import Limits
from meshtest.webhook.runs import RunKey, RunState
from meshtest.webhook.store import StoreError
from tests.webhook.endpoint.site import Site, asked

OVER = [state for state in RunState if state.is_over]
STARTING = ["pre-rollout", "rollout"]
CONFIRMING = ["confirm-traffic-increase", "confirm-promotion"]


def revisions(site: Site) -> list[tuple[str, str]]:
    return [(run.key.revision, str(run.state)) for run in site.store.runs()]


class TestStatusByHookAndState:
    """The table of answers.py."""

    @pytest.mark.parametrize("hook", STARTING)
    def test_one_that_starts_is_told_to_go_on_meanwhile(self, site: Site, hook: str) -> None:
        answer = site.hook(f"{hook}/smoke", "c2")
        assert (answer.status, answer.line) == (202, "suite smoke is queued")
        assert site.run().key == RunKey("shop", "web", "c2", "smoke")
        site.store.begin(site.run().id)
        assert site.hook(f"{hook}/smoke", "c2")[:2] == (
            202,
            f"suite smoke is running\n{site.endpoint.page(site.run())}\n",
        )
        assert len(site.store.runs()) == 1

    @pytest.mark.parametrize("hook", CONFIRMING)
    def test_one_that_confirms_is_held_meanwhile(self, site: Site, hook: str) -> None:
        site.hook("pre-rollout/smoke", "c2")
        assert site.hook(f"{hook}/smoke", "c2")[:1] == (403,)
        site.store.begin(site.run().id)
        assert site.hook(f"{hook}/smoke", "c2").line == "suite smoke is running"
        assert len(site.store.runs()) == 1

    @pytest.mark.parametrize("hook", CONFIRMING)
    def test_one_that_confirms_starts_what_nobody_has(self, site: Site, hook: str) -> None:
        assert site.hook(f"{hook}/smoke", "c2")[:1] == (403,)
        assert revisions(site) == [("c2", "queued")]

    def test_rollback_starts_nothing(self, site: Site) -> None:
        answer = site.hook("rollback/smoke", "c2")
        assert answer[:2] == (403, "no run of suite smoke for this revision: nothing has failed\n")
        assert not site.store.runs()

    @pytest.mark.parametrize("hook", [*STARTING, *CONFIRMING])
    @pytest.mark.parametrize("state", OVER)
    def test_a_verdict(self, site: Site, hook: str, state: RunState) -> None:
        site.hook("pre-rollout/smoke", "c2")
        site.ends(state, "test_a: no")
        answer = site.hook(f"{hook}/smoke", "c2")
        assert answer.status == (200 if state is RunState.PASSED else 412)
        assert answer.line == (
            "suite smoke PASSED" if answer.status == 200 else f"suite smoke {state.upper()}: test_a: no"
        )
        assert len(site.store.runs()) == 1

    @pytest.mark.parametrize("state", RunState)
    def test_rollback_is_a_yes_to_a_failure_only(self, site: Site, state: RunState) -> None:
        site.hook("pre-rollout/smoke", "c2")
        if state.is_over:
            site.ends(state, "test_a: no")
        elif state is RunState.RUNNING:
            site.store.begin(site.run().id)
        assert site.hook("rollback/smoke", "c2").status == (200 if state is RunState.FAILED else 403)

    @pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
    @pytest.mark.parametrize("hook", ["post-rollout", "event"])
    def test_what_tells_of_an_end_starts_its_suite(self, site: Site, hook: str, phase: str) -> None:
        assert site.hook(f"{hook}/smoke", "c2", phase).status == 202
        assert revisions(site) == [("ended:c2", "queued")]
        assert site.run().key.checksum == "c2", "as the suite is told"
        site.ends(RunState.FAILED, "no")
        assert site.hook(f"{hook}/smoke", "c2", phase).status == 412

    @pytest.mark.parametrize("phase", ["", "Initialized", "Waiting", "Progressing", "Promoting", "Finalising"])
    def test_an_event_of_something_else_starts_none(self, site: Site, phase: str) -> None:
        assert site.hook("event/smoke", "c2", phase, eventMessage="x", eventType="Normal", timestamp="1")[:2] == (
            200, "noted\n",
        )  # fmt: skip
        assert not site.store.runs()

    @pytest.mark.parametrize("hook", ["post-rollout", "event"])
    def test_they_need_no_suite(self, site: Site, hook: str) -> None:
        assert site.hook(hook, "c2", "Succeeded")[:2] == (200, "noted\n")

    def test_a_reason_is_one_line_that_fits_an_event(self, site: Site) -> None:
        site.hook("pre-rollout/smoke", "c2")
        site.ends(RunState.FAILED, "a\nb\x00" + "c" * 5000)
        answer = site.hook("pre-rollout/smoke", "c2")
        assert answer.line.startswith("suite smoke FAILED: a b")
        assert len(answer.text) < 1024 + 64


class TestWhatEndsWithARevision:
    def test_another_revision_ends_the_run_of_the_one_before(self, site: Site) -> None:
        site.hook("pre-rollout/smoke", "c2")
        site.hook("pre-rollout/smoke", "c3")
        assert revisions(site) == [("c2", "cancelled"), ("c3", "queued")]
        assert site.store.runs()[0].reason == "superseded: revision c2 is over, revision c3 is current"

    @pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
    @pytest.mark.parametrize("hook", ["post-rollout", "event"])
    def test_the_end_of_the_rollout_ends_its_runs(self, site: Site, hook: str, phase: str) -> None:
        site.hook("pre-rollout/smoke", "c2")
        site.hook("pre-rollout/strict", "c2", region="eu")
        site.hook(hook, "c2", phase)
        assert revisions(site) == [("c2", "cancelled"), ("c2", "cancelled")]

    def test_the_run_of_a_post_rollout_hook_is_left_to_end(self, site: Site) -> None:
        site.hook("post-rollout/smoke", "c2", "Succeeded")
        site.hook("event", "c2", "Succeeded")
        site.hook("pre-rollout/smoke", "c3")
        assert revisions(site) == [("ended:c2", "queued"), ("c3", "queued")]

    def test_the_same_revision_once_more_is_tested_once_more(self, site: Site) -> None:
        site.hook("pre-rollout/smoke", "c2")
        site.ends(RunState.FAILED, "no")
        site.hook("post-rollout", "c2", "Failed")
        assert site.hook("rollback/smoke", "c2").status == 403
        assert site.hook("pre-rollout/smoke", "c2").status == 202
        assert revisions(site) == [("c2", "failed"), ("c2", "queued")]

    def test_and_so_is_what_follows_it(self, site: Site) -> None:
        for _ in range(2):
            site.hook("post-rollout/smoke", "c2", "Succeeded")
            site.ends(RunState.PASSED)
            site.hook("pre-rollout/smoke", "c3")
        assert [run.key.revision for run in site.store.runs()].count("ended:c2") == 2

    def test_another_canary_is_not_concerned(self, site: Site) -> None:
        site.hook("pre-rollout/smoke", "c2")
        site.post("/hooks/pre-rollout/smoke", name="api", checksum="c9", phase="Progressing")
        site.post("/hooks/pre-rollout/smoke", namespace="other", checksum="c9", phase="Progressing")
        assert revisions(site) == [("c2", "queued"), ("c9", "queued"), ("c9", "queued")]

    def test_it_is_seen_after_a_restart_as_well(self, site: Site) -> None:
        site.hook("pre-rollout/smoke", "c2")
        site.restart()
        site.hook("rollback/smoke", "c3")
        assert revisions(site) == [("c2", "cancelled")]

    def test_a_call_without_a_checksum_ends_nothing(self, site: Site) -> None:
        site.hook("pre-rollout/smoke", "c2")
        site.post("/gate/check")
        site.post("/hooks/event", phase="Succeeded")
        assert revisions(site) == [("c2", "queued")]

    def test_cancelled_by_hand_stays_so_until_it_is_run_again_by_hand(self, site: Site) -> None:
        site.hook("pre-rollout/smoke", "c2")
        assert site.post(f"/runs/{site.run().id}/cancel").status == 202
        answer = site.hook("pre-rollout/smoke", "c2")
        assert (answer.status, answer.line) == (412, "suite smoke CANCELLED: cancelled by hand (unknown)")
        assert site.post(f"/runs/{site.run().id}/rerun").status == 202
        assert site.hook("pre-rollout/smoke", "c2").status == 202


class TestConfirmRollout:
    """The state diagram of confirm.py."""

    def test_it_is_about_the_rollout_after_a_checksum(self, site: Site) -> None:
        answer = site.hook("confirm-rollout/smoke", "c1", "Succeeded")
        assert (answer.status, answer.line) == (403, "suite smoke is queued")
        assert revisions(site) == [("after:c1", "queued")]

    def test_asked_at_every_tick_it_runs_once_and_is_granted_while_others_deny(self, site: Site) -> None:
        for phase in ("Succeeded", "Waiting", "Waiting"):
            assert site.hook("confirm-rollout/smoke", "c1", phase).status == 403
        site.ends(RunState.PASSED)
        for _ in range(3):
            assert site.hook("confirm-rollout/smoke", "c1", "Waiting").status == 200
        assert len(site.store.runs()) == 1

    def test_the_verdict_is_no_verdict_about_the_revision_of_that_checksum(self, site: Site) -> None:
        """c1 is live: pre-rollout of a rollback to it would send c1 as well."""
        site.hook("confirm-rollout/smoke", "c1", "Succeeded")
        site.ends(RunState.PASSED)
        assert site.hook("pre-rollout/smoke", "c1").status == 202

    @pytest.mark.parametrize("told", ["pre-rollout/smoke", "rollback/smoke", "event", "post-rollout"])
    def test_it_is_good_for_one_rollout(self, site: Site, told: str) -> None:
        """v1 is live, v2 comes and fails, v1' with the old checksum is live again."""
        site.hook("confirm-rollout/smoke", "c1", "Succeeded")
        site.ends(RunState.PASSED)
        assert site.hook("confirm-rollout/smoke", "c1", "Waiting").status == 200
        site.hook(told, "c2", "Progressing")
        assert site.hook("confirm-rollout/smoke", "c1", "Waiting").status == 403

    def test_the_same_old_checksum_for_v2_and_then_for_v3_with_nothing_in_between(self, site: Site) -> None:
        """v2 was granted and taken back in mid-analysis: the next first ask has the checksum of v1 again."""
        site.hook("confirm-rollout/smoke", "c1", "Succeeded")
        site.ends(RunState.PASSED)
        assert site.hook("confirm-rollout/smoke", "c1", "Waiting").status == 200
        assert site.hook("confirm-rollout/smoke", "c1", "Succeeded").status == 403
        assert revisions(site) == [("after:c1", "passed"), ("after:c1", "queued")]

    def test_a_grant_is_remembered_by_the_next_process(self, site: Site) -> None:
        site.hook("confirm-rollout/smoke", "c1", "Succeeded")
        site.ends(RunState.PASSED)
        site.hook("confirm-rollout/smoke", "c1", "Waiting")
        site.restart()
        assert site.hook("confirm-rollout/smoke", "c1", "Waiting").status == 200
        assert site.hook("confirm-rollout/smoke", "c1", "Succeeded").status == 403

    def test_one_that_nobody_was_told_of_is_still_good_for_a_first_ask(self, site: Site) -> None:
        """Flagger could not store that it waits, and asks for the first time again."""
        site.hook("confirm-rollout/smoke", "c1", "Succeeded")
        site.ends(RunState.PASSED)
        assert site.hook("confirm-rollout/smoke", "c1", "Succeeded").status == 200

    @pytest.mark.parametrize("state", [RunState.FAILED, RunState.UNKNOWN, RunState.INTERRUPTED, RunState.CANCELLED])
    def test_a_denial_lasts_a_minute(self, site: Site, state: RunState) -> None:
        """v3 may have taken the place of v2, and would never be looked at."""
        site.hook("confirm-rollout/smoke", "c1", "Succeeded")
        site.ends(state, "no")
        site.clock.at += 59
        assert site.hook("confirm-rollout/smoke", "c1", "Waiting").status == 412
        site.clock.at += 1
        assert site.hook("confirm-rollout/smoke", "c1", "Waiting").status == 403
        assert len(site.store.runs()) == 2

    def test_or_as_long_as_the_address_says(self, site: Site) -> None:
        site.hook("confirm-rollout/smoke?again=5", "c1", "Succeeded")
        site.ends(RunState.FAILED, "no")
        site.clock.at += 5
        assert site.hook("confirm-rollout/smoke?again=5", "c1", "Waiting").status == 403

    @pytest.mark.parametrize("later", [599, 600, -86400])  # at last: the clock was set back by a day
    @pytest.mark.parametrize("told", [True, False])
    def test_a_pass_is_good_for_its_max_age(
        self, site: Site, told: bool, later: float, caplog: pytest.LogCaptureFixture
    ) -> None:
        site.hook("confirm-rollout/smoke", "c1", "Succeeded")
        site.ends(RunState.PASSED)
        if told:
            assert site.hook("confirm-rollout/smoke", "c1", "Waiting").status == 200
        site.clock.at += later
        assert site.hook("confirm-rollout/smoke", "c1", "Waiting").status == (200 if later == 599 else 403)
        assert ("the interval of shop/web is longer" in caplog.text) == (later != 599 and not told)

    def test_a_denial_does_not_last_longer_because_the_clock_was_set_back(self, site: Site) -> None:
        site.hook("confirm-rollout/smoke", "c1", "Succeeded")
        site.ends(RunState.FAILED, "no")
        site.clock.at -= 86400
        assert site.hook("confirm-rollout/smoke", "c1", "Waiting").status == 403

    def test_after_a_failed_rollout_it_is_the_new_checksum_at_once(self, site: Site) -> None:
        site.hook("pre-rollout/smoke", "c2")
        site.ends(RunState.FAILED, "no")
        site.hook("post-rollout", "c2", "Failed")
        assert site.hook("confirm-rollout/smoke", "c3", "Failed").status == 403
        site.ends(RunState.PASSED)
        assert site.hook("confirm-rollout/smoke", "c3", "Waiting").status == 200
        assert site.hook("pre-rollout/smoke", "c3").status == 202


class TestHolding:
    def test_the_answer_waits_for_the_end(self, site: Site) -> None:
        async def both() -> int:
            site.endpoint.listen()
            body = json.dumps({"name": "web", "namespace": "shop", "checksum": "c2"}).encode()
            asking = asyncio.create_task(asked(site.app, "POST", "/hooks/pre-rollout/smoke?wait=60", [body]))
            while not site.endpoint._held:
                await asyncio.sleep(0)
            site.jobs._tell(site.ends(RunState.PASSED))
            return (await asking).status

        assert site.wait(both()) == 200

    def test_but_no_longer_than_asked(self, site: Site) -> None:
        assert site.hook("pre-rollout/smoke?wait=0.01", "c2").status == 202
        assert not site.endpoint._held

    @pytest.mark.parametrize("wait", ["-1", "x", "1e9", "3601", "nan", "", "1_0", "١"])
    def test_seconds_are_seconds(self, site: Site, wait: str) -> None:
        from urllib.parse import quote

        assert site.hook(f"pre-rollout/smoke?wait={quote(wait)}", "c2").status == 400
        assert not site.store.runs()


class TestRefusals:
    """Nothing is started, and the line says what there is."""

    @pytest.mark.parametrize(
        ("path", "fields", "status", "line"),
        [
            ("pre-rollout/smok", {}, 404, "no suite 'smok'; did you mean 'smoke'?"),
            ("pre-rollout/zzz", {}, 404, "no suite 'zzz'; there is payments, smoke, strict"),
            ("pre-rollout", {}, 404, "which suite? POST /hooks/pre-rollout/SUITE; there is payments, smoke, strict"),
            ("skip/smoke", {}, 404, "no hook 'skip'; there is confirm-promotion, confirm-rollout, "
             "confirm-traffic-increase, event, post-rollout, pre-rollout, rollback, rollout"),
            ("pre-rollout/smoke", {"name": ""}, 400, "name not found in payload"),
            ("pre-rollout/smoke", {"namespace": None}, 400, "namespace not found in payload"),
            ("pre-rollout/smoke", {"checksum": ""}, 400, "checksum not found in payload: it tells which revision this "
             "is about"),
            ("pre-rollout/smoke", {"metadata": {"targe": "x"}}, 400, "suite 'smoke' has no parameter 'targe'; did you "
             "mean 'target'?"),
            ("pre-rollout/strict", {}, 400, "suite 'strict' needs the parameter 'region': it must match [a-z]+"),
            ("pre-rollout/strict", {"metadata": {"region": "; rm -rf /"}}, 400, "parameter 'region' of suite 'strict' "
             "must match [a-z]+"),
            ("pre-rollout/payments", {}, 403, "suite 'payments' does not admit namespace 'shop'"),
            ("pre-rollout/smoke?wiat=5", {}, 400, "no query parameter 'wiat' here; there is again, wait, signature"),
            ("event?again=3601", {}, 400, "again: '3601' are no seconds from 0 to 3600"),
            ("pre-rollout/smoke?wait=1&wait=2", {}, 400, "a query parameter comes twice"),
            ("pre-rollout/smoke?wait=%ff", {}, 400, "the query cannot be read"),
        ],
    )  # fmt: skip
    def test_each_has_its_line(self, site: Site, path: str, fields: dict[str, object], status: int, line: str) -> None:
        answer = site.post(f"/hooks/{path}", **{"checksum": "c2", **fields})
        assert (answer.status, answer.line) == (status, line)
        assert not site.store.runs()

    def test_other_parameters_than_those_of_the_run_that_is_joined(self, site: Site) -> None:
        site.hook("pre-rollout/strict", "c2", region="eu")
        answer = site.hook("rollout/strict", "c2", region="us")
        assert answer.status == 409
        assert "was started with other parameters (region=eu)" in answer.line

    def test_a_full_queue_is_429_and_the_only_one(self, site: Site) -> None:
        site.jobs._limits = Limits(queue=1)
        site.hook("pre-rollout/smoke", "c2")
        answer = site.post("/hooks/pre-rollout/smoke", name="api", checksum="c2")
        assert (answer.status, answer.headers["retry-after"]) == (429, "10")

    def test_one_that_drains_starts_none_but_answers_for_those_it_has(self, site: Site) -> None:
        site.hook("pre-rollout/smoke", "c2")
        site.jobs.drain(0)
        site.endpoint.draining = True
        assert site.hook("pre-rollout/smoke", "c2").status == 202
        answer = site.post("/hooks/pre-rollout/smoke", name="api", checksum="c2")
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert site.get("/readyz")[:2] == (503, "draining\n")
        assert site.get("/healthz").status == 200

    def test_a_full_disk_is_503(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object, **__: object) -> None:
            raise StoreError("the state in x cannot be written: disk full")

        monkeypatch.setattr(site.jobs, "submit", full)
        assert site.hook("pre-rollout/smoke", "c2")[:2] == (503, "the state in x cannot be written: disk full\n")

    def test_an_error_of_ours_is_503_without_a_traceback(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr(site.jobs, "submit", lambda *_, **__: 1 / 0)
        answer = site.hook("pre-rollout/smoke", "c2")
        assert answer[:2] == (503, "the endpoint is broken; its log says why\n")
        assert "ZeroDivisionError" in caplog.text
