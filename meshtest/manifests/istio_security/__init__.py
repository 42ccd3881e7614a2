"""The dialect of Istio's AuthorizationPolicy, RequestAuthentication and EnvoyFilter."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

from meshtest.manifests.istio_security.attributes import PEER
from meshtest.manifests.istio_security.authentication import authentication
from meshtest.manifests.istio_security.authorization import authorization
from meshtest.manifests.istio_security.envoy_filter import envoy_filter
from meshtest.manifests.istio_security.links import link
from meshtest.model.document import Documents
from meshtest.model.topology import Topology
from meshtest.spi.dialect import Compiled

AUTHORIZATION_POLICY = "security.istio.io/AuthorizationPolicy"
REQUEST_AUTHENTICATION = "security.istio.io/RequestAuthentication"
ENVOY_FILTER = "networking.istio.io/EnvoyFilter"


class IstioSecurity:
    """Comes after the dialects that say which services, workloads and gateways there are."""

    name = "istio-security"
    kinds = frozenset({AUTHORIZATION_POLICY, REQUEST_AUTHENTICATION, ENVOY_FILTER})

    def compile(self, documents: Documents, topology: Topology) -> Compiled:
        authorizations = [authorization(d) for d in documents.of(AUTHORIZATION_POLICY)]
        authentications = [authentication(d) for d in documents.of(REQUEST_AUTHENTICATION)]
        patches = [envoy_filter(d) for d in documents.of(ENVOY_FILTER)]
        topology = replace(
            topology,
            authorizations=(*topology.authorizations, *(p.value for p in authorizations)),
            authentications=(*topology.authentications, *(p.value for p in authentications if p.value)),
            proxy_patches=(*topology.proxy_patches, *(p.value for p in patches if p.value)),
        )
        topology = replace(topology, identified=topology.identified or _identified(topology))
        parsed = (*(p.notes for p in authorizations), *(p.notes for p in authentications), *(p.notes for p in patches))
        return Compiled(topology, (*chain.from_iterable(parsed), *link(topology)))


def _identified(topology: Topology) -> str:
    """The first policy that asks who calls: it needs the certificates of mutual TLS."""
    for policy in topology.authorizations:
        conditions = (c for rule in policy.rules for part in (rule.conditions, *rule.sources) for c in part)
        if any(condition.key in PEER for condition in conditions):
            return f"AuthorizationPolicy {policy.scope.namespace}/{policy.name} ({policy.source})"
    return ""


ISTIO_SECURITY = IstioSecurity()
