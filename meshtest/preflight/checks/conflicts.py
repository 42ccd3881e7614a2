"""Several objects that claim the same host.

Upstream: istio/istio pkg/config/analysis/analyzers/virtualservice/conflictingmeshgatewayhosts.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from meshtest.lib.words import listed
from meshtest.manifests.istio import names
from meshtest.model.document import Document
from meshtest.model.route import MESH
from meshtest.preflight.dig import strings
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import VIRTUAL_SERVICE
from meshtest.preflight.rules import across
from meshtest.preflight.scene import EVERYWHERE, Scene, matches, scopes_of
from meshtest.preflight.virtual_services import gateways, hosts, in_mesh

Claims = dict[tuple[str, str], list[Document]]
"""Documents by (namespace that sees them, host)."""


@across(VIRTUAL_SERVICE, analyzer="virtualservice.ConflictingMeshGatewayHostsAnalyzer")
def in_the_mesh(scene: Scene) -> Iterator[Hit]:
    """IST0109, once for each VirtualService that shares a host with another."""
    claims = _mesh_claims(scene)
    everywhere = {host: documents for (scope, host), documents in claims.items() if scope == EVERYWHERE}
    wide = {host: documents for host, documents in everywhere.items() if host.startswith("*")}
    told: set[tuple[str, str, str]] = set()
    for (scope, host), documents in claims.items():
        rivals = list(documents)
        if scope != EVERYWHERE:
            rivals += everywhere.get(host, ())
            rivals += [d for other, found in wide.items() if other != host and matches(host, other) for d in found]
        if len(rivals) > 1:
            yield from _once(rivals, host, told)


def _mesh_claims(scene: Scene) -> Claims:
    claims: Claims = defaultdict(list)
    for document in scene.of(VIRTUAL_SERVICE):
        if in_mesh(document):
            scopes = scopes_of(strings(document.data, "spec", "exportTo"), document.namespace)
            for host in hosts(document):
                for scope in sorted(scopes):
                    claims[scope, names.fqdn(host, document.namespace)].append(document)
    return claims


def _once(rivals: Sequence[Document], host: str, told: set[tuple[str, str, str]]) -> Iterator[Hit]:
    for document in rivals:
        others = sorted({f"{d.namespace}/{d.name}" for d in rivals if d is not document})
        if document.key not in told and others:
            told.add(document.key)
            text = f"`{host}` is routed in the mesh by {listed(others)} too: only the oldest counts"
            yield Hit("IST0109", document, ("spec", "hosts"), text)


@across(VIRTUAL_SERVICE)
def at_gateways(scene: Scene) -> Iterator[Hit]:
    """MT017: the rules of several VirtualServices for one host at one gateway are strung together."""
    claims: dict[tuple[str, str], list[Document]] = defaultdict(list)
    for document in scene.of(VIRTUAL_SERVICE):
        for gateway in dict.fromkeys(gateways(document)):
            if gateway != MESH:
                for host in dict.fromkeys(hosts(document)):
                    claims[names.gateway(gateway, document.namespace), host].append(document)
    told: set[tuple[str, str, str]] = set()
    for (gateway, host), documents in claims.items():
        oldest_first = sorted(documents, key=names.age)
        for document in oldest_first[1:]:
            if document.key not in told:
                told.add(document.key)
                first = oldest_first[0]
                text = (
                    f"`{host}` at gateway `{gateway}` is routed by `{first.namespace}/{first.name}` too: "
                    "its rules come first"
                )
                yield Hit("MT017", document, ("spec", "hosts"), text)
