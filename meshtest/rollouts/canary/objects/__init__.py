"""What Flagger makes of a Canary, as documents: pure, from documents to documents.

    origin.py       made documents stand where the Canary stands; refusals with file:line
    target.py       the Deployment or DaemonSet it is about, its label and ports
    primary.py      `<target>-primary`; configs.py its ConfigMaps and Secrets; scalers.py its autoscaler
    services.py     apex, `-primary`, `-canary`
    istio.py, gateway_api.py (with filters.py and matches.py), smi.py   routes, by provider
    revision.py     what version the target is

The steps of a rollout (rollouts/canary/steps.py) and what performs them:

    CreatePrimary   created()     primary and Services; an apex that was there is left alone until the primary is ready
    Scale           scaled()      to zero: with the apex in front of the primary first (taken_over), its autoscaler
                                  copied and the canary's paused
    CreateRoutes    routed()      takes the apex over, and the route
    SetRoutes       routed()      the weights, the mirror, the cookies
    Promote         promoted()    the primary gets the target's pods, and the bounds of its autoscaler

Equal to fluxcd/flagger at 15bd6ad (1.44.0): tests/conformance/test_flagger_objects.py. Not here: when (tick.py), owner
references.
"""

from __future__ import annotations

from meshtest.manifests import patch
from meshtest.manifests.kubernetes import daemon_set
from meshtest.model.document import Document, Documents
from meshtest.rollouts.canary import routers
from meshtest.rollouts.canary.objects import configs, gateway_api, istio, primary, scalers, services, smi
from meshtest.rollouts.canary.objects.origin import Origin
from meshtest.rollouts.canary.objects.revision import label_of as label_of
from meshtest.rollouts.canary.objects.revision import target_of as target_of
from meshtest.rollouts.canary.objects.scalers import held as held
from meshtest.rollouts.canary.objects.scalers import named as scaler_of
from meshtest.rollouts.canary.objects.target import Workload, workload
from meshtest.rollouts.canary.spec import Canary
from meshtest.rollouts.canary.state import Routes, Status

__all__ = ["created", "held", "label_of", "promoted", "routed", "scaled", "scaler_of", "taken_over", "target_of"]


def created(canary: Canary, documents: Documents) -> Documents:
    """With the primary and the Services. A primary that is there stays as it is."""
    if not canary.runs_pods:
        return documents.apply(services.copies(canary, documents))
    target = workload(canary, documents)
    made = services.of_both(canary, documents, target)
    if primary.existing(target, documents) is None:
        made += [*configs.copies(target, documents), primary.made(target, documents)]
    if services.existing(canary, documents, canary.service.name) is None:
        made.append(services.apex(canary, documents, target))
    return documents.apply(made)


def taken_over(canary: Canary, documents: Documents) -> Documents:
    """With the apex Service in front of the primary: what clients name selects the target no more."""
    if not canary.runs_pods:
        return documents.apply(services.copies(canary, documents))
    target = workload(canary, documents)
    return documents.apply([*services.of_both(canary, documents, target), services.apex(canary, documents, target)])


def scaled(canary: Canary, documents: Documents, replicas: int) -> Documents:
    """With so many replicas of the target. At zero nobody may be sent to it: the apex is taken over. A DaemonSet has
    all or none."""
    if not canary.runs_pods:
        return documents
    target = workload(canary, documents)
    if replicas:
        return documents.apply([_sized(target, replicas), *scalers.resumed(canary, documents)])
    rested = [*scalers.copies(canary, documents), *scalers.paused(canary, documents)]
    return taken_over(canary, documents.apply([_sized(target, 0), *rested]))


def _sized(target: Workload, replicas: int) -> Document:
    if target.is_daemon_set:
        return daemon_set.from_zero(target.document) if replicas else daemon_set.at_zero(target.document)
    return patch.put(target.document, ("spec", "replicas"), replicas)


def routed(canary: Canary, documents: Documents, routes: Routes, status: Status) -> Documents:
    """With the provider's routes; `status`: of before or after the step, cookies follow from either."""
    documents = taken_over(canary, documents)
    if refusal := routers.refusal(canary):
        raise Origin.of(canary, documents).refuse("missing-field", refusal, "spec", "service")
    if not routers.moves_traffic(canary):
        return documents
    routes = routers.written(canary, routes)
    return documents.apply(_routes(canary, documents, routes, status))


def _routes(canary: Canary, documents: Documents, routes: Routes, status: Status) -> list[Document]:
    family = routers.family(canary.provider)
    if family == routers.GATEWAY_API:
        return gateway_api.routed(canary, documents, routes, status)
    if family == routers.LINKERD:
        return smi.routed(canary, documents, routes)
    return istio.routed(canary, documents, routes, status)


def promoted(canary: Canary, documents: Documents) -> Documents:
    """With the target's pods, and its configuration, in the primary."""
    if not canary.runs_pods:
        return documents.apply([services.promoted_copy(canary, documents)])
    target = workload(canary, documents)
    old = primary.existing(target, documents) or primary.made(target, documents)
    new = primary.promoted(canary, target, documents, old)
    scaler = scalers.copies(canary, documents, again=True)
    return documents.apply([*configs.copies(target, documents), new, *scaler])
