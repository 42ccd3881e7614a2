"""The seam to a family of manifests: from documents to the topology, and the edits that move traffic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Documents
from meshtest.model.route import Fault, Match
from meshtest.model.status import Status
from meshtest.model.topology import Topology


@dataclass(frozen=True)
class Compiled:
    """What documents mean, and what there is to say about them."""

    topology: Topology
    diagnostics: tuple[Diagnostic, ...] = ()
    statuses: tuple[Status, ...] = ()
    """What a controller would write into the objects' status (Gateway API)."""


class Dialect(Protocol):
    """One family of kinds. Pure: documents in, values out."""

    @property
    def name(self) -> str: ...

    @property
    def kinds(self) -> frozenset[str]:
        """`group/Kind` it understands: `networking.istio.io/VirtualService`; `/Service` is of the core group."""
        ...

    def compile(self, documents: Documents, topology: Topology) -> Compiled:
        """The topology so far, extended by what the documents of these kinds mean."""
        ...


class TrafficDialect(Dialect, Protocol):
    """A dialect that can also move traffic. `host` is fully qualified; `rule` names one http rule, "" means those that
    do not select users (Match.selects_users)."""

    def set_weights(
        self, documents: Documents, topology: Topology, host: str, weights: Mapping[str, int], *, rule: str = ""
    ) -> Documents:
        """Send the host's requests to its subsets in these shares (subset name to weight)."""
        ...

    def set_mirror(
        self, documents: Documents, topology: Topology, host: str, to: str, *, percent: float, rule: str = ""
    ) -> Documents:
        """Copy requests of the host to the subset `to`; percent 0 ends it."""
        ...

    def set_match(self, documents: Documents, topology: Topology, host: str, match: Match, to: str) -> Documents:
        """Send requests that match to the subset `to`, before every other rule."""
        ...

    def set_fault(
        self, documents: Documents, topology: Topology, host: str, fault: Fault | None, *, match: Match | None = None
    ) -> Documents:
        """Inject the fault into requests of the host (that match); None removes what this added."""
        ...
