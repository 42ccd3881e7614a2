"""The public conformance suite of Gateway API against the real Envoy: every plain HTTP case, at gateways and in the mesh.

    client ──► gateway (a door of its own each) ──► infra-backend-v1 .. v3, web-backend, app-backend
    echo-v1 (through its sidecar) ──► echo, echo-v1, echo-v2

The base manifests stand once; those of each Go file are laid over them. Every case is also put to the pure oracle.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meshtest.errors import ManifestError
from meshtest.manifests.compiler import compile_or_raise
from meshtest.manifests.reader import read
from meshtest.mesh import Mesh, open_mesh
from meshtest.model.document import Documents
from meshtest.model.topology import Topology
from meshtest.settings import Settings
from tests.conformance import misses
from tests.conformance.cases import File, gateway_http, load, mesh_http
from tests.conformance.oracle import disagreements
from tests.conformance.roundtrip import Client, problems

CORPUS = "gateway-api"


class Ground:
    """A warm mesh with the base manifests, and what each file adds to them."""

    def __init__(self, mesh: Mesh, corpus: Path) -> None:
        self.mesh, self.corpus, self.client = mesh, corpus, Client()
        self.base = read(str(corpus / "base/manifests.yaml"), str(corpus / "mesh/manifests.yaml"))
        self.score: dict[str, list[str]] = {}

    def documents(self, *manifests: str) -> Documents:
        return self.base.apply(read(*(str(self.corpus / m) for m in manifests))) if manifests else self.base

    def bring(self, documents: Documents) -> Topology:
        topology = compile_or_raise(documents).topology
        self.mesh.provider.apply(topology)
        return topology

    def run(self, file: File) -> dict[str, list[str]]:
        """What is wrong with each case. A file with several tests runs its cases against the manifests of each."""
        results: dict[str, list[str]] = {}
        for manifests in _variants(file):
            topology = self.bring(self.documents(*manifests))
            for case in file.cases:
                wrong = results.setdefault(case.name, [])
                wrong += disagreements(topology, case)
                entrance = self.mesh.provider.entrance(case.entrance)
                answer = self.client.ask(entrance, case.method, case.host, case.path or "/", case.headers)
                wrong += problems(case, answer)
        self.score |= results
        return results


def _variants(file: File) -> list[tuple[str, ...]]:
    """`request-header-modifier` has two tests with the same cases: filters of a rule, and of a backend."""
    if "header-modifier" in file.name:
        return [(manifest,) for manifest in file.manifests]
    return [file.manifests]


@pytest.fixture(scope="module")
def ground(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    settings = Settings(reports=tmp_path_factory.mktemp("reports"))
    with open_mesh("gateway-api", settings, command="pytest") as mesh:
        made = Ground(mesh, corpora / "gateway-api")
        yield made
        made.client.close()
        passed = sum(not wrong for wrong in made.score.values())
        print(f"\nGateway API conformance: {passed}/{len(made.score)}")  # noqa: T201


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test a Go file; none where the corpus is absent (the fixture says so)."""
    if "file" not in metafunc.fixturenames:
        return
    from tests.conftest import corpora_folder

    folder = corpora_folder() / "gateway-api"
    files = load(folder) if folder.is_dir() else []
    chosen = mesh_http(files) if "mesh" in metafunc.function.__name__ else gateway_http(files)
    metafunc.parametrize("file", chosen, ids=lambda f: f.name)


def test_gateway_cases_pass_through_envoy_and_by_the_oracle(ground: Ground, file: File) -> None:
    misses.judge(CORPUS, ground.run(file))


def test_mesh_cases_pass_through_envoy_and_by_the_oracle(ground: Ground, file: File) -> None:
    misses.judge(CORPUS, ground.run(file))
