"""Our Canary does at every tick what Flagger's scheduler did: phase, weight, routes, hooks in order, events, alerts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.flagger_traces import load
from tests.conformance.misses import judge, tell

CORPUS = "flagger"


def test_flagger(corpora: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = {
        f"{scenario.name}#{number}": wrong
        for scenario in load(corpora / CORPUS)
        for number, wrong in enumerate(scenario.differences())
    }
    with capsys.disabled():
        tell("flagger", sum(not wrong for wrong in results.values()), len(results))
    assert results, "no trace in the corpus"
    judge(CORPUS, results)
