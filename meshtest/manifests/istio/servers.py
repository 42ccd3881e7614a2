"""Servers of all Gateways on one port: which of them the gateway's proxy really has.

By Istio's pilot/pkg/model/gateway.go (mergeGateways): the oldest Gateway first; a server that cannot share a port is
skipped. Istio tells that in its log only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.istio import names
from meshtest.manifests.istio.gateway import ENCRYPTED, PLAIN
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.document import Document
from meshtest.model.route import Door, Gateway, Server


def merged(gateways: Sequence[tuple[Document, Gateway]]) -> tuple[list[Gateway], list[Diagnostic]]:
    """The gateways in their order, without the servers that have no place."""
    doors: dict[Door, _Taken] = {}
    notes: list[Diagnostic] = []
    kept: dict[str, Gateway] = {}
    for _, gateway in sorted(gateways, key=lambda pair: names.age(pair[0])):
        servers: list[Server] = []
        for server in gateway.servers:
            taken = doors.setdefault(Door(server.port, gateway.address), _Taken(server))
            if problem := taken.refusal(server):
                text = f"this server of Gateway `{gateway.name}` is left out: {problem}"
                notes.append(Diagnostic(Severity.WARNING, "conflicting-server", text, server.source))
            else:
                servers.append(server)
                taken.add(server)
        kept[gateway.key] = (
            gateway if len(servers) == len(gateway.servers) else replace(gateway, servers=tuple(servers))
        )
    return [kept[gateway.key] for _, gateway in gateways], notes


@dataclass
class _Taken:
    """What stands on a port."""

    first: Server
    hosts: dict[str, Server] = field(default_factory=dict)
    """Server names of TLS."""

    def refusal(self, server: Server) -> str:
        """Why a server cannot join; "" if it can."""
        if server is self.first:
            return ""
        other = f"the server at {self.first.source} speaks {self.first.protocol}"
        if _family(server) != _family(self.first):
            return f"port {server.port} cannot speak {server.protocol} too ({other})"
        if _family(server) == "stream":
            return f"port {server.port} is taken ({other})"
        twice = next((host for host in server.hosts if host in self.hosts), None)
        return f"its host `{twice}` is that of the server at {self.hosts[twice].source}" if twice else ""

    def add(self, server: Server) -> None:
        if _family(server) == "tls":
            self.hosts.update(dict.fromkeys(server.hosts, server))


def _family(server: Server) -> str:
    if server.protocol in PLAIN:
        return "http"
    return "tls" if server.protocol in ENCRYPTED else "stream"
