"""Who lets the request in where it arrives: AuthorizationPolicies of the gateway, and of each workload behind it.

A token is taken at its word: whether its signature holds, only the proxy can tell.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from typing import Any

from meshtest.explain.answer import Answer
from meshtest.explain.asked import Asked
from meshtest.lib.dataclass import dataclass
from meshtest.manifests.istio_security.decide import Decision, Facts, decide
from meshtest.manifests.istio_security.links import gateway_proxy
from meshtest.manifests.mutual import mutual_tls
from meshtest.manifests.sources import Origin
from meshtest.model.identity import door_identity, spiffe
from meshtest.model.route import Door
from meshtest.model.security import Proxy, sidecar
from meshtest.model.service import Service, Workload
from meshtest.model.topology import Topology, key


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What the policies in front of one workload, or of the gateway, say."""

    who: str
    """Key of the workload; "" for the gateway."""
    decision: Decision


def at_gateway(topology: Topology, door: Door, asked: Asked) -> Guard | None:
    """None where no policy is for the gateway."""
    proxy = gateway_proxy(door.address, [g for g in topology.gateways if g.address == door.address])
    facts = _facts(asked, identity="", port=door.port)
    return _guard(topology, proxy, "", facts)


def at_workloads(topology: Topology, origin: Origin, asked: Asked, answers: Iterable[Answer]) -> Iterator[Guard]:
    """Of every workload that may answer; those nobody guards are left out."""
    seen: set[str] = set()
    for answer in answers:
        service = topology.service(answer.service) if answer.workloads else None
        for workload in answer.workloads:
            if service is not None and key(workload) not in seen:
                seen.add(key(workload))
                arrived = Asked(
                    authority=answer.authority, method=asked.method, path=answer.path, headers=asked.headers
                )
                facts = _facts(arrived, identity=_identity(topology, origin), port=_port(service, workload, asked))
                if guard := _guard(topology, sidecar(workload), key(workload), facts):
                    yield guard


def _guard(topology: Topology, proxy: Proxy, who: str, facts: Facts) -> Guard | None:
    decision = decide(topology, proxy, facts)
    return Guard(who=who, decision=decision) if decision.policy or not decision.allowed else None


def _identity(topology: Topology, origin: Origin) -> str:
    """Without mutual TLS nobody has one."""
    if not mutual_tls(topology):
        return ""
    own = door_identity(origin) if isinstance(origin, Door) else spiffe(origin.namespace, origin.service_account)
    return own.removeprefix("spiffe://")


def _port(service: Service, workload: Workload, asked: Asked) -> int:
    """The container's own port."""
    wanted = asked.port or 80
    target = next((p.target for p in service.ports if p.number == wanted), service.ports[0].target)
    named = (p.number for c in workload.containers for p in c.ports if p.name == target)
    return target if isinstance(target, int) else next(named, 0)


def _facts(asked: Asked, *, identity: str, port: int) -> Facts:
    return Facts(
        identity=identity,
        port=port,
        method=asked.method,
        host=asked.authority,
        path=asked.bare_path,
        headers={name.lower(): value for name, value in asked.headers.items()},
        claims=claims(asked),
    )


def claims(asked: Asked) -> dict[str, Any] | None:
    """What the bearer token says of itself; None without one."""
    value = next((v for name, v in asked.headers.items() if name.lower() == "authorization"), "")
    scheme, _, token = value.partition(" ")
    parts = token.strip().split(".")
    if scheme.lower() != "bearer" or len(parts) != 3:
        return None
    try:
        found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
