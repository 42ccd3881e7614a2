"""The embedded provider keeps what it declares: the suite that every provider must pass."""

from __future__ import annotations

import pytest
from meshtest_envoy.provider import EnvoyProvider

from meshtest import Mesh
from meshtest.errors import FeatureMissing
from meshtest.model.feature import Feature
from meshtest.testing.conformance import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_provider_keeps_what_it_declares(mesh: Mesh, case: Case) -> None:
    try:
        case.run(mesh)
    except FeatureMissing as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("feature", sorted(EnvoyProvider.features))
def test_every_declared_feature_has_a_case(feature: Feature) -> None:
    assert [case for case in CASES if case.feature is feature]
