"""The seam to a check: a pure, repeatable question about a History."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from meshtest.model.history import History
from meshtest.model.verdict import Finding


class Check(Protocol):
    """A frozen description; `judge` looks at nothing but the history, so a stored run gives the same finding again."""

    @property
    def name(self) -> str: ...

    def judge(self, history: History) -> Finding: ...

    def parameters(self) -> Mapping[str, Any]:
        """JSON-able keyword arguments that make an equal check; stored in the run folder for `meshtest judge`."""
        ...
