"""All that the manifests mean together: the state a provider is asked to bring about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from meshtest.lib.dataclass import dataclass
from meshtest.model.credential import Credential
from meshtest.model.identity import PeerAuthentication
from meshtest.model.policy import HostPolicy, Subset
from meshtest.model.route import Fault, Gateway, Retry, RouteTable
from meshtest.model.security import Authentication, Authorization, ProxyPatches
from meshtest.model.service import Service, Workload, within
from meshtest.model.visibility import Scope


@dataclass(frozen=True, kw_only=True)
class Topology:
    """The desired state. Tuples are in manifest order; names are unique per namespace (the reader sees to that)."""

    services: tuple[Service, ...] = ()
    workloads: tuple[Workload, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    tables: tuple[RouteTable, ...] = ()
    policies: Mapping[str, HostPolicy] = field(default_factory=dict)
    """By fully qualified host."""
    namespace_policies: Mapping[tuple[str, str], HostPolicy] = field(default_factory=dict)
    """By (namespace of the caller, host): what counts there in place of the one in `policies`."""
    credentials: Mapping[str, Credential] = field(default_factory=dict)
    """Certificates and keys by `namespace/name`."""
    peers: tuple[PeerAuthentication, ...] = ()
    """Who must show a certificate of the mesh to whom."""
    identified: str = ""
    """Why identities matter although no PeerAuthentication asks for them: a policy that names principals. Set by the
    dialect, in words; "" if nothing does (identity.mutual_tls)."""
    faults: Mapping[str, Fault] = field(default_factory=dict)
    """Faults at the destination, by workload key: what the version itself does wrong, seen by mirrored requests too."""
    scopes: tuple[Scope, ...] = ()
    """What callers know of the mesh, where they do not know all of it."""
    default_retry: Retry | None = None
    """What routes without a word about retries do; set by the dialect (Istio: two retries on connect failures)."""

    authorizations: tuple[Authorization, ...] = ()
    """Who may ask whom for what (AuthorizationPolicy)."""
    authentications: tuple[Authentication, ...] = ()
    """Whose tokens are taken (RequestAuthentication)."""
    proxy_patches: tuple[ProxyPatches, ...] = ()
    """Changes to the proxies' own configuration (EnvoyFilter)."""

    def service(self, fqdn: str) -> Service | None:
        return next((s for s in self.services if s.fqdn == fqdn), None)

    def backends(self, service: Service) -> tuple[Workload, ...]:
        """Workloads whose pods the service selects."""
        return tuple(w for w in self.workloads if service.selects(w))

    def subset(self, fqdn: str, name: str) -> Subset | None:
        policy = self.policies.get(fqdn)
        return next((s for s in policy.subsets if s.name == name), None) if policy else None

    def subset_backends(self, service: Service, subset: Subset) -> tuple[Workload, ...]:
        return tuple(w for w in self.backends(service) if within(subset.labels, w.labels))


def key(workload: Workload) -> str:
    """`namespace/name`, how a workload is named in faults, histories and hops."""
    return f"{workload.namespace}/{workload.name}"
