"""The catalogue, and what is made of a rehearsal. No mesh."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from meshtest_envoy.pods import behaviour

from meshtest.errors import UsageError
from meshtest.loads.ask import Reply
from meshtest.manifests.reader import read_text
from meshtest.mesh.canary.answers import Compared, Seen, compare
from meshtest.mesh.canary.mutants import CATALOGUE, FEW, NAMES, Mutant, chosen
from meshtest.mesh.canary.pace import LEAST, MOST, pace, ticks
from meshtest.mesh.canary.trial import Trial
from meshtest.mesh.canary.trials import DEPENDENCY, RATE, Trials
from meshtest.model.rehearsal import Called, Measured, Rehearsal, TickRow
from meshtest.rollouts.canary.spec import Analysis, Canary, Service
from meshtest.settings import Settings

VALUES = {
    "slow": "200ms", "path": "/checkout", "header": "x-plan:gold",
    "requests": "20", "memory": "5120Ki", "pause": "500ms",
}  # fmt: skip


def canary(**analysis: Any) -> Canary:
    return Canary(name="web", target="web", service=Service(name="web"), analysis=Analysis(**analysis))


def rehearsal(**more: Any) -> Rehearsal:
    told: dict[str, Any] = {
        "canary": "web.default", "strategy": "canary", "provider": "istio", "revision": "v2", "ending": "promoted",
        "speed": 60.0, "interval": 60.0, "intervals": 5, "requests": 500, "exposed": 100,
    }  # fmt: skip
    return Rehearsal(**(told | more))


def row(**more: Any) -> TickRow:
    return TickRow(**({"number": 1, "at": 0.0, "after": 0.0, "phase": "Progressing", "weight": 0, "routes": ""} | more))


def rate(value: float | None, *, ok: bool = True, name: str = "request-success-rate") -> Measured:
    return Measured(name=name, value=value, least=99.0, ok=ok, error="" if value is not None else "no values found")


class TestTheCatalogue:
    def test_it_has_each_bad_version_and_some_good_ones(self) -> None:
        assert [mutant.name for mutant in CATALOGUE if mutant.good] == [
            "identical", "slightly-slower", "base-noise", "slow-start",
        ]  # fmt: skip
        assert len(NAMES) == len(set(NAMES)) == 17
        assert all(mutant.pays for mutant in CATALOGUE if not mutant.good)

    @pytest.mark.parametrize("mutant", CATALOGUE, ids=NAMES)
    def test_a_stand_in_can_be_each_of_them(self, mutant: Mutant) -> None:
        told = mutant.annotated(VALUES)
        changed = behaviour.read(told) != behaviour.read({})
        assert changed == bool(mutant.annotations)
        assert set(told) <= {behaviour.PREFIX + name for name in (*behaviour.KNOWN, "back-off")}

    def test_some_are_chosen_by_name_in_the_order_of_the_catalogue(self) -> None:
        assert [mutant.name for mutant in chosen(["identical", "errors-3"])] == ["errors-3", "identical"]
        assert chosen() == CATALOGUE

    def test_an_unknown_name_is_refused_with_what_was_meant(self) -> None:
        with pytest.raises(UsageError, match=r"no mutant 'error-3' \(did you mean errors-[13]\?\); known: errors-1"):
            chosen(["error-3"])


def trial(name: str, compared: Compared | None = None, later: Rehearsal | None = None, **more: Any) -> Trial:
    return Trial(chosen([name])[0], rehearsal(**more), compared or Compared(), later)


class TestVerdicts:
    @pytest.mark.parametrize(
        ("name", "ending", "verdict", "right"),
        [
            ("errors-3", "rolled back", "stopped", True),
            ("errors-3", "promoted", "survived", False),
            ("errors-3", "not finished", "held", True),
            ("identical", "promoted", "passed", True),
            ("identical", "rolled back", "false alarm", False),
            ("identical", "not finished", "held", False),
        ],
    )
    def test_what_is_right_for_one_is_wrong_for_the_other(
        self, name: str, ending: str, verdict: str, right: bool
    ) -> None:
        found = trial(name, ending=ending)
        assert (found.verdict, found.is_as_it_should_be) == (verdict, right)

    @pytest.mark.parametrize("name", ["errors-3", "identical"])
    def test_of_what_the_machine_may_have_done_nothing_is_known(self, name: str) -> None:
        found = trial(name, ending="rolled back", unproven="requests left late", ticks=(row(),))
        assert (found.verdict, found.why, found.is_as_it_should_be) == ("unknown", "requests left late", False)

    def test_it_tells_the_largest_share_that_the_bad_version_had(self) -> None:
        rows = [row(routes=routes) for routes in ("100/0", "100/0 mirrored", "90/10", "80/20", "100/0", "")]
        assert trial("errors-3", ticks=tuple(rows)).weight == 20

    def test_a_metric_stopped_it(self) -> None:
        rows = (row(metrics=(rate(100.0),)), row(metrics=(rate(97.25, ok=False),)), row(failed_checks=1))
        assert trial("errors-3", ending="rolled back", ticks=rows).by == "request-success-rate 97.25 (min 99)"

    def test_a_metric_without_data_stopped_it(self) -> None:
        rows = (row(metrics=(rate(None, ok=False),)),)
        assert trial("crash", ending="rolled back", ticks=rows).by == "request-success-rate had no value"

    def test_a_hook_stopped_it_and_one_that_only_waits_did_not(self) -> None:
        gate = Called(name="gate", type="confirm-promotion", url="http://a", ok=False)
        test = Called(name="acceptance", type="rollout", url="http://a", ok=False)
        assert trial("wrong-content", ending="rolled back", ticks=(row(hooks=(gate, test)),)).by == "hook acceptance"
        asked = Called(name="abort", type="rollback", url="http://a", ok=True)
        rows = (row(hooks=(test,)), row(hooks=(asked,)))
        assert trial("wrong-content", ending="rolled back", ticks=rows).by == "rollback hook abort"

    def test_that_it_was_not_ready_in_time_stopped_it(self) -> None:
        found = trial("never-ready", ending="rolled back", reason="not ready within 600 s", ticks=(row(),))
        assert found.by == "readiness: not ready within 600 s"

    def test_wrong_answers_are_paid_for_in_the_share_that_was_found(self) -> None:
        found = trial("wrong-content", Compared(20, 10, "header x-a"), failed=7, exposed=102, exposed_failed=2)
        assert found.paid == 7 + 50

    def test_why_it_survived(self) -> None:
        nothing = trial("errors-3", ticks=(row(),))
        assert nothing.why == (
            "no check looks at it: the Canary has no metric request-success-rate, nor one of its own"
        )
        seen = trial("errors-1", ticks=(row(metrics=(rate(99.5),)), row(metrics=(rate(99.1),))))
        assert seen.why == "within the limits: request-success-rate was 99.1 at worst (min 99)"
        blind = trial("lost-header", Compared(9, 9, "header content-type"), ticks=(row(metrics=(rate(100.0),)),))
        assert blind.why == (
            "no metric can see it (9 of 9 answers lacked header content-type); a webhook must look at the answers"
        )
        drain = trial("bad-drain", later=rehearsal(requests=300, failed=4))
        assert (drain.paid, drain.why) == (
            4, "it shows in the next rollout only (4 of 300 requests failed then); a test must end a pod under load",
        )  # fmt: skip

    def test_it_is_data_for_programs(self) -> None:
        found = json.loads(json.dumps(trial("bad-drain", later=rehearsal(failed=4)).as_data()))
        assert (found["mutant"], found["verdict"], found["later"]["failed"]) == ("bad-drain", "survived", 4)


def reply(pod: str, *, status: int = 200, headers: tuple[str, ...] = (), body: bytes = b'{"service": "web"}') -> Reply:
    pairs = (("x-meshtest-served-by", f"web/v1/{pod}"), *((name, "1") for name in headers))
    return Reply(fate="answered", protocol="HTTP/1.1", status=status, headers=pairs, body=body)


def seen(*replies: Reply) -> list[Seen]:
    return [found for one in replies if (found := Seen.of(one, "web-primary"))]


class TestAnswers:
    def test_those_that_keep_the_promise_may_have_more_and_other_values(self) -> None:
        new = reply("web-1", headers=("etag", "x-new"), body=b'{"service": "other", "more": 1}')
        assert compare(seen(reply("web-primary-1", headers=("etag",)), new)) == Compared(1, 0)

    def test_a_header_or_field_that_all_had_is_missed(self) -> None:
        one, other = (reply("web-primary-1", headers=("etag", name)) for name in ("x-a", "x-b"))
        found = compare(seen(one, reply("web-1"), other, reply("web-2", headers=("etag",), body=b'{"no": 1}')))
        assert found == Compared(2, 2, "header etag")

    def test_a_failure_is_no_wrong_answer_and_nobody_is_no_witness(self) -> None:
        failed = reply("web-1", status=503, body=b"")
        nobody = Reply(fate="refused", protocol="HTTP/1.1")
        assert compare(seen(reply("web-primary-1"), failed, nobody)) == Compared(0, 0)
        assert compare(seen(reply("web-1"))) == Compared(), "nothing is known of what was promised"

    def test_a_body_that_is_no_json_is_compared_by_headers_alone(self) -> None:
        assert compare(seen(reply("web-primary-1", body=b"<p>"), reply("web-1", body=b"<h1>"))) == Compared(1, 0)


class TestPace:
    def test_a_promotion_takes_a_few_seconds(self) -> None:
        found = pace(canary(step_weight=10, max_weight=50), 150.0)
        assert ticks(canary(step_weight=10, max_weight=50)) == 8
        assert found.speed * found.tick == pytest.approx(60)
        assert 0.5 <= found.tick <= 1
        assert found.requests == pytest.approx(150 * found.tick / 10)

    def test_a_small_weight_makes_it_slower_and_only_so_far(self) -> None:
        assert pace(canary(step_weight=50), 50.0).tick == pytest.approx(5 / 5, rel=0.02)
        assert pace(canary(step_weight=1, max_weight=2), 50.0).tick == pytest.approx(MOST)
        assert pace(canary(iterations=100), 1000.0).tick == pytest.approx(LEAST)

    def test_a_speed_that_is_asked_for_is_taken_and_what_it_costs_is_told(self) -> None:
        found = pace(canary(step_weight=10, max_weight=50), 50.0, 20)
        assert (found.speed, found.tick, found.weight, found.requests) == (20, 3, 10, pytest.approx(15))
        assert "at 10 % a check sees about 15 requests of the new version, in production 300" in str(found)

    def test_it_is_never_slower_than_production(self) -> None:
        assert pace(canary(interval=1.0, step_weight=1, max_weight=2), 1.0).speed == 1.0


WEB = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: web}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  service: {port: 80}
  analysis: {interval: 1m, threshold: 5, stepWeight: 10, maxWeight: 50}
"""


