"""Istio's test configurations and samples: every file translates, Envoy accepts what comes out, and a mesh takes it.

A file is applied on top of what it takes for granted: Services that are Istio's own, or that other files hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from meshtest import Mesh
from meshtest.errors import MeshtestError
from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read, read_text
from meshtest.model.diagnostic import Severity
from meshtest.model.document import Documents
from tests.conformance import misses, validate

CORPUS = "istio/config"

BESIDE = {
    "samples/bookinfo": ("platform/kube/bookinfo.yaml", "networking/destination-rule-all.yaml"),
    "samples/helloworld": ("helloworld.yaml",),
    "samples/httpbin": ("httpbin.yaml",),
}
"""Files of a sample that its others are for."""

ELSEWHERE = """\
apiVersion: v1
kind: Service
metadata: {name: service3}
spec: {ports: [{port: 80, name: http}, {port: 81, name: http-more}, {port: 443, name: http-last}], selector: {app: a}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: service3}
spec: {host: service3, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: v1
kind: Service
metadata: {name: c, namespace: testns}
spec: {ports: [{port: 80, name: http}], selector: {app: c}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: c, namespace: testns}
spec: {host: c, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
apiVersion: v1
kind: Service
metadata: {name: istio-egressgateway, namespace: testns}
spec: {ports: [{port: 80, name: http}], selector: {istio: egressgateway}}
---
apiVersion: v1
kind: Service
metadata: {name: istio-egressgateway, namespace: istio-system}
spec: {ports: [{port: 80, name: http}], selector: {istio: egressgateway}}
---
apiVersion: v1
kind: Service
metadata: {name: cert-manager-resolver, namespace: istio-system}
spec: {ports: [{port: 8089, name: http}], selector: {app: cert-manager}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: testns}
spec:
  hosts: [eu.bookinfo.com, httpbin.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.2}]
"""
"""What files refer to and no file holds."""


def files(corpora: Path) -> Iterator[Path]:
    for folder in ("config", "samples"):
        yield from sorted((corpora / "istio" / folder).rglob("*.yaml"))


def case(file: Path, corpora: Path) -> str:
    return str(file.relative_to(corpora / "istio"))


@cache
def together(file: Path, corpora: Path) -> Documents:
    """The file on top of what it needs; a configuration that still lacks something, on top of all the others."""
    beside = [names for folder, names in BESIDE.items() if case(file, corpora).startswith(f"{folder}/")]
    if beside:
        folder = next(parent for parent in file.parents if parent.parent.name == "samples")
        return read(*beside[0], base=folder).apply(read_text(ELSEWHERE)).apply(read(str(file)))
    alone = read_text(ELSEWHERE).apply(read(str(file)))
    if not any(d.code in ("unknown-host", "unknown-gateway") for d in compile(alone).diagnostics if d.severity > 1):
        return alone
    others = [
        o for o in sorted(file.parent.glob("*.yaml")) if o != file and case(o, corpora) not in misses.known(CORPUS)
    ]
    return read(*map(str, others)).apply(alone)


def errors(documents: Documents, file: Path) -> list[str]:
    """What is wrong in this file."""
    notes = compile(documents).diagnostics
    return [str(d) for d in notes if d.severity is Severity.ERROR and Path(d.source.file).name == file.name]


def test_every_file_translates_without_an_error(corpora: Path) -> None:
    results = {case(f, corpora): errors(together(f, corpora), f) for f in files(corpora)}
    assert len(results) == 88
    misses.tell("istio config and samples, translated", sum(not r for r in results.values()), len(results))
    misses.judge(CORPUS, results)


def test_envoy_accepts_what_comes_out(corpora: Path, tmp_path: Path) -> None:
    topologies = {case(f, corpora): compile(together(f, corpora)).topology for f in files(corpora)}
    snapshots = {name: validate.translated(topology) for name, topology in topologies.items()}
    refused = validate.refused(snapshots, tmp_path)
    misses.tell("istio config and samples, envoy --mode validate", len(snapshots) - len(refused), len(snapshots))
    assert refused == {}


def test_a_mesh_takes_them_one_after_the_other(corpora: Path, mesh: Mesh) -> None:
    """Without pods: what is accepted is configuration."""
    results: dict[str, list[str]] = {}
    for file in files(corpora):
        documents = Documents(tuple(d for d in together(file, corpora) if d.kind != "apps/Deployment"))
        if errors(documents, file):
            continue
        try:
            mesh.edit(case(file, corpora), lambda *_, wanted=documents: wanted)
        except MeshtestError as error:
            results[case(file, corpora)] = [str(error)]
        else:
            results[case(file, corpora)] = []
    misses.tell("istio config and samples, live", sum(not r for r in results.values()), len(results))
    assert {name: wrong for name, wrong in results.items() if wrong} == {}
    assert len(results) > 80
