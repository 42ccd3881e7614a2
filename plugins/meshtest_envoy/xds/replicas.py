"""A pod as the translator sees it, and what its container ports speak."""

from __future__ import annotations

from meshtest.lib.dataclass import dataclass
from meshtest.model.service import Workload


@dataclass(frozen=True, kw_only=True)
class Replica:
    """One pod."""

    pod: str
    workload: Workload
    service: str
    ready: bool
    sockets: dict[int, str]
    """Container port to the unix socket of its inbound listener."""
    ports: dict[int, int]
    """Container port to the port its process listens on."""
