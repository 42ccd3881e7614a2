"""Ports for listeners, chosen by us and held until Envoy has them.

Not port 0: Envoy gives a new listener the socket of any old one that still drains and has the same configured address;
"127.0.0.1:0" is the same for all, so two listeners would share a port.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

HOST = "127.0.0.1"


class Ports:
    """Listener name to port. A new port is held by a bound socket that does not listen, which Linux lets Envoy share
    (both set SO_REUSEADDR), so that nobody else is given it before Envoy listens."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}
        self._held: list[socket.socket] = []

    def of(self, names: Iterable[str], fixed: Mapping[str, int]) -> dict[str, int]:
        """The ports of these listeners: as fixed, as before, or new."""
        for name in names:
            if name in fixed:
                self._known[name] = fixed[name]
            elif name not in self._known:
                self._known[name] = self._hold()
        return {name: self._known[name] for name in names}

    def _hold(self) -> int:
        holder = socket.socket()
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((HOST, 0))
        self._held.append(holder)
        return int(holder.getsockname()[1])

    def settle(self, names: Iterable[str]) -> None:
        """Envoy listens on these, and only these: hold nothing, forget the others."""
        while self._held:
            self._held.pop().close()
        kept = set(names)
        self._known = {name: port for name, port in self._known.items() if name in kept}

    def __getitem__(self, name: str) -> int:
        return self._known[name]
