"""What is in force in a mesh, and how that changes: the half of Mesh that its manifests are about.

    documents ──edit──► documents ──compile──► topology ──provider──► in force
        every change: config.apply, config.ack (or config.rejected) in the history, its diff in the run folder

Not here: what a change means (manifests/), how it is brought about (providers).
"""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from meshtest.errors import ConfigRejected, FeatureMissing, HistoryError, ProviderError, UsageError
from meshtest.lib.words import listed
from meshtest.manifests.compiler import compile_or_raise
from meshtest.manifests.culprit import culprits
from meshtest.manifests.diff import diff
from meshtest.manifests.kubernetes import daemon_set
from meshtest.manifests.needs import needs
from meshtest.manifests.patch import put
from meshtest.manifests.reader import read, read_text
from meshtest.manifests.shares import shares
from meshtest.manifests.traffic import TRAFFIC
from meshtest.mesh import own_spans
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document, Documents
from meshtest.model.route import Fault
from meshtest.model.status import Status
from meshtest.model.topology import Topology
from meshtest.run import Run
from meshtest.settings import Settings
from meshtest.spi.dialect import TrafficDialect
from meshtest.spi.provider import Begins, Provider

if TYPE_CHECKING:
    from meshtest.preflight import Finding

Edit = Callable[[TrafficDialect, Documents, Topology], Documents]


