"""The table of `meshtest rehearse --mutants`, from made-up trials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from meshtest.cli import BAD_INPUT
from meshtest.cli.rehearse_mutants import seconds, summary, table
from meshtest.errors import UsageError
from meshtest.mesh.canary.answers import Compared
from meshtest.mesh.canary.mutants import chosen
from meshtest.mesh.canary.trial import Trial
from meshtest.model.rehearsal import Measured, Rehearsal, TickRow
from tests.conftest import Ground

CART = Path(__file__).parents[2] / "suites" / "canary" / "cart.yaml"
LOW = Measured(name="request-success-rate", value=89.5, least=99.0, ok=False)


def trial(name: str, ending: Any, *metrics: Measured, **more: Any) -> Trial:
    row = TickRow(number=1, at=0, after=0, phase="Progressing", weight=10, routes="90/10", metrics=metrics)
    found = Rehearsal(
        canary="web.default", strategy="canary", provider="istio", revision=name, ending=ending, speed=60, interval=60,
        intervals=4, ticks=(row,), requests=400, exposed=40, **more,
    )  # fmt: skip
    return Trial(
        chosen([name])[0], found, Compared(10, 10, "header content-type") if name == "lost-header" else Compared()
    )


DONE = [
    trial("identical", "promoted"),
    trial("errors-10", "rolled back", LOW, failed=4, exposed_failed=4),
    trial("lost-header", "promoted"),
    trial("base-noise", "rolled back", LOW),
]


def test_a_line_a_version_and_the_good_ones_last() -> None:
    assert table(DONE) == [
        "version      came out     at    after        stopped by                          paid  exposed",
        "errors-10    stopped      10 %  4 intervals  request-success-rate 89.5 (min 99)  4     40",
        "lost-header  survived     10 %  4 intervals  -                                   40    40",
        "identical    passed       10 %  4 intervals  -                                   0     40",
        "base-noise   false alarm  10 %  4 intervals  request-success-rate 89.5 (min 99)  0     40",
    ]


def test_it_ends_with_what_the_policy_is_blind_to() -> None:
    lines = summary(DONE)
    assert lines[0] == "not stopped: lost-header"
    assert "its answers lack content-type (clients that cannot read the answer); no metric can see it" in lines[1]
    assert lines[2:4] == [
        "stopped without need: base-noise",
        "  base-noise: 0.1 % of its answers are 503, as ever (an error page, as ever); "
        "request-success-rate 89.5 (min 99)",
    ]
    assert lines[4] == "1 of 2 bad versions stopped, 1 false alarm in 2 good versions"


def test_what_the_machine_may_have_stopped_counts_neither_way() -> None:
    doubtful = [trial(name, "rolled back", LOW, unproven="requests left late") for name in ("crash", "slow-start")]
    lines = summary([*DONE, *doubtful])
    assert lines[4].startswith("stopped, and it may be this machine's doing (a lower --speed,")
    assert lines[5].endswith("; requests left late")
    assert lines[7] == ("1 of 2 bad versions stopped, 1 false alarm in 2 good versions; nothing is known of 2 versions")


@pytest.mark.parametrize(("text", "want"), [("100ms", 0.1), ("1.5s", 1.5)])
def test_the_p99_is_a_time(text: str, want: float) -> None:
    assert seconds(text) == pytest.approx(want)


@pytest.mark.parametrize("text", ["", "100", "0ms", "-1s", "fast", "1e3ms"])
def test_a_p99_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="write a time above 0"):
        seconds(text)


def test_wrong_content_is_found_by_our_client_where_flagger_sees_nothing(ground: Ground) -> None:
    program = ground.meshtest(
        "rehearse", CART, "--mutants", "--only", "wrong-content", "--speed", "60", "--traffic", "GET / 100rps",
        "--assume-metric", "request-success-rate=100", "--json",
    )  # fmt: skip
    assert program.wait() == 1, program
    told = json.loads(program.out)
    (found,) = told["mutants"]
    assert (told["canary"], told["speed"]) == ("cart.default", 60)
    assert (found["verdict"], found["by"]) == ("survived", "")
    assert found["compared"]["wrong"] == found["compared"]["answers"] > 0
    assert found["paid"] >= found["exposed"] > 0, "each of its answers is wrong"
    assert "no metric can see it" in found["why"]


def test_an_unknown_mutant_starts_nothing(ground: Ground) -> None:
    program = ground.meshtest("rehearse", CART, "--mutants", "--only", "errors-4")
    assert program.wait() == BAD_INPUT, program
    assert "no mutant 'errors-4' (did you mean" in program.err
    assert not ground.runs()