def trials(folder: Path, *traffic: str, text: str = WEB) -> Trials:
    (folder / "canary.yaml").write_text(text)
    return Trials(files=[folder / "canary.yaml"], settings=Settings(), traffic=traffic)


class TestWhatAMutantNeeds:
    def test_users_that_nobody_named_come_in_larger_number(self, tmp_path: Path) -> None:
        assert trials(tmp_path).rate == RATE
        assert trials(tmp_path, "GET / 30rps", "GET /cart 20rps").rate == 50

    def test_a_few_users_ask_for_another_path_or_send_another_header(self, tmp_path: Path) -> None:
        found = trials(tmp_path, "GET http://web.default/a?b 100rps x-group:testers")
        (path, header) = chosen(["errors-on-path", "errors-for-header"])
        *_, few = found.users(path)
        assert (few.request, few.rate, few.headers) == (
            "GET http://web.default/checkout?b", 100 * FEW, ("x-group: testers",),
        )  # fmt: skip
        *_, few = found.users(header)
        assert (few.request, few.headers) == ("GET http://web.default/a?b", ("x-group: testers", "x-plan: gold"))
        assert len(found.users(chosen(["identical"])[0])) == 1

    def test_a_path_of_some_users_needs_no_more_of_them(self, tmp_path: Path) -> None:
        found = trials(tmp_path, "GET / 90rps", "GET /cart 10rps")
        (mutant,) = chosen(["errors-on-path"])
        assert len(found.users(mutant)) == 2
        assert mutant.annotated(found.values) == {"meshtest.dev/errors": "503:100 path=/cart"}

    def test_the_dependency_takes_a_little_more_than_it_is_sent(self, tmp_path: Path) -> None:
        found = trials(tmp_path, "GET / 100rps")
        overload, other = chosen(["downstream-overload", "identical"])
        documents = {(d.kind, d.name): d.data for d in read_text(found.more(overload), "more")}
        told = [documents["apps/Deployment", name]["spec"]["template"]["metadata"] for name in ("web", DEPENDENCY)]
        assert told[0]["annotations"]["meshtest.dev/calls"] == f"http://{DEPENDENCY}.default/"
        assert told[1]["annotations"]["meshtest.dev/capacity"] == "150rps"
        assert ("/Service", DEPENDENCY) in documents
        assert found.more(other) == ""

    def test_a_leak_is_as_long_as_the_checks_see_of_it_and_never_too_much(self, tmp_path: Path) -> None:
        for rate in (1, 100, 20_000):
            found = trials(tmp_path, f"GET / {rate}rps")
            for mutant in CATALOGUE:
                behaviour.read(mutant.annotated(found.values))

    def test_files_without_a_canary_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="the manifests hold no Canary"):
            trials(tmp_path, text="apiVersion: v1\nkind: Service\nmetadata: {name: a}\n").run(()).__next__()
