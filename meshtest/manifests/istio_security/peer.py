"""PeerAuthentication: which workloads insist on a client certificate of the mesh.

Not here: what counts where several policies meet (meshtest.model.identity).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from meshtest.manifests.fields import Fields, kind, leaves
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.document import Document, Documents
from meshtest.model.identity import ROOT_NAMESPACE, PeerAuthentication, PeerMode
from meshtest.model.topology import Topology
from meshtest.spi.dialect import Compiled

KIND = "security.istio.io/PeerAuthentication"
MODES: tuple[PeerMode, ...] = ("UNSET", "DISABLE", "PERMISSIVE", "STRICT")
MODE = Fields(read=leaves("mode"))

PEER_AUTHENTICATION = kind(
    Fields(read={"selector": Fields(read=leaves("matchLabels")), "mtls": MODE, "portLevelMtls": MODE})
)


@per_document
def peer_authentication(document: Document, notes: list[Diagnostic]) -> PeerAuthentication:
    view = View.of(document, PEER_AUTHENTICATION, notes)
    metadata(view)
    spec = view.child("spec")
    selector = spec.child("selector") if spec else None
    labels = selector.string_map("matchLabels") if selector else {}
    if selector and any("*" in key or "*" in value for key, value in labels.items()):
        selector.error("bad-value", f"{selector.name('matchLabels')} takes no wildcards", "matchLabels")
    return PeerAuthentication(
        name=document.name,
        namespace=document.namespace,
        selector=labels,
        mode=_mode(spec.child("mtls")) if spec else "UNSET",
        port_modes=tuple(_ports(spec, bool(labels))) if spec else (),
        created=str(document.metadata.get("creationTimestamp") or ""),
        source=document.where(),
    )


def _mode(view: View | None) -> PeerMode:
    chosen = view.choice("mode", MODES, "UNSET") if view else "UNSET"
    return next(mode for mode in MODES if mode == chosen)


def _ports(spec: View, selects: bool) -> Iterator[tuple[int, PeerMode]]:
    views = spec.named("portLevelMtls")
    if views and not selects:
        spec.error("missing-field", f"{spec.name('portLevelMtls')} needs {spec.name('selector')}", "portLevelMtls")
    for name, view in views.items():
        text = str(name)
        if text.isdigit() and 1 <= int(text) <= 65535:
            yield int(text), _mode(view)
        else:
            view.error("bad-value", f"{view.name()}: the key must be a container port, 1 to 65535, not {text!r}")


class Peers:
    """The dialect of PeerAuthentication."""

    name = "istio-peers"
    kinds = frozenset({KIND})

    def compile(self, documents: Documents, topology: Topology) -> Compiled:
        parsed = [peer_authentication(d) for d in documents.of(KIND)]
        policies = tuple(p.value for p in parsed)
        notes = (*chain.from_iterable(p.notes for p in parsed), *overshadowed(policies))
        return Compiled(replace(topology, peers=(*topology.peers, *policies)), notes)


def overshadowed(policies: tuple[PeerAuthentication, ...]) -> Iterator[Diagnostic]:
    """Of two policies for a whole namespace, or for the mesh, the younger one has no effect."""
    first: dict[str, PeerAuthentication] = {}
    for policy in sorted((p for p in policies if not p.selector), key=lambda p: (p.created, p.name)):
        if (older := first.setdefault(policy.namespace, policy)) is not policy:
            what = "the mesh" if policy.namespace == ROOT_NAMESPACE else f"namespace {policy.namespace}"
            text = (
                f"PeerAuthentication `{policy.name}` has no effect: `{older.name}` ({older.source}) already counts for "
                f"{what}, and the older one wins; remove one of them"
            )
            yield Diagnostic(Severity.WARNING, "overshadowed", text, policy.source)


PEERS = Peers()
