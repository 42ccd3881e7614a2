"""What the proxies of some workloads know of the mesh: Istio's Sidecar in neutral terms.

Without a scope a caller knows everything that is exported to its namespace. Pure data; manifests/scopes.py reads it.
"""

from __future__ import annotations

from dataclasses import field

from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import NOWHERE, Source
from meshtest.model.service import Labels


@dataclass(frozen=True, kw_only=True)
class Import:
    """Hosts of one namespace, or of all (`*`). Hosts may have a leading wildcard."""

    namespace: str
    host: str


@dataclass(frozen=True, kw_only=True)
class Egress:
    """What can be reached on one port, or (None) on every port that no other entry of the scope names."""

    port: int | None = None
    hosts: tuple[Import, ...] = ()
    excluded: tuple[Import, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scope:
    """For the workloads of a namespace (with these labels, if any are given)."""

    name: str
    namespace: str
    everywhere: bool = False
    """For each namespace that has no scope of its own (a Sidecar in the root namespace)."""
    selector: Labels = field(default_factory=dict)
    egress: tuple[Egress, ...] = ()
    """Empty: everything."""
    created: str = ""
    source: Source = field(default=NOWHERE, compare=False)
