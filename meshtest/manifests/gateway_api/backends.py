"""Backends of a rule as destinations; a reference that leads nowhere is answered 500 for its share of the requests.

Spec of HTTPRouteRule.backendRefs: invalid references and the sum of weights 0 are 500, a Service without ready
endpoints is 503 (the proxy's own answer).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace

from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, nearest
from meshtest.manifests.gateway_api import kinds
from meshtest.manifests.gateway_api.filters import Filters
from meshtest.manifests.gateway_api.references import Grants, ObjectRef
from meshtest.manifests.gateway_api.route import BackendRef, Retries, RouteSpec, Rule
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.route import Destination, Mirror, Retry
from meshtest.model.service import DOMAIN, Service
from meshtest.model.status import Condition

BROKEN = 500
DEFAULT_ATTEMPTS = 2
"""Retries of a rule that asks for some and does not say how many (Istio's)."""


@dataclass
class Backends:
    """What references are checked against, and what was found wrong with those of one route."""

    services: Mapping[str, Service]
    grants: Grants
    untrusted: frozenset[str] = frozenset()
    """Hosts whose BackendTLSPolicy is invalid: no request may reach them (spec of BackendTLSPolicy)."""
    default_retry: Retry | None = None
    enforced: bool = True
    """References to other namespaces need a grant. In the mesh a caller could name them anyway, and Istio asks for
    none."""
    notes: list[Diagnostic] = field(default_factory=list)
    problem: Condition | None = None

    def opened(self, *, enforced: bool) -> Backends:
        """The same for another route, or for another kind of its parents."""
        return replace(self, enforced=enforced, notes=[], problem=None)

    # -- destinations and mirrors

    def destinations(self, route: RouteSpec, rule: Rule) -> tuple[Destination, ...]:
        """Those with a weight; all of them are looked at."""
        found = [self._destination(route, backend) for backend in rule.backends]
        return tuple(d for d in found if d.weight)

    def resting(self, rule: Rule) -> tuple[str, ...]:
        """Hosts of backends without a weight at present."""
        return tuple(host for b in rule.backends if not b.weight and (host := _host(b.to)) in self.services)

    def _destination(self, route: RouteSpec, backend: BackendRef) -> Destination:
        wanted = backend.filters
        target = self._resolve(route, backend.to)
        if target is None or wanted.extended:
            return Destination(host="", port=0, weight=backend.weight, broken=BROKEN, source=backend.to.source)
        return replace(
            target,
            weight=backend.weight,
            request_headers=wanted.request,
            response_headers=wanted.response,
            rewrite=wanted.rewrite,
            redirect=wanted.redirect,
            mirrors=self.mirrors(route, wanted),
            broken=BROKEN if target.host in self.untrusted else 0,
        )

    def mirrors(self, route: RouteSpec, wanted: Filters) -> tuple[Mirror, ...]:
        """A mirror that leads nowhere is left out (spec of HTTPRequestMirrorFilter.backendRef)."""
        found = [(self._resolve(route, ref), percent) for ref, percent in wanted.mirrors]
        return tuple(Mirror(destination=target, percent=percent) for target, percent in found if target is not None)

    def _resolve(self, route: RouteSpec, ref: ObjectRef) -> Destination | None:
        host = _host(ref)
        problem = self._problem(route, ref, host)
        if problem is None:
            assert ref.port is not None
            return Destination(host=host, port=ref.port, source=ref.source)
        reason, text = problem
        self.notes.append(Diagnostic(Severity.WARNING, "unknown-backend", f"{text}; requests get 500", ref.source))
        self.problem = self.problem or Condition("ResolvedRefs", False, reason, text)
        return None

    def _problem(self, route: RouteSpec, ref: ObjectRef, host: str) -> tuple[str, str] | None:
        """(reason, sentence), None if the reference is sound."""
        if not host:
            return "InvalidKind", f"backends of kind {ref.kind!r} are not known; Service is"
        if self.enforced and not self.grants.allow(route.kind, route.namespace, ref):
            text = f"no ReferenceGrant in namespace {ref.namespace!r} lets {route} refer to {ref}"
            return "RefNotPermitted", text
        service = self.services.get(host)
        if service is None:
            return "BackendNotFound", f"there is no {ref}{self._hint(ref)}"
        if ref.port is None:
            return "BackendNotFound", f"the reference to {ref} needs a port"
        if all(port.number != ref.port for port in service.ports):
            ports = listed(str(port.number) for port in service.ports)
            return "BackendNotFound", f"{ref} has no port {ref.port}; it has: {ports}"
        return None

    def _hint(self, ref: ObjectRef) -> str:
        near = nearest(ref.name, [s.name for s in self.services.values() if s.namespace == ref.namespace])
        return f"; did you mean `{near}`?" if near else ""

    # -- retries

    def retry(self, rule: Rule) -> Retry | None:
        """Istio's conditions and the rule's codes; backendRequest is the timeout of each try (GEP-1742)."""
        retry = self.default_retry if rule.retries is None else _asked(rule.retries, self.default_retry)
        return retry and replace(retry, per_try_timeout=rule.backend_timeout)


def _asked(wanted: Retries, default: Retry | None) -> Retry | None:
    attempts = DEFAULT_ATTEMPTS if wanted.attempts is None else wanted.attempts
    on = default.on if default else ()
    if wanted.codes and "retriable-status-codes" not in on:
        on = (*on, "retriable-status-codes")
    return Retry(attempts=attempts, on=on, status_codes=wanted.codes, backoff=wanted.backoff) if attempts else None


def _host(ref: ObjectRef) -> str:
    """ "" for a kind that is none of ours."""
    if ref.kind == kinds.SERVICE:
        return f"{ref.name}.{ref.namespace}.svc.{DOMAIN}"
    return ref.name if ref.kind == kinds.HOSTNAME else ""
