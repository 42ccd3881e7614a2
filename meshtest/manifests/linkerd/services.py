"""Services with Linkerd's annotations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.linkerd.annotations import Annotations, Timeouts
from meshtest.manifests.memo import per_document
from meshtest.model.diagnostic import NOWHERE, Diagnostic, Severity, Source
from meshtest.model.document import Document
from meshtest.model.policy import HostPolicy, OutlierDetection, TrafficPolicy
from meshtest.model.route import Destination, Retry, Route, RouteTable
from meshtest.model.service import Service

UNLIMITED = Timeouts()

OPAQUE = "config.linkerd.io/opaque-ports"


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What the annotations of one object ask for."""

    retry: Retry | None = None
    grpc_retry: Retry | None = None
    retries_set: bool = False
    timeouts: Timeouts = UNLIMITED
    timeouts_set: bool = False
    accrual: OutlierDetection | None = None
    opaque: tuple[range, ...] = ()
    """Port numbers whose bytes the proxy does not look at."""
    source: Source = NOWHERE


@per_document
def wishes(document: Document, notes: list[Diagnostic]) -> Wishes:
    found = Annotations(document, notes)
    found.unknown()
    return Wishes(
        retry=found.retry(grpc=False),
        grpc_retry=found.retry(grpc=True) if found.retries_grpc else None,
        retries_set=found.retries_set,
        timeouts=found.timeouts(),
        timeouts_set=found.timeouts_set,
        accrual=found.accrual(),
        opaque=tuple(_ports(document, notes)),
        source=document.where("metadata", "annotations"),
    )


def _ports(document: Document, notes: list[Diagnostic]) -> Iterator[range]:
    """`25,3306,4000-4100`"""
    annotations = document.metadata.get("annotations") or {}
    text = annotations.get(OPAQUE) if isinstance(annotations, dict) else None
    for word in filter(None, (part.strip() for part in str(text or "").split(","))):
        low, _, high = word.partition("-")
        if low.isdecimal() and (high or low).isdecimal() and 0 < int(low) <= int(high or low) < 65536:
            yield range(int(low), int(high or low) + 1)
        else:
            message = f"`{OPAQUE}`: {word!r} is no port; write numbers and ranges, as in 25,4000-4100"
            where = document.where("metadata", "annotations", OPAQUE)
            notes.append(Diagnostic(Severity.ERROR, "bad-value", message, where))


def with_opaque_ports(service: Service, asked: Wishes) -> Service:
    """Opaque ports carry bytes, not requests."""
    ports = tuple(replace(p, protocol="tcp") if any(p.number in r for r in asked.opaque) else p for p in service.ports)
    return replace(service, ports=ports) if ports != service.ports else service


def table(service: Service, asked: Wishes) -> RouteTable | None:
    """For a Service without routes: every request goes to it, with its retries and timeouts."""
    if not (asked.retry or asked.grpc_retry or asked.timeouts.request):
        return None
    route = Route(
        name="default",
        destinations=(Destination(host=service.fqdn, port=0, source=asked.source),),
        retry=asked.retry or asked.grpc_retry,
        timeout=asked.timeouts.request,
        source=asked.source,
    )
    return RouteTable(
        name=service.name,
        namespace=service.namespace,
        hosts=(service.fqdn,),
        routes=(route,),
        order="specific",
        kind="Service",
        source=asked.source,
    )


def policy(service: Service, asked: Wishes) -> HostPolicy | None:
    if asked.accrual is None:
        return None
    return HostPolicy(host=service.fqdn, policy=TrafficPolicy(outlier_detection=asked.accrual), source=asked.source)
