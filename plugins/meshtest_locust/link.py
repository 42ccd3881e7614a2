"""What the hooks in Locust's HTTP clients work with: the journal they write, and where the mesh is entered.

One for each process; the self-test puts its own in for a moment.
"""

from __future__ import annotations

import socket

from meshtest.lib.dataclass import dataclass
from meshtest_locust.journal import Journal


@dataclass
class Link:
    """Every HTTP connection of Locust goes to this address, whatever host its URL names; the Host header keeps it."""

    journal: Journal
    address: str
    port: int

    @property
    def family(self) -> int:
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET

    @property
    def url(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"http://{host}:{self.port}"
