"""Does the canary fail more often?"""

from __future__ import annotations

import random
from typing import Any

import pytest

from meshtest.checks import canary
from meshtest.errors import UsageError
from meshtest.model.history import Event, History
from meshtest.model.request import UNKNOWN_SERVER, Fate
from meshtest.model.verdict import Outcome
from tests.checks.histories import V1, V2, V3, every, history, hop, request


def drawn(n: int, *, canary: float, baseline: float = 0.0, share: float = 1.0, seed: int = 1, **more: Any) -> History:
    """Requests to v2 with its share, to v1 else; each fails at its version's rate."""
    draw = random.Random(seed)
    requests = []
    for i in range(n):
        to_v2 = draw.random() < share
        bad = draw.random() < (canary if to_v2 else baseline)
        requests.append(request(i, i / 1000, V2 if to_v2 else V1, status=503 if bad else 200))
    return history(requests, [Event(n / 1000 + 1, "load.end", "load")], **more)


class TestAlone:
    check = canary(host="web", canary="v2")

    def test_nothing_seen_proves_nothing(self) -> None:
        finding = self.check.judge(history(every(0.01, [V1] * 500)))
        assert finding.outcome is Outcome.UNKNOWN
        assert finding.sentence == "no request is known to have reached web v2; v1 served"

    def test_332_clean_requests_pass(self) -> None:
        early = self.check.judge(history(every(0.01, [V2] * 331)))
        assert early.outcome is Outcome.UNKNOWN
        assert early.sentence.endswith("not decided between 0.1 % and 1 %; without a further error it takes 1 more")
        finding = self.check.judge(history(every(0.01, [V2] * 500)))
        assert finding.outcome is Outcome.PASS
        assert finding.figures["decided_after"] == 332
        assert finding.sentence.startswith("v2 failed in 0 of 500 (0 % to ")
        assert finding.sentence.endswith(": a rate of 1 % is ruled out, decided after 332 of its requests")

    def test_a_bad_one_fails(self) -> None:
        finding = self.check.judge(drawn(2000, canary=0.02))
        assert finding.outcome is Outcome.FAIL
        assert "more than the 0.1 % allowed, decided after" in finding.sentence
        low, high = finding.figures["interval"]
        assert low < 0.02 < high

    def test_one_that_broke_after_it_had_passed_fails(self) -> None:
        broken = [request(i, i / 100, V2, status=503 if i > 4000 and i % 20 == 0 else 200) for i in range(5000)]
        assert self.check.judge(history(broken)).outcome is Outcome.FAIL

    def test_errors_of_nobody_could_be_its_own(self) -> None:
        lost = [request(500 + i, 5 + i / 100, UNKNOWN_SERVER, fate=Fate.RESET) for i in range(3)]
        finding = self.check.judge(history([*every(0.01, [V2] * 500), *lost]))
        assert finding.outcome is Outcome.UNKNOWN
        assert "3 failed requests may have been those of v2" in finding.sentence

    def test_unless_a_proxy_tells_whose_they_were(self) -> None:
        lost = [request(500 + i, 5 + i / 100, UNKNOWN_SERVER, fate=Fate.RESET) for i in range(9)]
        hops = [hop(500 + i, 5 + i / 100, V2, status=0) for i in range(9)]
        finding = self.check.judge(history([*every(0.01, [V2] * 500), *lost], hops=hops))
        assert finding.outcome is Outcome.FAIL
        assert finding.figures["errors"] == 9

    def test_a_slow_answer_can_count_as_an_error(self) -> None:
        slow = [request(i, i / 100, V2, latency=0.5 if i % 20 == 0 else 0.01) for i in range(500)]
        assert self.check.judge(history(slow)).outcome is Outcome.PASS
        strict = canary(host="web", canary="v2", slow=0.2)
        assert "v2 failed or took more than 200 ms in 25 of 500" in strict.judge(history(slow)).sentence

    def test_a_saturated_generator_proves_nothing_good(self) -> None:
        end = Event(99.0, "load.end", "load", {"saturated": "late"})
        assert self.check.judge(history(every(0.01, [V2] * 500), [end])).outcome is Outcome.UNKNOWN

    def test_a_host_deeper_in_the_mesh_is_judged_by_hops(self) -> None:
        front = [request(i, i / 100, V3.__class__("front", "v1", "front-1")) for i in range(500)]
        hops = [hop(i, i / 100, V2, status=503 if i % 25 == 0 else 200) for i in range(500)]
        finding = self.check.judge(history(front, hops=hops))
        assert (finding.outcome, finding.figures["errors"]) == (Outcome.FAIL, 20)


class TestBesideABaseline:
    check = canary(host="web", canary="v2", baseline="v1")

    @pytest.mark.parametrize("share", [0.1, 0.5])
    def test_one_that_fails_more_often_fails(self, share: float) -> None:
        finding = self.check.judge(drawn(12_000, canary=0.03, baseline=0.001, share=share))
        assert finding.outcome is Outcome.FAIL
        assert "more than the 0.1 % allowed and more often than v1" in finding.sentence

    @pytest.mark.parametrize("rate", [0.05, 0.3])
    def test_one_that_fails_as_often_as_the_baseline_passes(self, rate: float) -> None:
        assert self.check.judge(drawn(12_000, canary=rate, baseline=rate, share=0.3)).outcome is Outcome.PASS

    def test_a_clean_one_passes_nearly_as_fast_as_alone(self) -> None:
        finding = self.check.judge(drawn(4000, canary=0.0, baseline=0.0, share=0.2))
        assert finding.outcome is Outcome.PASS
        assert finding.figures["decided_after"] <= 340

    def test_weights_may_move_meanwhile(self) -> None:
        """Errors of both come early, when the canary has little traffic: no sign against it, nor for it."""
        draw, requests = random.Random(8), []
        for i in range(12_000):
            share, rate = (0.05, 0.05) if i < 6000 else (0.9, 0.002)
            server = V2 if draw.random() < share else V1
            requests.append(request(i, i / 1000, server, status=503 if draw.random() < rate else 200))
        assert self.check.judge(history(requests)).outcome is not Outcome.FAIL

    def test_false_alarms_are_rare_at_any_number_of_looks(self) -> None:
        failed = 0
        for seed in range(30):
            past = drawn(1500, canary=0.1, baseline=0.1, share=0.5, seed=seed)
            failed += self.check.judge(past).outcome is Outcome.FAIL
        assert failed <= 6  # 99.9 % point of 30 at 5 %


def test_only_a_step_is_looked_at() -> None:
    bad = [request(i, i / 100, V2, status=503 if i < 100 else 200) for i in range(1000)]
    steps = [Event(1.0, "step.start", "soak"), Event(9.0, "step.end", "soak")]
    past = history(bad, steps)
    assert canary(host="web", canary="v2").judge(past).outcome is Outcome.FAIL
    finding = canary(host="web", canary="v2", step="soak").judge(past)
    assert (finding.outcome, finding.figures["n"]) == (Outcome.PASS, 800)
    with pytest.raises(UsageError, match="no step 'soap' in this run; there are: soak"):
        canary(host="web", canary="v2", step="soap").judge(past)


@pytest.mark.parametrize(
    "options",
    [{"allowed": 0.02}, {"allowed": "x"}, {"worse": "200%"}, {"alpha": 0}, {"beta": 1}, {"ratio": 1}, {"slow": 0},
     {"baseline": "v2"}],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        canary(host="web", canary="v2", **options)