class Configured(ABC):
    """The half of Mesh that changes."""

    def __init__(self, provider: Provider, run: Run, settings: Settings) -> None:
        self.provider, self.run, self.settings = provider, run, settings
        self.documents = Documents()
        self.topology = Topology()
        self.statuses: tuple[Status, ...] = ()
        """What a controller would write into the status of routes and gateways."""
        self.diagnostics: tuple[Diagnostic, ...] = ()
        """What the manifests say that is not supported, or has no use here; each with its file:line."""
        self.findings: Sequence[Finding] = ()
        """What the static rules found in the manifests of the last apply; each with code, file:line and fix."""
        self.mark = 0.0
        """Second of the run at which the present step began, or the last change was in force if that was later."""
        self._dialect: TrafficDialect = TRAFFIC
        self._number = 0
        self.hasten = 1.0
        """So many times as often as written are pods probed: where the clock of a rehearsal is compressed."""

    @abstractmethod
    def open(self) -> Self:
        """Start the provider, if it was not done before."""

    def record(self, kind: str, subject: str = "", /, **data: Any) -> None:
        """Append an event to the history."""
        self.run.record(kind, subject, **data)

    def apply(self, *patterns: str | Path, text: str = "", base: Path | None = None) -> None:
        """As `kubectl apply`: files, folders, globs, or YAML text. Returns when pods are ready and proxies know."""
        documents = read(*map(str, patterns), base=base) if patterns else Documents()
        if text:
            documents = documents.apply(read_text(text, "<text>"))
        if not len(documents):
            raise UsageError("mesh.apply() needs files or text=")
        self.put(documents, listed(map(str, patterns)) or "text")

    def put(self, documents: Documents, what: str) -> None:
        """As apply(), of documents that have been read."""
        after = self.documents.apply(documents)
        with self._examined(after):
            self._change(after, f"apply {what}")

    @contextlib.contextmanager
    def _examined(self, documents: Documents) -> Iterator[None]:
        """The static rules: before the change where they can refuse it, else while pods start; edits of ours (shifts,
        faults) skip them."""
        if self.settings.preflight == "off":
            yield
            return
        before = self.documents if len(self.documents) else None
        with ThreadPoolExecutor(1, thread_name_prefix="preflight") as beside:
            examining = beside.submit(_examine, documents, before)
            if self.settings.preflight == "error":
                self._found(examining.result(), refuse=True)
                yield
                return
            try:
                yield
            finally:
                self._found(examining.result())

    def _found(self, findings: Sequence[Finding], *, refuse: bool = False) -> None:
        from meshtest.mesh import preflight

        self.findings = findings
        preflight.note(findings, self.record)
        if refuse:
            preflight.refuse(findings)

    def edit(self, reason: str, edit: Edit) -> None:
        """Change the documents by a pure edit of the dialect, and bring the result into force."""
        self._change(edit(self._dialect, self.documents, self.topology), reason)

    def begin(self, documents: Documents, reason: str, *, faults: Mapping[str, Fault] | None = None) -> None:
        """Bring documents into force as a controller does: returns when every proxy has acknowledged, and pods come and
        go by themselves. With a provider that cannot do this it waits for them."""
        self._change(documents, reason, faults, waits=False)

    def _change(
        self, documents: Documents, reason: str, faults: Mapping[str, Fault] | None = None, *, waits: bool = True
    ) -> None:
        compiled = compile_or_raise(documents)
        topology = replace(compiled.topology, faults=self.topology.faults if faults is None else faults)
        if self.hasten != 1:
            from meshtest.mesh.hasten import hastened

            topology = hastened(topology, self.hasten)
        self._require(topology)
        self._number += 1
        number, began = self._number, time.monotonic()
        intended = {s.name: shares(topology, s.fqdn) for s in topology.services}
        self.record("config.apply", number=number, reason=reason, shares=intended)
        try:
            with own_spans.span(f"config {reason}", number=number):
                provider = self.open().provider
                bring = provider.apply if waits or not isinstance(provider, Begins) else provider.begin
                bring(topology)
        except ProviderError as error:
            self.record("config.rejected", number=number, text=str(error))
            if isinstance(error, ConfigRejected) and (places := culprits(self._new_in(documents), str(error))):
                raise ConfigRejected(f"{error}; see {listed(map(str, places), most=3)}") from None
            raise
        changes = diff(self.documents, documents)
        self.documents, self.topology = documents, topology
        self.diagnostics, self.statuses = compiled.diagnostics, compiled.statuses
        self.record("config.ack", number=number, seconds=time.monotonic() - began)
        self.mark = self.run.now
        self._keep(f"{number:03}.diff", f"# {reason}\n{changes}")

    def _new_in(self, documents: Documents) -> list[Document]:
        """Those that are not in force as they stand."""
        known = {document.key: document for document in self.documents}
        return [document for document in documents if known.get(document.key) != document]

    def _keep(self, name: str, text: str) -> None:
        folder = self.run.directory / "config"
        try:
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(text)
        except OSError as error:
            raise HistoryError(f"cannot write {folder / name}: {error.strerror}") from None

    def _require(self, topology: Topology) -> None:
        missing = needs(topology) - self.provider.features
        if missing:
            raise FeatureMissing(self.provider.name, sorted(missing))

    def scale(self, workload: str, replicas: int) -> None:
        """As `kubectl scale`, by the workload's key: an edit of its Deployment, so that later changes keep it. A
        DaemonSet has one pod a node: it gets so many nodes (manifests/kubernetes/daemon_set.py)."""
        self._change(_scaled(self.documents, workload, replicas), f"scale {workload} to {replicas}")

    def rotate_certificates(self) -> int:
        """New certificates for all identities of the mesh, as Istio does every 12 hours; returns how many there are.

        Connections that are open keep the certificate they began with. 0: nothing here uses mutual TLS.
        """
        began = time.monotonic()
        count = self.open().provider.rotate_certificates()
        self.record("certificates.rotated", identities=count, seconds=time.monotonic() - began)
        return count

    def break_at_destination(self, faults: Mapping[str, Fault], reason: str) -> None:
        """Set the faults of versions, by workload key."""
        self._change(self.documents, reason, faults)

    def restore(self, documents: Documents, reason: str) -> None:
        """Back to documents as they were before an edit."""
        self._change(documents, reason)


def _examine(documents: Documents, before: Documents | None) -> Sequence[Finding]:
    from meshtest.mesh import preflight  # 20 ms that only who asks for it pays

    return preflight.examine(documents, before)


def _scaled(documents: Documents, workload: str, replicas: int) -> Documents:
    def named(kind: str) -> list[Document]:
        return [d for d in documents.of(kind) if f"{d.namespace}/{d.name}" == workload]

    deployments = [put(d, ("spec", "replicas"), replicas) for d in named("apps/Deployment")]
    return documents.apply([*deployments, *(daemon_set.on_nodes(d, replicas) for d in named(daemon_set.KIND))])
