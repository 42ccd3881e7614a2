"""Canaries of Flagger: what is said beyond the code, and where."""

from __future__ import annotations

import subprocess
import sys

import yaml

from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Severity
from meshtest.preflight import CODES, Finding, examine
from meshtest.rollouts.canary.surprises import SURPRISES
from tests.preflight.canary_pairs import canary, hook, hooks, target
from tests.preflight.shop import Object, codes, found

RPS = "meshtest.dev/rps"


def one(code: str, *objects: Object) -> Finding:
    (finding,) = (finding for finding in found(*objects) if finding.code == code)
    return finding


def test_a_sound_canary_has_notes_only() -> None:
    told = found(canary(annotations={RPS: "50"}), target())
    assert {finding.code for finding in told if finding.severity > Severity.INFO} == set()


def test_the_sentence_of_a_surprise_is_the_state_machines() -> None:
    assert one("FL07", canary(stepWeight=20, maxWeight=50)).message == SURPRISES["FL07"].says
    assert CODES["FL07"].source.startswith("fluxcd/flagger pkg/")


def test_a_field_that_cannot_be_read_is_an_error_at_its_line() -> None:
    text = yaml.safe_dump(canary(iterations=5, stepWeight=10), sort_keys=False)
    (error,) = (finding for finding in examine(read_text(text, "canary.yaml")) if finding.code == "IST0106")
    assert "exactly one of iterations, stepWeight, stepWeights" in error.message
    assert "stepWeight" in text.splitlines()[error.source.line - 1]


def test_an_unknown_field_is_found_too() -> None:
    assert "stepWieght" in one("IST0106", canary(stepWieght=10)).message


def test_what_a_rollback_takes_is_calculated() -> None:
    assert "users meet it for 6 of them, 360 s" in one("FL06", canary()).message


def test_webhooks_add_up_with_attempts_and_pauses() -> None:
    slow = canary(webhooks=[hook("rollout", timeout="25s", retries=2)])
    assert "tick 3 may take 78 s" in one("MT026", slow).message


def test_a_sample_may_be_enough_for_one_failure_and_not_for_a_verdict() -> None:
    few = canary(annotations={RPS: "17"}, stepWeights=[10, 20], threshold=30)
    assert "is promoted with a chance of" in one("MT016", few).message


def test_a_load_test_of_the_canary_itself_is_not_divided_by_its_weight() -> None:
    straight = {"cmd": "hey -z 1m -q 5 -c 2 http://web-canary.default/"}
    split = {"cmd": "hey -z 1m -q 5 -c 2 http://web.default/"}
    assert "MT016" in codes(canary(stepWeight=1, webhooks=[hook("rollout", metadata=split)]))
    assert "MT016" not in codes(canary(stepWeight=1, webhooks=[hook("rollout", metadata=straight)]))


def test_fields_that_flagger_has_renamed_are_told() -> None:
    old = canary(metrics=[{"name": "request-success-rate", "interval": "1m", "threshold": 99}])
    assert "`threshold`" in one("IST0002", old).message


def test_a_canary_of_junk_is_no_crash() -> None:
    junk = canary(webhooks=7, metrics="x", stepWeights="y", alerts=[3], spec={"service": [], "targetRef": 1})
    assert "IST0106" in codes(junk)


def test_the_first_canary_of_two_is_left_alone() -> None:
    both = (canary(), canary(name="shop", spec={"service": {"name": "web", "port": 80}}))
    assert one("MT034", *both).title == "Canary default/shop"


def test_gates_are_told_once_each() -> None:
    told = [finding.code for finding in found(hooks("confirm-rollout", "rollback", "confirm-promotion"))]
    assert [code for code in ("FL01", "FL02", "FL04") if told.count(code) != 1] == []


def test_who_has_no_canary_does_not_load_flaggers_state_machine() -> None:
    script = (
        "import sys\n"
        "from meshtest.preflight import CODES, examine\n"
        "assert CODES['MT016'] and not [name for name in sys.modules if 'rollouts' in name]\n"
        "assert 'FL07' in CODES and 'meshtest.rollouts.canary' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
