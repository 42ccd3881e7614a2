"""The dialect of Services, Deployments, DaemonSets, and the Secrets and ConfigMaps with certificates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from meshtest.manifests.kubernetes.credentials import config_map as parse_config_map
from meshtest.manifests.kubernetes.credentials import secret as parse_secret
from meshtest.manifests.kubernetes.daemon_set import daemon_set as parse_daemon_set
from meshtest.manifests.kubernetes.deployment import deployment as parse_deployment
from meshtest.manifests.kubernetes.endpoint_slice import endpoint_slice as parse_slice
from meshtest.manifests.kubernetes.endpoint_slice import with_slices
from meshtest.manifests.kubernetes.service import service as parse_service
from meshtest.manifests.memo import Parsed
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.document import Documents
from meshtest.model.service import VERSION_LABELS, Workload
from meshtest.model.topology import Topology
from meshtest.spi.dialect import Compiled


class Kubernetes:
    """core/v1 Service, Secret, ConfigMap, apps/v1 Deployment and DaemonSet, and discovery/v1 EndpointSlice."""

    name = "kubernetes"
    kinds = frozenset(
        {"/Service", "/Secret", "/ConfigMap", "apps/Deployment", "apps/DaemonSet", "discovery.k8s.io/EndpointSlice"}
    )

    def compile(self, documents: Documents, topology: Topology) -> Compiled:
        services = [parse_service(d) for d in documents.of("/Service")]
        workloads = [
            *(parse_deployment(d) for d in documents.of("apps/Deployment")),
            *(parse_daemon_set(d) for d in documents.of("apps/DaemonSet")),
        ]
        secrets = [parse_secret(d) for d in documents.of("/Secret")]
        maps = [parse_config_map(d) for d in documents.of("/ConfigMap")]
        slices = [parse_slice(d) for d in documents.of("discovery.k8s.io/EndpointSlice")]
        credentials = [parsed.value for parsed in (*secrets, *maps) if parsed.value]
        notes = [n for told in (services, workloads, secrets, maps, slices) for n in _notes(told)]
        known = with_slices([p.value for p in services if p.value], [p.value for p in slices if p.value], notes)
        topology = replace(
            topology,
            services=(*topology.services, *known),
            workloads=(*topology.workloads, *(p.value for p in workloads if p.value)),
            credentials={**topology.credentials, **{c.key: c for c in credentials}},
        )
        return Compiled(topology, (*notes, *duplicate_versions(topology)))


def _notes(parsed: Iterable[Parsed[Any]]) -> Iterator[Diagnostic]:
    for one in parsed:
        yield from one.notes


def duplicate_versions(topology: Topology) -> Iterator[Diagnostic]:
    """Two workloads of one service with one version label: no subset could tell them apart."""
    told: set[tuple[str, str]] = set()
    for service in topology.services:
        seen: dict[str, Workload] = {}
        for workload in topology.backends(service):
            version = next((workload.labels[name] for name in VERSION_LABELS if name in workload.labels), "")
            first = seen.setdefault(version, workload) if version else workload
            if first is workload or (first.name, workload.name) in told:
                continue
            told.add((first.name, workload.name))
            text = (
                f"Workloads `{first.name}` ({first.source}) and `{workload.name}` are both version {version!r} of "
                f"service `{service.name}`; give each a `version` label of its own"
            )
            yield Diagnostic(Severity.ERROR, "duplicate-version", text, workload.source)


KUBERNETES = Kubernetes()
