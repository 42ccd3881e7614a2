"""The cases of istioctl's analyzers: each says what it is expected to say, of the same objects, and nothing else.

A case runs one analyzer, so only what is told under that analyzer's name is compared. Cases that are none of our
business stand in misses.toml with the reason.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshtest.manifests.reader import documents_of, read_text
from meshtest.model.document import Document, Documents
from meshtest.preflight import CODES
from meshtest.preflight.examine import hits
from tests.conformance.misses import known, tell

CORPUS = "istio/analyzers"
VIRTUAL_SERVICE, DESTINATION_RULE = "virtualservice.", "destinationrule."
ANALYZERS = {
    "misannoted": "annotations.K8sAnalyzer",
    "alpha": "annotations.AlphaAnalyzer",
    "deprecation": "deprecation.DeprecationAnalyzer",
    "externalControlPlane": "externalcontrolplane.ExternalControlPlaneAnalyzer",
    "gatewaySecret": "gateway.SecretAnalyzer",
    "gateway": "gateway.IngressGatewayPortAnalyzer",
    "conflicting gateways": "gateway.ConflictingGatewayAnalyzer",
    "Analyze conflicting gateway": "gateway.ConflictingGatewayAnalyzer",
    "gateways with different port": "gateway.ConflictingGatewayAnalyzer",
    "istioInjectionProxyImage": "injection.ImageAnalyzer",
    "injectionImage": "injection.ImageAnalyzer",
    "istioInjection": "injection.Analyzer",
    "portName": "service.PortNameAnalyzer",
    "namedPort": "service.PortNameAnalyzer",
    "unnamedPort": "service.PortNameAnalyzer",
    "ExternalNameService": "service.PortNameAnalyzer",
    "sidecar": "sidecar.SelectorAnalyzer",
    "virtualServiceConflictingMeshGatewayHosts": "virtualservice.ConflictingMeshGatewayHostsAnalyzer",
    "virtualServiceDestinationHosts": "virtualservice.DestinationHostAnalyzer",
    "Route Rule no effect": "virtualservice.DestinationHostAnalyzer",
    "virtualServiceDestinationRules": "virtualservice.DestinationRuleAnalyzer",
    "virtualServiceJWTClaimRoute": "virtualservice.JWTClaimRouteAnalyzer",
    "virtualService": "virtualservice.GatewayAnalyzer",
    "host defined in virtualservice": "virtualservice.GatewayAnalyzer",
    "serviceMultipleDeployments": "deployment.MultiServiceAnalyzer",
    "deploymentMultiServices": "deployment.MultiServiceAnalyzer",
    "serviceWithNoSelector": "deployment.MultiServiceAnalyzer",
    "unknown service registry": "meshnetworks.MeshNetworksAnalyzer",
    "blockedCIDRs": "authn.BlockedCIDRsAnalyzer",
    "authorizationpolicies": "auth.AuthorizationPoliciesAnalyzer",
    "destinationrule with": "destinationrule.CaCertificateAnalyzer",
    "dupmatches": "schema.ValidationAnalyzer.VirtualService",
    "missing Addresses": "serviceentry.Analyzer",
    "ServiceEntry Addresses": "serviceentry.Analyzer",
    "ServiceEntry": "serviceentry.ConflictingServiceEntryProtocolAnalyzer",
    "certificate duplication": "gateway.CertificateAnalyzer",
    "webook": "webhook.Analyzer",
    "Application": "applicationUID.Analyzer",
    "Deployment": "applicationUID.Analyzer",
    "Detect `image: auto`": "injection.ImageAutoAnalyzer",
    "EnvoyFilter": "envoyfilter.EnvoyPatchAnalyzer",
    "Analyze invalid telemetry": "telemetry.ProviderAnalyzer",
    "telemetrySelector": "telemetry.SelectorAnalyzer",
    "telemetryDefaultSelector": "telemetry.DefaultSelectorAnalyzer",
    "Telemetry Lightstep": "telemetry.LightstepAnalyzer",
    "KubernetesGatewaySelector": "k8sgateway.SelectorAnalyzer",
    "GatewayAPICRDVersion": "k8sgateway.CRDVersionAnalyzer",
    "Condition Analyzer": "conditions.ConditionAnalyzer",
    "DestinationRule": "destinationrule.SubsetSelectPodAnalyzer",
}
"""Beginning of a case's name to the analyzer it runs; the longest counts. The corpus has lost the analyzers' names."""

MESH_CONFIG = "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio, namespace: istio-system}}"
"""Where a cluster keeps the mesh configuration."""

TOLD_ONCE = frozenset({"InvalidApplicationUID", "EnvoyFilterUsesRelativeOperation"})
"""Messages without a place in their text, which istioctl drops when it has said the same of the object."""

Case = dict[str, Any]


def cases(corpora: Path) -> Iterator[tuple[str, Case]]:
    """With a name for each that is unique: the case's own, and its first file."""
    for case in json.loads((corpora / CORPUS / "cases.json").read_text()):
        yield f"{case['name']} ({Path(case['inputFiles'][0]).name}{_more(case)})", case


def _more(case: Case) -> str:
    extra = [*case["inputFiles"][1:], case.get("meshConfigFile"), case.get("meshNetworksFile")]
    return "".join(f" {Path(name).stem}" for name in extra if name)


def analyzer(case: Case) -> str:
    return ANALYZERS[max((start for start in ANALYZERS if case["name"].startswith(start)), key=len)]


def documents(corpora: Path, case: Case) -> Documents:
    folder = corpora / CORPUS
    files = [folder / name.removeprefix("testdata/") for name in case["inputFiles"]]
    found = [document for file in files for document in documents_of(file.read_text(), file.name)]
    if config := case.get("meshConfigFile"):
        mesh = (folder / config.removeprefix("testdata/")).read_text()
        found += [d.with_data({**d.data, "data": {"mesh": mesh}}) for d in read_text(MESH_CONFIG)]
    return Documents(tuple(found))


def named(document: Document) -> str:
    """As Istio names it: with the namespace only where the document has one."""
    namespace = document.metadata.get("namespace")
    return f"{document.data['kind']} {namespace + '/' if namespace else ''}{document.name}"


def told(corpora: Path, case: Case) -> Counter[tuple[str, str]]:
    wanted = analyzer(case)
    found = (hit for name, hit in hits(documents(corpora, case)) if name == wanted)
    said = Counter((CODES[hit.code].name, named(hit.document)) for hit in found)
    return Counter({key: 1 if key[0] in TOLD_ONCE else count for key, count in said.items()})


def expected(case: Case) -> Counter[tuple[str, str]]:
    return Counter((name.removeprefix("$msg."), resource) for name, resource in case["expected"])


def test_istio_analyzers(corpora: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed: dict[str, str] = {}
    everything = dict(cases(corpora))
    for name, case in everything.items():
        said, wanted = told(corpora, case), expected(case)
        if not _supported(analyzer(case)):
            failed[name] = f"no analyzer {analyzer(case)}"
        elif said != wanted:
            failed[name] = f"missing {dict(wanted - said)}, extra {dict(said - wanted)}"
    with capsys.disabled():
        tell("istio analyzers", len(everything) - len(failed), len(everything))
    listed = known(CORPUS)
    assert {name: why for name, why in failed.items() if name not in listed} == {}, "not listed in misses.toml"
    assert listed.keys() - failed.keys() == set(), "listed as missed, and passed (or is no case)"


def _supported(name: str) -> bool:
    from meshtest.preflight.rules import CHECKS, ONE_CHECKS

    return name in {check.analyzer for check in (*CHECKS, *ONE_CHECKS)}
