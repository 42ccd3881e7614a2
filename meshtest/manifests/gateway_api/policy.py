"""BackendTLSPolicy: TLS from the gateway to the pods of a Service (GEP-1897)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.gateway_api import kinds
from meshtest.manifests.gateway_api.fields import BACKEND_TLS_POLICY
from meshtest.manifests.gateway_api.listeners import credential_key
from meshtest.manifests.gateway_api.references import ObjectRef, object_ref
from meshtest.manifests.gateway_api.route import created
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.credential import Credential
from meshtest.model.diagnostic import NOWHERE, Diagnostic, Severity, Source
from meshtest.model.document import Document
from meshtest.model.policy import HostPolicy, UpstreamTls
from meshtest.model.service import DOMAIN, Service
from meshtest.model.status import Condition, Status


@dataclass(frozen=True, kw_only=True)
class PolicySpec:
    namespace: str
    name: str
    targets: tuple[tuple[ObjectRef, str], ...]
    """(Service, port name or "")"""
    hostname: str = ""
    alternatives: tuple[str, ...] = ()
    """Subject alternative names; the hostname counts where there are none."""
    authorities: tuple[ObjectRef, ...] = ()
    system: bool = False
    created: str = ""
    source: Source = field(default=NOWHERE, compare=False)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


@per_document
def backend_tls_policy(document: Document, notes: list[Diagnostic]) -> PolicySpec | None:
    view = View.of(document, BACKEND_TLS_POLICY, notes)
    metadata(view)
    spec = view.child("spec")
    validation = spec.child("validation") if spec is not None else None
    if spec is None or validation is None:
        (spec or view).require("validation" if spec is not None else "spec")
        return None
    validation.require("hostname")
    system = validation.choice("wellKnownCACertificates", ("System",), "") == "System"
    authorities = tuple(object_ref(one, kinds.CONFIG_MAP) for one in validation.children("caCertificateRefs"))
    if system == bool(authorities):
        text = f"{validation.name()} takes one of caCertificateRefs, wellKnownCACertificates"
        validation.error("bad-value", text)
    return PolicySpec(
        namespace=document.namespace,
        name=document.name,
        targets=tuple(_targets(spec)),
        hostname=validation.string("hostname"),
        alternatives=tuple(_alternatives(validation)),
        authorities=authorities,
        system=system,
        created=created(view),
        source=document.where(),
    )


def _targets(spec: View) -> Iterator[tuple[ObjectRef, str]]:
    spec.require("targetRefs")
    for view in spec.children("targetRefs"):
        view.require("kind")
        yield object_ref(view, kinds.SERVICE), view.string("sectionName")


def _alternatives(validation: View) -> Iterator[str]:
    for view in validation.children("subjectAltNames"):
        kind = view.choice("type", ("Hostname", "URI"), "Hostname")
        key = "hostname" if kind == "Hostname" else "uri"
        if view.require(key):
            yield view.string("uri") if kind == "URI" else view.string("hostname")


class Policies:
    """All BackendTLSPolicies against Services and credentials; the oldest wins where two want one port."""

    def __init__(
        self,
        specs: Iterable[PolicySpec],
        services: Mapping[str, Service],
        credentials: Mapping[str, Credential],
        *,
        client: str = "",
    ) -> None:
        """`client`: key of the credential that gateways show to backends."""
        self._services, self._credentials, self._client = services, credentials, client
        self.notes: list[Diagnostic] = []
        self.conditions: list[tuple[PolicySpec, tuple[Condition, ...]]] = []
        self.untrusted: set[str] = set()
        """Hosts no request may reach, because their policy is invalid."""
        self.tls: dict[tuple[str, str], UpstreamTls] = {}
        """By host and port name ("" for all ports)."""
        for spec in sorted(specs, key=lambda s: (s.created, s.key)):
            self._judge(spec)

    def _judge(self, spec: PolicySpec) -> None:
        authorities, problem = self._authorities(spec)
        conflict = False
        for target, section in spec.targets:
            host = f"{target.name}.{target.namespace}.svc.{DOMAIN}"
            if target.kind != kinds.SERVICE or host not in self._services:
                text = f"BackendTLSPolicy `{spec.name}` is for {target}, which is not there"
                self.notes.append(Diagnostic(Severity.WARNING, "unknown-host", text, target.source))
            elif (host, section) in self.tls or (not section and host in self.untrusted):
                conflict = True
            elif not authorities and not spec.system:
                self.untrusted.add(host)
            else:
                self.tls[host, section] = _tls(spec, authorities, self._client)
        self.conditions.append((spec, _conditions(authorities, spec, problem, conflict=conflict)))
        if problem is not None:
            self.notes.append(Diagnostic(Severity.WARNING, "unknown-credential", problem.message, spec.source))

    def _authorities(self, spec: PolicySpec) -> tuple[tuple[str, ...], Condition | None]:
        found: list[str] = []
        problem: Condition | None = None
        for ref in spec.authorities:
            credential = self._credentials.get(credential_key(ref))
            if ref.kind not in (kinds.CONFIG_MAP, kinds.SECRET):
                problem = Condition("ResolvedRefs", False, "InvalidKind", f"{ref} is no ConfigMap")
            elif credential is None or not credential.ca:
                problem = Condition("ResolvedRefs", False, "InvalidCACertificateRef", f"{ref} has no ca.crt")
            else:
                found.append(credential.key)
        return tuple(found), problem

    def laid_over(self, policies: Mapping[str, HostPolicy]) -> dict[str, HostPolicy]:
        """The hosts' policies with TLS in them; a port's own policy counts in place of the host's."""
        result = dict(policies)
        for (host, section), tls in sorted(self.tls.items()):
            policy = result.get(host, HostPolicy(host=host))
            result[host] = _with_tls(policy, self._services[host], section, tls)
        return result

    def statuses(self) -> Iterator[Status]:
        for spec, conditions in self.conditions:
            yield Status(
                kind=kinds.BACKEND_TLS_POLICY, namespace=spec.namespace, name=spec.name,
                conditions=conditions, source=spec.source,
            )  # fmt: skip


def _tls(spec: PolicySpec, authorities: tuple[str, ...], client: str) -> UpstreamTls:
    return UpstreamTls(
        mode="MUTUAL" if client else "SIMPLE",
        credential=client,
        sni=spec.hostname,
        subject_alt_names=spec.alternatives or (spec.hostname,),
        ca=authorities,
        system_ca=spec.system,
        source=spec.source,
    )


def _conditions(
    authorities: tuple[str, ...], spec: PolicySpec, problem: Condition | None, *, conflict: bool
) -> tuple[Condition, ...]:
    resolved = problem or Condition("ResolvedRefs", True, "ResolvedRefs")
    if conflict:
        text = "an older policy is for the same Service and port"
        return Condition("Accepted", False, "Conflicted", text), resolved
    if not authorities and not spec.system:
        return Condition("Accepted", False, "NoValidCACertificate", "no reference leads to a certificate"), resolved
    return Condition("Accepted", True, "Accepted"), resolved


def _with_tls(policy: HostPolicy, service: Service, section: str, tls: UpstreamTls) -> HostPolicy:
    if not section:
        ports = tuple((number, replace(own, tls=own.tls or tls)) for number, own in policy.port_policies)
        return replace(policy, policy=replace(policy.policy, tls=tls), port_policies=ports)
    number = next((port.number for port in service.ports if section in (port.name, str(port.number))), None)
    if number is None:
        return policy
    others = tuple(pair for pair in policy.port_policies if pair[0] != number)
    return replace(policy, port_policies=(*others, (number, replace(policy.policy_for(number), tls=tls))))
