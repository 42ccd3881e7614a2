"""What every provider must be able to do if it says it can: one small case a feature, on any mesh.

    import pytest
    from meshtest.testing.conformance import CASES, Case

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_the_provider_conforms(mesh: Mesh, case: Case) -> None:
        case.run(mesh)              # FeatureMissing for a feature that is not declared: skip on it

Nothing in a case knows the provider: manifests are applied, requests are asked, answers are compared.
"""

from meshtest.testing.conformance import gateways, pods, policies, protocols, routing, security
from meshtest.testing.conformance.case import Case as Case

CASES: tuple[Case, ...] = tuple(
    case for module in (routing, policies, gateways, protocols, security, pods) for case in module.CASES
)

__all__ = ["CASES", "Case"]
