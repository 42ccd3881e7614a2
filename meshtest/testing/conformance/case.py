"""A case: what it needs, the manifests, and what must then be true."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from meshtest.errors import FeatureMissing
from meshtest.lib.dataclass import dataclass
from meshtest.model.feature import Feature

if TYPE_CHECKING:
    from meshtest.mesh import Mesh

ERROR = 1e-6
"""Of each statistical comparison: a right provider fails one run in a million."""

Check = Callable[["Mesh"], None]


@dataclass(frozen=True)
class Case:
    """`run` raises AssertionError where the provider does not keep what it declares."""

    feature: Feature
    name: str
    manifests: str | Callable[[], str]
    """YAML, or what makes it when it is needed."""
    check: Check

    def run(self, mesh: Mesh) -> None:
        """On an empty mesh. FeatureMissing if the provider does not declare the feature."""
        if self.feature not in mesh.provider.features:
            raise FeatureMissing(mesh.provider.name, [self.feature])
        mesh.apply(text=self.manifests if isinstance(self.manifests, str) else self.manifests())
        self.check(mesh)

    def __str__(self) -> str:
        return f"{self.feature}-{self.name}"


class Cases(list[Case]):
    """The cases of a module, in its order: `@cases(Feature.WEIGHTS, MANIFESTS)` adds a function."""

    def __call__(self, feature: Feature, manifests: str | Callable[[], str]) -> Callable[[Check], Check]:
        def add(check: Check) -> Check:
            self.append(Case(feature, check.__name__, manifests, check))
            return check

        return add
