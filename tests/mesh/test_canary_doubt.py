"""When a failed check proves nothing against a version: evidence made by hand, and no load."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from meshtest import Mesh, RolloutFailed
from meshtest.checks.canary_proven import CanaryProven
from meshtest.mesh.canary import doubt, rehearsal
from meshtest.mesh.canary.doubt import Asked
from meshtest.mesh.canary.machine import CALM, Reading, Strain
from meshtest.mesh.canary.story import unproven
from meshtest.mesh.canary.window import Window, start_up, window
from meshtest.model import rehearsal as model
from meshtest.model.history import Event
from meshtest.model.rehearsal import Called, Measured, Rehearsal, TickRow
from meshtest.model.request import Server
from meshtest.model.verdict import Outcome
from meshtest.rollouts.canary import Answer
from meshtest.rollouts.canary import Reading as Value
from meshtest.run import open_run
from tests.checks.histories import history, hop, request

CANARY, PRIMARY = Server("web", "v2", "web-1"), Server("web", "v1", "web-primary-1")
TIGHT = Strain(pressed=1.0)
OURS = Asked(of_proxies=True, speed=20)
OK = (0.01, 200)


def nothing(name: str = "request-success-rate") -> Measured:
    return Measured(name=name, error="no values found", ok=False)


def slow(value: float = 900.0) -> Measured:
    return Measured(name="request-duration", value=value, most=500, ok=False)


def of_nothing(asked: Asked = OURS, **told: Any) -> str:
    return doubt.of_metric(nothing(), asked, Window(**{"seconds": 1.0, "sent": 50, **told}))


class TestNoValue:
    def test_answers_that_the_samples_do_not_show(self) -> None:
        assert of_nothing(served=(OK, OK, (0.01, 503))) == (
            "metric request-success-rate had no value, though 2 requests of the canary had a good answer in its "
            "window: 1 s hold too few samples"
        )
        assert of_nothing(Asked(of_proxies=True), served=(OK,)) == "", "at speed 1 it is as in production"
        assert of_nothing(Asked(speed=20), served=(OK,)) == "", "a query of one's own may look for what is not told"

    def test_one_that_only_fails_has_no_rate(self) -> None:
        """Nothing divided by something is nothing: FLAGGER.md 3.3 (b)."""
        assert of_nothing(served=((0.01, 503),) * 9, strain=TIGHT) == ""

    def test_one_that_never_answers(self) -> None:
        assert of_nothing(routed=8, strain=TIGHT) == ""
        assert of_nothing(Asked(of_proxies=True, speed=20, expected=15)) == ""

    def test_requests_that_left_late(self) -> None:
        assert "left up to 0.4 s late" in of_nothing(late=0.4)
        assert of_nothing(late=0.2) == "", "a fifth of the window"
        assert of_nothing(late=0.05, seconds=0.1) == "", "every machine is that late now and then"

    @pytest.mark.parametrize(("expected", "speed", "excused"), [(0.5, 20, True), (0.1, 20, False), (0.5, 1, False)])
    def test_so_few_that_none_is_chance(self, expected: float, speed: float, excused: bool) -> None:
        found = of_nothing(Asked(speed=speed, expected=expected))
        assert ("production has 20 times as many" in found) == excused

    def test_nobody_was_heard_of_and_the_machine_was_short_of_cpu(self) -> None:
        assert "the host took 30 % of the CPU time" in of_nothing(sent=0, strain=Strain(stolen=0.3))
        assert of_nothing(sent=0) == ""
        assert of_nothing(strain=Strain(stolen=0.3)) == "", "the others came through"


class TestTooSlow:
    asked = Asked(of_proxies=True, limit=0.5, speed=20)

    def of(self, *seconds: float, **told: Any) -> str:
        served = tuple((one, 200) for one in seconds)
        return doubt.of_metric(slow(), self.asked, Window(**{"seconds": 3.0, "served": served, **told}))

    def test_on_a_quiet_machine_it_is_the_version(self) -> None:
        assert self.of(0.9, 0.01) == ""
        assert self.of(0.9, others=0.8) == "", "others may be slow for reasons of their own"
        assert self.of(0.51, late=0.03) == ""

    def test_by_no_more_than_requests_left_late(self) -> None:
        assert "requests left up to 0.45 s late" in self.of(0.9, late=0.45)
        assert self.of(1.1, late=0.45) == "", "that is not all of it"

    def test_by_no_more_than_other_pods_were_on_a_machine_short_of_cpu(self) -> None:
        assert "other pods took up to 0.6 s, and for 100 % of the time" in self.of(0.9, others=0.6, strain=TIGHT)
        assert self.of(0.9, others=0.06, strain=TIGHT) == "", "the machine has done little to the others"
        assert "the proxies had no CPU to spare for 1 s" in self.of(0.9, others=0.6, starved=1.0)

    def test_one_request_in_a_hundred_may_be_slower(self) -> None:
        assert self.of(*[0.6] * 199, 9.0, late=0.2)
        assert self.of(*[0.6] * 98, 9.0, late=0.2) == ""

    def test_a_bad_rate_is_never_excused(self) -> None:
        bad = Measured(name="request-success-rate", value=90, least=99, ok=False)
        assert doubt.of_metric(bad, OURS, Window(seconds=1, late=5.0, strain=TIGHT)) == ""


class TestOthers:
    def test_a_hook_that_had_less_time_than_in_production(self) -> None:
        late = Called(
            name="test", type="rollout", url="http://a", ok=False, reason="context deadline exceeded", seconds=5
        )
        assert "did not answer in 5 s, where production waits 30 s" in doubt.of_hook(late, 30, Window(seconds=5))
        assert doubt.of_hook(late, 5, Window(seconds=5)) == ""
        assert "somebody waited for a CPU" in doubt.of_hook(late, 5, Window(seconds=5, strain=TIGHT))
        no = Called(name="test", type="rollout", url="http://a", ok=False, reason="no", seconds=1)
        assert doubt.of_hook(no, 30, Window(seconds=1, strain=TIGHT)) == ""

    def test_pods_that_had_hardly_longer_than_others_needed(self) -> None:
        assert "after 3 s, which is all that its deadline leaves here" in doubt.of_readiness("canary", 3.0, 2.5)
        assert doubt.of_readiness("canary", 3.0, 0.3) == ""


def started(pod: str, workload: str, template: str, at: float, ready: float) -> list[Event]:
    data = {"workload": workload, "template": template}
    return [Event(at, "pod.start", pod, data), Event(ready, "pod.ready", pod), Event(ready + 9, "pod.ready", pod)]


PODS = started("web-1", "test/web", "bbb", 1.0, 4.0) + started("web-primary-1", "test/web-primary", "aaa", 0.0, 0.5)


def test_a_window_is_what_the_record_holds_of_it() -> None:
    requests = [
        request(i, at, late=late) for i, (at, late) in enumerate([(8.0, 9.0), (9.2, 0.1), (9.6, 0.3), (10.5, 7)])
    ]
    hops = [
        hop(1, 8.5, CANARY, "inbound"), hop(2, 9.5, CANARY, "inbound", seconds=0.2), hop(3, 9.9, CANARY, "inbound"),
        hop(4, 9.9, CANARY, "inbound", seconds=3.0), hop(5, 9.6, PRIMARY, "inbound", seconds=0.3, status=500),
        hop(6, 9.7, CANARY, cluster="outbound|80||web-canary.test.svc.cluster.local"), hop(7, 9.7, PRIMARY),
    ]  # fmt: skip
    events = [
        *PODS,
        Event(9.5, "proxy.starved", data={"seconds": 0.25}),
        Event(3.0, "proxy.starved", data={"seconds": 1}),
    ]
    found = window(history(requests, events, hops), 10.0, 1.0, workload="test/web", service="web-canary.test")
    assert (found.sent, found.late, found.routed, found.others, found.starved) == (2, 0.3, 1, 0.3, 0.25)
    assert sorted(found.served) == [(0.001, 200), (0.2, 200)]


def test_how_long_other_pods_needed() -> None:
    assert start_up(history((), PODS), "bbb") == 0.5
    assert start_up(history((), PODS), "aaa") == 3.0
    assert start_up(history((), PODS[:3]), "bbb") == 0.0
    told_late = [Event(4.0, "config.apply", data={"number": 1}), *started("web-2", "test/web", "ccc", 5.1, 5.0)]
    assert start_up(history((), told_late), "bbb") == 1.0, "from the change on"


def test_the_kernel_tells_what_the_host_took_and_how_long_somebody_waited(tmp_path: Path) -> None:
    def reading(steal: int, idle: int, waited: int) -> Reading:
        (tmp_path / "pressure").mkdir(exist_ok=True)
        (tmp_path / "stat").write_text(f"cpu  10 0 10 {idle} 0 0 0 {steal} 5 5\ncpu0 1 2 3\n")
        (tmp_path / "pressure" / "cpu").write_text(f"some avg10=1.00 avg60=0 avg300=0 total={waited}\nfull total=0\n")
        return Reading.now(tmp_path)

    before, after = reading(0, 0, 0), reading(30, 70, 500_000)
    found = before._replace(at=0.0).until(after._replace(at=1.0))
    assert found == Strain(stolen=0.3, pressed=0.5)
    silent = Reading.now(tmp_path / "none")
    assert silent.until(silent) == CALM
    assert 0 <= Reading.now().until(Reading.now()).pressed <= 1


def rows(*failed: int, doubtful: Sequence[int] = (), **last: Any) -> list[TickRow]:
    """Ticks with so many failed checks counted; `doubtful` are the numbers of those that prove nothing."""
    made = [
        TickRow(
            number=number, at=0.0, after=0.0, phase="Progressing", weight=10, routes="90/10", failed_checks=count,
            unproven=f"late in {number}" if number in doubtful else "",
        )
        for number, count in enumerate(failed, 1)
    ]  # fmt: skip
    end = {"number": len(made) + 1, "at": 0.0, "after": 0.0, "phase": "Failed", "weight": 0, "routes": "100/0"}
    return [*made, TickRow(**{**end, **last})]


class TestRollback:
    def test_without_those_that_prove_nothing_there_would_have_been_none(self) -> None:
        assert unproven(rows(0, 1, 2, doubtful=[3]), 2) == "1 of 2 failed checks: late in 3"
        assert unproven(rows(0, 1, 2, doubtful=[2, 3]), 2) == "2 of 2 failed checks: late in 2; late in 3"

    def test_there_were_enough_others(self) -> None:
        assert unproven(rows(0, 1, 2, 3, doubtful=[2]), 2) == ""
        assert unproven(rows(0, 1, 2), 2) == ""

    def test_those_of_the_revision_before_do_not_count(self) -> None:
        assert unproven(rows(0, 1, 0, 1, 2, doubtful=[2]), 2) == ""

    def test_a_deadline_is_one_tick(self) -> None:
        assert unproven(rows(0, 0, unproven="not ready, and so on"), 2) == "not ready, and so on"
        assert unproven(rows(0, 1, doubtful=[2]), 2) == "", "the deadline was the version's"

    def test_who_was_asked_to_roll_back_did(self) -> None:
        asked = (Called(name="abort", type="rollback", url="http://a", ok=True),)
        assert unproven(rows(0, 1, 2, doubtful=[3], hooks=asked), 2) == ""


def told(**more: Any) -> Rehearsal:
    values: dict[str, Any] = {
        "canary": "web.test", "strategy": "canary", "provider": "istio", "revision": "v2", "ending": "rolled back",
        "reason": "no values", "speed": 60.0, "interval": 60.0, "intervals": 4, "requests": 9,
    }  # fmt: skip
    return Rehearsal(**(values | more))


class TestRehearsal:
    def test_of_one_that_proves_nothing_there_is_no_telling(self) -> None:
        found = told(unproven="1 of 2 failed checks: late")
        for ask in ("promoted", "rolled_back"):
            with pytest.raises(
                RolloutFailed, match=r"UNKNOWN: canary_proven: web.test: that v2 was rolled back"
            ) as error:
                getattr(found, ask)
            assert error.value.verdict.outcome is Outcome.UNKNOWN
            assert "rehearse at a lower speed than 60, send fewer loads, or give this machine more" in str(error.value)
        assert ": no values; UNKNOWN, for 1 of 2 failed checks: late; 9 requests of users" in str(found)
        assert Rehearsal.from_data(json.loads(json.dumps(found.as_data()))) == found
        assert told().rolled_back

    def test_the_check_is_asked_of_the_record(self) -> None:
        ends = [Event(1.0, "canary.end", "web.test", {"ending": "promoted", "doubt": ""})]
        assert CanaryProven().judge(history((), ends)).outcome is Outcome.PASS
        ends.append(Event(2.0, "canary.end", "web.test", {"ending": "rolled back", "doubt": "late"}))
        found = CanaryProven().judge(history((), ends))
        assert (found.outcome, found.sentence, found.figures) == (
            Outcome.UNKNOWN, "late", {"rehearsals": 2, "unproven": 1},
        )  # fmt: skip
        assert CanaryProven().judge(history()).outcome is Outcome.UNKNOWN


MANIFEST = """
apiVersion: flagger.app/v1beta1
kind: Canary
metadata: {name: web, namespace: shop}
spec:
  targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  service: {port: 80}
  analysis:
    interval: 10s
    threshold: 1
    stepWeight: 50
    maxWeight: 50
    metrics: [{name: request-success-rate, interval: 1s, thresholdRange: {min: 99}}]
