"""ServiceEntries that catch too much, or contradict each other.

Upstream: istio/istio pkg/config/analysis/analyzers/serviceentry/protocoladdresses.go, conflictingserviceentries.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from meshtest.lib.words import listed
from meshtest.model.document import Document
from meshtest.preflight.dig import Object, at, object_at, objects, port, strings, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import SERVICE_ENTRY
from meshtest.preflight.mesh_config import mesh_config
from meshtest.preflight.rules import across
from meshtest.preflight.scene import EVERYWHERE, Scene, scopes_of

Claim = tuple[Document, int, str]
"""A ServiceEntry, the index of its port, the protocol."""


@across(SERVICE_ENTRY, analyzer="serviceentry.Analyzer")
def addresses(scene: Scene) -> Iterator[Hit]:
    """IST0134, unless the mesh hands out addresses by itself."""
    if not allocates(mesh_config(scene)):
        for document in scene.of(SERVICE_ENTRY):
            yield from _without_addresses(document)


def allocates(config: Object) -> bool:
    """The proxies answer DNS, and give addresses to hosts that have none."""
    metadata = object_at(config, "defaultConfig", "proxyMetadata")
    ways = ("ISTIO_META_DNS_AUTO_ALLOCATE", "PILOT_ENABLE_IP_AUTOALLOCATE")
    return metadata.get("ISTIO_META_DNS_CAPTURE") == "true" and any(metadata.get(way) == "true" for way in ways)


def _without_addresses(document: Document) -> Iterator[Hit]:
    """Each TCP port when neither the object nor its status has an address."""
    if at(document.data, "spec", "addresses") is not None or at(document.data, "status", "addresses"):
        return
    for index, item in objects(document.data, "spec", "ports"):
        if text(item, "protocol").upper() in ("", "TCP"):
            message = f"TCP port {port(item, 'number')} of a host without addresses catches all traffic to that port"
            yield Hit("IST0134", document, ("spec", "ports", index), message)


@across(SERVICE_ENTRY, analyzer="serviceentry.ConflictingServiceEntryProtocolAnalyzer")
def protocols(scene: Scene) -> Iterator[Hit]:
    """IST0177, once for each ServiceEntry."""
    claims: dict[tuple[str, str, int | None], list[Claim]] = defaultdict(list)
    for document in scene.of(SERVICE_ENTRY):
        for scope in sorted(scopes_of(strings(document.data, "spec", "exportTo"), document.namespace)):
            for host in strings(document.data, "spec", "hosts"):
                for index, item in objects(document.data, "spec", "ports"):
                    claim = (document, index, text(item, "protocol").upper())
                    claims[scope, host, port(item, "number")].append(claim)
    told: set[tuple[str, str, str]] = set()
    for (scope, host, number), found in claims.items():
        everyone = [*found, *(claims.get((EVERYWHERE, host, number), ()) if scope != EVERYWHERE else ())]
        if len(spoken := sorted({protocol for *_, protocol in everyone})) < 2:
            continue
        for document, index, _ in everyone:
            if document.key not in told:
                told.add(document.key)
                message = f"port {number} of `{host}` has several protocols: {listed(spoken)}"
                yield Hit("IST0177", document, ("spec", "ports", index), message)
