"""A fault for the length of a rehearsal: `abort=503 percent=10`, `web@v2 delay=200ms`, `redis abort=500`.

One of the new revision is in its own proxies, wherever it runs: with the canary, and later with the primary.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed
from meshtest.mesh import conditions
from meshtest.model.route import Fault
from meshtest.rollouts.canary.spec import Canary

KEYS = ("abort", "delay", "percent")
USAGE = "write `[SERVICE[@VERSION]] abort=503 percent=10`, or delay=200ms"


@dataclass(frozen=True, kw_only=True)
class Asked:
    target: str = ""
    """A service, or `service@version`; empty: the new revision."""
    options: Mapping[str, Any]
    """As Mesh.fault takes them."""

    @cached_property
    def fault(self) -> Fault:
        told: dict[str, Any] = {"delay": None, "abort": None, "percent": 100.0, **self.options}
        return conditions.fault(**told)

    def is_own(self, canary: Canary, revision: str) -> bool:
        """It is one of the new revision."""
        names = (canary.target, canary.service.name)
        return not self.target or self.target in {f"{name}@{revision}" for name in names}


def fault_of(text: str) -> Asked:
    words = text.split()
    target = words.pop(0) if words and "=" not in words[0] else ""
    options: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if key not in KEYS or not equals or not value:
            raise UsageError(f"fault {text!r}: {word!r} is none of {listed(f'{key}=' for key in KEYS)}; {USAGE}")
        options[key] = _typed(text, key, value)
    asked = Asked(target=target, options=options)
    _ = asked.fault  # refuses what makes no sense
    return asked


def _typed(text: str, key: str, value: str) -> Any:
    if key == "delay":
        return value
    try:
        return int(value) if key == "abort" else float(value)
    except ValueError:
        raise UsageError(f"fault {text!r}: {key}={value} is no number; {USAGE}") from None
