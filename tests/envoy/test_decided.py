"""A canary on the real Envoy, watched until it is decided: the good one passes, the bad one is caught early."""

from __future__ import annotations

import pytest

from meshtest import Mesh, Outcome, canary
from tests.web import SERVICE, SUBSETS, deployment, joined, weights


@pytest.mark.parametrize(
    ("errors", "outcome"), [("503:0", Outcome.PASS), ("503:10", Outcome.FAIL)], ids=["good", "bad"]
)
def test_a_load_is_watched_until_its_canary_is_decided(mesh: Mesh, errors: str, outcome: Outcome) -> None:
    canaried = deployment("v2", f'meshtest.dev/errors: "{errors}"')
    halves = weights(v1=50, v2=50, rule="retries: {attempts: 0}")
    mesh.apply(text=joined(SERVICE, deployment("v1"), canaried, SUBSETS, halves))
    with mesh.load("GET http://web/", rps=400) as load:
        found = load.until(decided=canary(host="web", canary="v2", baseline="v1"), requests=3000)
    assert found.outcome is outcome, found.sentence
    assert len(load.requests) < 3000
