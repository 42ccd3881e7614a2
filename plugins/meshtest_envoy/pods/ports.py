"""Container ports and the real ports behind them.

A port of a pod stays the pod's through restarts, as its IP does in a cluster. So the supervisor keeps a socket bound to
it that never listens: connections are refused while the container is down, and the kernel gives the port to nobody else
- unless a server asks for the same one with SO_REUSEADDR, as practically all do. One that does not fails with "address
in use"; it is then started again on a port that is only looked up (bind 0, close), which can collide but seldom does.
"""

from __future__ import annotations

import socket

from meshtest_envoy.pods.order import Order, Probe

HOST = "127.0.0.1"


class UnknownPort(Exception):
    """A probe or a command names a port that the container does not have."""


class Ports:
    """The ports of one pod."""

    def __init__(self, declared: tuple[tuple[int, str], ...]) -> None:
        self._declared = declared
        self._held: list[socket.socket] = []
        self.real: dict[int, int] = {}

    def assign(self, *, hold: bool = True) -> None:
        """Give each container port a new real port, kept for this pod if `hold`."""
        self.release()
        self._held = [_bound(0) for _ in self._declared]
        self.real = {
            number: held.getsockname()[1] for (number, _), held in zip(self._declared, self._held, strict=True)
        }
        if not hold:
            self.release()

    def release(self) -> None:
        """Let go of the ports; what listens on them goes on."""
        for held in self._held:
            held.close()
        self._held = []

    def listen(self) -> list[socket.socket]:
        """Sockets that listen on all ports, to be handed to a fork."""
        made = [_bound(port) for port in self.real.values()]
        for one in made:
            one.listen(1024)
            one.setblocking(False)
        return made

    @property
    def first(self) -> int | None:
        """The real port that stands for the pod; None if it has no port."""
        return next(iter(self.real.values()), None)

    def find(self, wanted: int | str) -> int:
        """The real port of a container port, by number or name; `0` or "" is the first."""
        for number, name in self._declared:
            if wanted in (number, str(number), 0, "") or (name and wanted == name):
                return self.real[number]
        known = ", ".join(f"{number} ({name})" if name else str(number) for number, name in self._declared)
        raise UnknownPort(f"no container port {wanted!r}; the container declares {known or 'none'}")


def of(order: Order) -> Ports:
    """Its declared ports, and those that probes name by number: Kubernetes does not ask for a declaration."""
    declared = dict(order.ports)
    probes = (order.readiness, order.liveness, order.startup)
    handlers = [probe.handler for probe in probes if isinstance(probe, Probe)]
    for handler in [*handlers, *([order.pre_stop] if order.pre_stop else [])]:
        if handler.kind in ("http", "tcp", "grpc") and str(handler.port).isdigit() and int(handler.port):
            declared.setdefault(int(handler.port), "")
    return Ports(tuple(declared.items()))


def _bound(port: int) -> socket.socket:
    # asyncio sets TCP_NODELAY on accepted sockets only if the protocol is spelled out.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HOST, port))
    except OSError:
        made.close()
        raise
    return made
