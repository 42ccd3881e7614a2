"""All documents of gateway.networking.k8s.io together, as parts of the topology."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from meshtest.manifests.gateway_api import kinds
from meshtest.manifests.gateway_api.attachment import Attachment, attach, one_kind
from meshtest.manifests.gateway_api.backends import Backends
from meshtest.manifests.gateway_api.gateway import gateway, gateway_class, listener_set, namespace
from meshtest.manifests.gateway_api.grpc_route import grpc_route
from meshtest.manifests.gateway_api.http_route import http_route
from meshtest.manifests.gateway_api.listeners import Listener, Listeners
from meshtest.manifests.gateway_api.policy import Policies, backend_tls_policy
from meshtest.manifests.gateway_api.references import Grants, reference_grant
from meshtest.manifests.gateway_api.route import RouteSpec
from meshtest.manifests.gateway_api.statuses import route_statuses, unattached
from meshtest.manifests.gateway_api.stream_routes import tcp_route, tls_route
from meshtest.manifests.gateway_api.tables import called, for_gateways, for_services, spoken
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.document import Documents
from meshtest.model.route import RouteTable
from meshtest.model.service import Service
from meshtest.model.status import Condition, Status
from meshtest.model.topology import Topology
from meshtest.spi.dialect import Compiled

ROUTES = {
    kinds.HTTP_ROUTE: http_route,
    kinds.GRPC_ROUTE: grpc_route,
    kinds.TLS_ROUTE: tls_route,
    kinds.TCP_ROUTE: tcp_route,
}


class Compilation:
    """One pass over all documents: each is read (from memory if it did not change), then compared with the others."""

    def __init__(self, documents: Documents, topology: Topology) -> None:
        self.topology = topology
        self.notes: list[Diagnostic] = []
        self.statuses: list[Status] = []
        self.services: dict[str, Service] = {service.fqdn: service for service in topology.services}
        self.grants = Grants(self._read(documents, kinds.REFERENCE_GRANT, reference_grant))
        self._read(documents, kinds.GATEWAY_CLASS, gateway_class)
        sets = [one for kind in (kinds.LISTENER_SET, kinds.X_LISTENER_SET)
                for one in self._read(documents, kind, listener_set)]  # fmt: skip
        self.listeners = Listeners(
            self._read(documents, kinds.GATEWAY, gateway),
            sets,
            grants=self.grants,
            credentials=topology.credentials,
            namespaces=dict(self._read(documents, kinds.NAMESPACE, namespace)),
        )
        policies = self._read(documents, kinds.BACKEND_TLS_POLICY, backend_tls_policy)
        shown = client_certificate(self.listeners, self.notes) if policies else ""
        self.policies = Policies(policies, self.services, topology.credentials, client=shown)
        self.routes: list[RouteSpec] = [
            one for kind, parse in ROUTES.items() for one in self._read(documents, kind, parse)
        ]

    def _read(self, documents: Documents, kind: str, parse: Any) -> list[Any]:
        parsed = [parse(document) for document in documents.of(kind)]
        self.notes += [note for one in parsed for note in one.notes]
        return [one.value for one in parsed if one.value is not None]

    def compiled(self) -> Compiled:
        backends = Backends(
            services=self.services,
            grants=self.grants,
            untrusted=frozenset(self.policies.untrusted),
            default_retry=self.topology.default_retry,
        )
        attached = one_kind(
            [(r, [attach(r, p, self.listeners, self.services) for p in r.parents]) for r in self.routes]
        )
        made = [table for route, attachments in attached for table in self._link(route, attachments, backends)]
        gateways, grpc = tuple(self.listeners.models()), called(made)
        self.notes += [*self.policies.notes, *self._about_listeners()]
        topology = replace(
            self.topology,
            services=tuple(spoken(service, grpc.get(service.fqdn, set())) for service in self.topology.services),
            gateways=(*self.topology.gateways, *gateways),
            tables=(*self.topology.tables, *made),
            policies=self.policies.laid_over(self.topology.policies),
        )
        statuses = (*self.listeners.statuses(), *self.statuses, *self.policies.statuses())
        return Compiled(topology, tuple(self.notes), statuses)

    def _link(self, route: RouteSpec, attachments: list[Attachment], backends: Backends) -> Iterator[RouteTable]:
        problem: Condition | None = None
        in_mesh = [one for one in attachments if one.host]
        others = [one for one in attachments if not one.host]
        if others:
            checked = backends.opened(enforced=True)
            yield from for_gateways(route, others, checked)
            self.notes += checked.notes
            problem = checked.problem
        if in_mesh:
            checked = backends.opened(enforced=False)
            yield from for_services(route, in_mesh, checked, self.services)
            told = set(self.notes) if others else set()
            self.notes += [note for note in checked.notes if note not in told]
            problem = problem or checked.problem
        for listener in _attached(attachments):
            listener.attached += 1
        self.statuses += route_statuses(route, attachments, problem)
        self.notes += unattached(route, attachments)

    def _about_listeners(self) -> Iterator[Diagnostic]:
        for group in self.listeners.of.values():
            for listener in group:
                wrong = next((c for c in listener.conditions if _told(c)), None)
                if wrong is not None:
                    yield _note(listener, wrong)
        for one, why in self.listeners.refused:
            text = f"ListenerSet `{one.key}` is left out: {why.reason}: {why.message}"
            yield Diagnostic(Severity.WARNING, "not-attached", text, one.source)


def client_certificate(listeners: Listeners, notes: list[Diagnostic]) -> str:
    """The credential that Gateways show to backends. Their clusters are shared, so there can be one only."""
    found = {gateway.key: gateway for gateway in listeners.gateways.values() if gateway.client_certificate}
    keys = {key: listeners.client_certificate(gateway) for key, gateway in found.items()}
    sound = {key: credential for key, credential in keys.items() if credential}
    if len(set(sound.values())) > 1:
        text = f"Gateways {', '.join(sorted(sound))} show different certificates to backends; here the first is shown"
        notes.append(Diagnostic(Severity.WARNING, "not-supported", text, found[next(iter(sound))].source))
    return next(iter(sound.values()), "")


def _attached(attachments: list[Attachment]) -> list[Listener]:
    """Each listener once, however many parentRefs lead to it."""
    return list({id(one): one for a in attachments for one in a.listeners}.values())


def _told(condition: Condition) -> bool:
    """Trouble with a listener that is not only the consequence of another."""
    return not condition.holds and condition.type in ("Accepted", "ResolvedRefs")


def _note(listener: Listener, why: Condition) -> Diagnostic:
    state = "is left out" if listener.server is None else "has invalid references"
    text = f"listener {listener.spec.name!r} of `{listener.owner.key}` {state}: {why.reason}: {why.message}"
    return Diagnostic(Severity.WARNING, "listener", text, listener.spec.source)
