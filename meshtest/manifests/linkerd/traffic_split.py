"""SMI's TrafficSplit: requests to one Service go to others, by weight. Not here: moving it (split_edits.py).

As Linkerd's extension linkerd-smi does it, which writes the backends into a ServiceProfile (`dstOverrides`): no weight
is no backend (linkerd2-proxy, service-profiles, convert_dst_override), so a split of nothing but zeros is none; and a
ServiceProfile puts HTTPRoutes and the annotations of retries and timeouts out of force.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import gcd

from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, nearest
from meshtest.manifests.fields import Fields, kind, leaves
from meshtest.manifests.memo import per_document
from meshtest.manifests.quantities import quantity
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import Diagnostic, Severity, Source
from meshtest.model.document import Document
from meshtest.model.route import Destination, Match, Route, RouteTable, StreamMatch, StreamRoute
from meshtest.model.service import DOMAIN, Service

UNREACHABLE = 503
"""What Linkerd's proxy answers for a backend that there is not."""

FIELDS = kind(
    Fields(
        read={**leaves("service"), "backends": Fields(read=leaves("service weight"))},
        unsupported={"matches": "Linkerd's extension does not read it, and splits every request"},
    )
)


@dataclass(frozen=True, kw_only=True)
class Backend:
    """One Service with its weight; weights are in proportion to one another."""

    service: str
    weight: int
    source: Source


@dataclass(frozen=True, kw_only=True)
class Split:
    """A TrafficSplit as it stands."""

    name: str
    namespace: str
    service: str
    backends: tuple[Backend, ...]
    created: str = ""
    source: Source
    apex: Source
    """Where `spec.service` stands."""

    def host(self, service: str) -> str:
        """Backends and service are of the split's own namespace."""
        return f"{service}.{self.namespace}.svc.{DOMAIN}"

    def __str__(self) -> str:
        return f"TrafficSplit `{self.namespace}/{self.name}`"


@per_document
def traffic_split(document: Document, notes: list[Diagnostic]) -> Split | None:
    view = View.of(document, FIELDS, notes)
    metadata(view)
    spec = view.child("spec") if view.require("spec") else None
    if spec is None:
        return None
    backends = spec.children("backends")
    if not (spec.require("service") and spec.require("backends")):
        return None
    weights = [_weight(one) for one in backends]
    found = [
        Backend(service=one.string("service"), weight=weight, source=one.source())
        for one, weight in zip(backends, _whole(weights), strict=True)
        if one.require("service")
    ]
    return Split(
        name=document.name, namespace=document.namespace, service=spec.string("service"), backends=tuple(found),
        created=str(document.metadata.get("creationTimestamp") or ""), source=document.where(),
        apex=spec.source("service"),
    )  # fmt: skip


def _weight(view: View) -> Fraction:
    """A quantity: `10`, `"500m"`."""
    if not view.require("weight"):
        return Fraction()
    value = view.data["weight"]
    found = None if isinstance(value, bool) else quantity(str(value))
    if found is None or found < 0:
        view.error("bad-value", f"{view.name('weight')} must be a quantity such as 10 or 500m, not {value!r}", "weight")
        return Fraction()
    return found


def _whole(weights: list[Fraction]) -> list[int]:
    """The same shares as whole numbers; those that are whole stay as they are."""
    common = 1
    for weight in weights:
        common = common * weight.denominator // gcd(common, weight.denominator)
    return [int(weight * common) for weight in weights]


def table(split: Split, services: Mapping[str, Service], notes: list[Diagnostic]) -> RouteTable | None:
    """Its routes; None if it does not come into force, with the reason in `notes`."""
    apex = services.get(split.host(split.service))
    if apex is None:
        near = nearest(split.service, [s.name for s in services.values() if s.namespace == split.namespace])
        hint = f"; did you mean `{near}`?" if near else ""
        text = f"{split} is not in force: there is no Service `{split.service}` in its namespace{hint}"
        notes.append(Diagnostic(Severity.WARNING, "unknown-host", text, split.apex))
        return None
    if not any(backend.weight for backend in split.backends):
        text = f"{split} is not in force: no backend has a weight, so requests go to `{split.service}` itself"
        notes.append(Diagnostic(Severity.WARNING, "no-weight", text, split.source))
        return None
    notes += _missing(split, apex, services)
    return RouteTable(
        name=split.name, namespace=split.namespace, hosts=(apex.fqdn,), routes=tuple(_routes(split, apex, services)),
        tcp=tuple(_streams(split, apex, services)), order="specific", kind="TrafficSplit", created=split.created,
        source=split.source,
    )  # fmt: skip


def _missing(split: Split, apex: Service, services: Mapping[str, Service]) -> Iterator[Diagnostic]:
    for backend in split.backends:
        service = services.get(split.host(backend.service))
        wrong = [port.number for port in apex.ports if service and port.number not in _numbers(service)]
        if service is None:
            text = f"there is no Service `{backend.service}` in namespace `{split.namespace}`"
        elif wrong:
            text = f"Service `{backend.service}` has no port {listed(map(str, wrong))}, which `{apex.name}` has"
        else:
            continue
        outcome = f"its share of the requests gets {UNREACHABLE}"
        yield Diagnostic(Severity.WARNING, "unknown-backend", f"{split}: {text}; {outcome}", backend.source)


def _numbers(service: Service) -> set[int]:
    return {port.number for port in service.ports}


def _routes(split: Split, apex: Service, services: Mapping[str, Service]) -> Iterator[Route]:
    """One a port; backends are called on the port that was asked for."""
    resting = tuple(host for one in split.backends if not one.weight and (host := split.host(one.service)) in services)
    for port in apex.ports:
        if port.protocol == "tcp":
            continue
        yield Route(
            match=Match(port=port.number), destinations=tuple(_destinations(split, port.number, services)),
            resting=resting, source=split.source,
        )  # fmt: skip


def _streams(split: Split, apex: Service, services: Mapping[str, Service]) -> Iterator[StreamRoute]:
    for port in apex.ports:
        if port.protocol == "tcp":
            found = tuple(d for d in _destinations(split, port.number, services) if not d.broken)
            yield StreamRoute(match=StreamMatch(port=port.number), destinations=found, source=split.source)


def _destinations(split: Split, port: int, services: Mapping[str, Service]) -> Iterator[Destination]:
    for backend in split.backends:
        service = services.get(split.host(backend.service))
        if not backend.weight:
            continue
        if service is None or port not in _numbers(service):
            yield Destination(host="", port=0, weight=backend.weight, broken=UNREACHABLE, source=backend.source)
        else:
            yield Destination(host=service.fqdn, port=port, weight=backend.weight, source=backend.source)
