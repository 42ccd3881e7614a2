"""What documents mean together: every dialect in turn, and a word on each object that a cluster would not take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from meshtest.errors import ManifestError
from meshtest.manifests import kinds, object_names
from meshtest.manifests.gateway_api import GATEWAY_API
from meshtest.manifests.istio import ISTIO
from meshtest.manifests.istio_security import ISTIO_SECURITY
from meshtest.manifests.istio_security.peer import PEERS
from meshtest.manifests.kubernetes import KUBERNETES
from meshtest.manifests.linkerd import LINKERD
from meshtest.manifests.memo import Parsed, per_document
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.document import Document, Documents
from meshtest.model.status import Status
from meshtest.model.topology import Topology
from meshtest.spi.dialect import Compiled, Dialect

DIALECTS: tuple[Dialect, ...] = (KUBERNETES, ISTIO, PEERS, GATEWAY_API, ISTIO_SECURITY, LINKERD)


def compile(documents: Documents, dialects: Sequence[Dialect] | None = None) -> Compiled:
    """The topology and all diagnostics; a document that did not change is not read again."""
    dialects = DIALECTS if dialects is None else dialects
    check_object = _checker(frozenset[str]().union(*(dialect.kinds for dialect in dialects)))
    notes = [note for document in documents for note in check_object(document).notes]
    topology = Topology()
    statuses: list[Status] = []
    for dialect in dialects:
        compiled = dialect.compile(documents, topology)
        topology = compiled.topology
        notes += compiled.diagnostics
        statuses += compiled.statuses
    return Compiled(topology, tuple(notes), tuple(statuses))


def compile_or_raise(documents: Documents, dialects: Sequence[Dialect] | None = None) -> Compiled:
    """As `compile`; raises ManifestError with every ERROR, each with its file:line."""
    compiled = compile(documents, dialects)
    errors = [note for note in compiled.diagnostics if note.severity is Severity.ERROR]
    if errors:
        raise ManifestError(errors)
    return compiled


@cache
def _checker(handled: frozenset[str]) -> Callable[[Document], Parsed[None]]:
    def checked(document: Document, notes: list[Diagnostic]) -> None:
        found = kinds.check(document, handled)
        if found is not None:
            notes.append(found)
        notes.extend(object_names.check(document))

    return per_document(checked)
