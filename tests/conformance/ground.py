"""A warm mesh with the base manifests of Gateway API's conformance suite, and what each file lays over them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from meshtest.manifests.compiler import compile_or_raise
from meshtest.manifests.patch import put
from meshtest.manifests.reader import read
from meshtest.mesh import Mesh
from meshtest.model.document import Document, Documents
from meshtest.model.history import HOP_FIELDS
from meshtest.model.topology import Topology
from tests.conformance import certificates
from tests.conformance.cases import Case, File
from tests.conformance.foretold import surprises
from tests.conformance.oracle import disagreements
from tests.conformance.roundtrip import Answer, Client, problems


class Ground:
    """Cases are sent through the real Envoy, and put to the pure oracle."""

    def __init__(self, mesh: Mesh, corpus: Path) -> None:
        self.mesh, self.corpus, self.client = mesh, corpus, Client()
        self.certificates = certificates.made()
        base = read(str(corpus / "base/manifests.yaml"), str(corpus / "mesh/manifests.yaml"))
        self.base = base.apply(self.certificates.documents).apply(map(_as_tcp, base)).apply(self._late_ports())
        self.topology = Topology()
        """What is in force."""
        self.score: dict[str, list[str]] = {}
        """What is wrong with each case that was run."""

    def _late_ports(self) -> list[Document]:
        """Services that send to a port no other Service of these pods does: a stand-in listens where it is known to
        when it starts."""
        return read(str(self.corpus / "tests/backendtlspolicy-grpcroute.yaml")).of("/Service")

    def documents(self, *manifests: str) -> Documents:
        return self.base.apply(read(*(str(self.corpus / m) for m in manifests))) if manifests else self.base

    def bring(self, documents: Documents) -> Topology:
        self.topology = compile_or_raise(documents).topology
        self.mesh.provider.apply(self.topology)
        return self.topology

    def run(self, file: File) -> dict[str, list[str]]:
        """What is wrong with each case. A file with several tests runs its cases against the manifests of each."""
        results: dict[str, list[str]] = {}
        for manifests in _variants(file):
            topology = self.bring(self.documents(*manifests))
            for case in map(self.placed, file.cases):
                wrong = results.setdefault(case.name, [])
                wrong += disagreements(topology, case)
                answer = self.ask(case)
                wrong += [*problems(case, answer), *surprises(topology, case, answer)]
        self.score |= results
        return results

    def ask(self, case: Case) -> Answer:
        entrance = self.mesh.provider.entrance(case.entrance)
        return self.client.ask(entrance, case.method, case.host, case.path or "/", case.headers)

    def get(self, path: str, *, entrance: str, host: str = "203.0.113.1") -> Answer:
        return self.client.ask(self.mesh.provider.entrance(entrance), "GET", host, path, {})

    def placed(self, case: Case) -> Case:
        """With the address of a pod, where the case is for one."""
        if "$dyn" not in case.host:
            return case
        backend = case.expected["Backend"]
        pod = self.mesh.provider.pods(f"{case.entrance.partition('/')[0]}/{backend}")[0]
        return case.to(f"127.0.0.1:{pod.ports[8080]}")

    def inbound(self, path: str) -> Counter[str]:
        """How many requests with this path came in at the pods of each workload, mirrored ones too."""
        self.mesh.provider.settle()
        found: Counter[str] = Counter()
        for line in (self.mesh.run.directory / "hops.tsv").read_text().splitlines():
            hop = dict(zip(HOP_FIELDS, line.split("\t"), strict=True))
            if hop["direction"] == "inbound" and hop["path"] == path:
                found[hop["server"].split("/")[1]] += 1
        return found


def _as_tcp(document: Document) -> Document:
    """Upstream's image is told by its environment to speak TCP; a stand-in by the protocol of its Service's port."""
    if document.kind != "/Service" or document.name != "tcp-backend":
        return document
    for index in range(len(document.data["spec"]["ports"])):
        document = put(document, ("spec", "ports", index, "appProtocol"), "tcp")
    return document


def _variants(file: File) -> Sequence[tuple[str, ...]]:
    """`request-header-modifier` has two tests with the same cases: filters of a rule, and of a backend."""
    if file.name.endswith("httproute-request-header-modifier"):
        return [(manifest,) for manifest in file.manifests]
    return [file.manifests]
