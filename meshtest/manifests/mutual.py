"""Whether workloads talk mutual TLS."""

from __future__ import annotations

from meshtest.model.topology import Topology


def mutual_tls(topology: Topology) -> str:
    """Why workloads talk mutual TLS in this topology; "" if nothing in it could tell the difference.

    On Istio they always do (auto mTLS). Nobody sees that unless something asks for an identity, so a mesh where nothing
    does stays in plain text: no certificates, no handshakes.
    """
    for policy in topology.peers:
        modes = (policy.mode, *(mode for _, mode in policy.port_modes))
        if any(mode in ("PERMISSIVE", "STRICT") for mode in modes):
            return f"PeerAuthentication {policy.namespace}/{policy.name} ({policy.source})"
    for host in topology.policies.values():
        policies = [host.policy, *dict(host.port_policies).values(), *(s.policy for s in host.subsets)]
        if any(p.tls and p.tls.mode == "ISTIO_MUTUAL" for p in policies):
            return f"TLS mode ISTIO_MUTUAL of {host.host} ({host.source})"
    for gateway in topology.gateways:
        if any(server.tls and server.tls.mode == "ISTIO_MUTUAL" for server in gateway.servers):
            return f"TLS mode ISTIO_MUTUAL of Gateway {gateway.key} ({gateway.source})"
    return topology.identified
