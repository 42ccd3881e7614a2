"""The TrafficSplit of a Canary for Linkerd. Rules: fluxcd/flagger pkg/router/smi.go."""

from __future__ import annotations

from meshtest.model.document import Document, Documents, Path
from meshtest.rollouts.canary.objects.origin import Origin
from meshtest.rollouts.canary.spec import Canary
from meshtest.rollouts.canary.state import Routes

API = "split.smi-spec.io/v1alpha1/TrafficSplit"


def routed(canary: Canary, documents: Documents, routes: Routes) -> list[Document]:
    service = canary.service
    backends = [
        {"service": service.canary, "weight": str(routes.canary)},
        {"service": service.primary, "weight": str(routes.primary)},
    ]
    spec = {"service": next(iter(service.hosts), service.name), "backends": backends}
    places: dict[Path, Path] = {
        ("spec", "service"): ("spec", "service", "hosts") if service.hosts else ("spec", "service", "name")
    }
    return [Origin.of(canary, documents).made(API, service.name, {"spec": spec}, places)]