"""


class Silent:
    """Reads nothing, though the record shows answers: so many times, then all is well."""

    notes: Sequence[str] = ()

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, *_: object, **__: object) -> Silent:
        return self

    def close(self) -> None: ...

    def online(self) -> Answer:
        return Answer()

    def read(self, _: object) -> Value:
        self.left -= 1
        return Value() if self.left >= 0 else Value(value=100.0)

    def measured(self, _: object, reading: Value) -> Measured:
        return Measured(name="request-success-rate", value=reading.value, ok=reading.value is not None)

    def seen(self, *_: object) -> Window:
        return Window(seconds=0.005, served=(OK,))

    def asked(self, _: object) -> Asked:
        return OURS


def rehearsed(mesh: Mesh, monkeypatch: pytest.MonkeyPatch, times: int) -> Rehearsal:
    monkeypatch.setattr(rehearsal, "Measures", Silent(times))
    return mesh.canary(text=MANIFEST, speed=200).run(to="v2")


def test_what_the_machine_may_have_spoilt_is_read_again(bare: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    found = rehearsed(bare, monkeypatch, 2)
    assert found.promoted, found
    assert all(row.failed_checks == 0 for row in found.ticks)
    assert sum("read again a window later: metric request-success-rate" in note for note in found.notes) == 1


def test_a_rollback_by_the_machine_is_unknown_wherever_it_is_told(bare: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    found = rehearsed(bare, monkeypatch, 10**6)
    assert found.ending == "rolled back", "as Flagger would have done"
    assert found.ticks[-1].phase == "Failed"
    with pytest.raises(RolloutFailed, match="proves nothing about it: 1 of 1 failed check"):
        _ = found.promoted
    kept = json.loads((bare.run.directory / model.FILE).read_text())
    assert kept["unproven"] == found.unproven
    bare.run.test_ended("failed")
    bare.close()
    assert open_run(bare.run.directory).about["outcome"] == "UNKNOWN"
    (verdict,) = open_run(bare.run.directory).judge().findings
    assert (verdict.check, verdict.sentence) == ("canary_proven", found.doubt)
