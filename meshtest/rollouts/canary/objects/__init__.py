"""What Flagger makes of a Canary, as documents: pure, from documents to documents.

    origin.py       made documents stand where the Canary stands; refusals with file:line
    target.py       the Deployment it is about, its label and ports
    primary.py      `<target>-primary`; configs.py its ConfigMaps and Secrets
    services.py     apex, `-primary`, `-canary`
    istio.py, gateway_api.py (with filters.py and matches.py), smi.py   routes, by provider
    revision.py     what version the target is

The steps of a rollout (rollouts/canary/steps.py) and what performs them:

    CreatePrimary   created()     primary and Services; an apex that was there is left alone until the primary is ready
    Scale           scaled()      to zero: with the apex in front of the primary first (taken_over)
    CreateRoutes    routed()      takes the apex over, and the route
    SetRoutes       routed()      the weights, the mirror, the cookies
    Promote         promoted()    the primary gets the target's pods

Equal to fluxcd/flagger at 15bd6ad (1.44.0): tests/conformance/test_flagger_objects.py. Not here: when (tick.py), owner
references, the copy of the autoscaler.
"""

from __future__ import annotations

from meshtest.manifests import patch
from meshtest.model.document import Document, Documents
from meshtest.rollouts.canary import routers
from meshtest.rollouts.canary.objects import configs, gateway_api, istio, primary, services, smi
from meshtest.rollouts.canary.objects.origin import Origin
from meshtest.rollouts.canary.objects.revision import label_of as label_of
from meshtest.rollouts.canary.objects.revision import target_of as target_of
from meshtest.rollouts.canary.objects.target import workload
from meshtest.rollouts.canary.spec import Canary
from meshtest.rollouts.canary.state import Routes, Status

__all__ = ["created", "label_of", "promoted", "routed", "scaled", "taken_over", "target_of"]


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
    """With so many replicas of the target. At zero nobody may be sent to it: the apex is taken over."""
    if not canary.runs_pods:
        return documents
    target = workload(canary, documents).document
    changed = documents.apply([patch.put(target, ("spec", "replicas"), replicas)])
    return changed if replicas else taken_over(canary, changed)


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
    return documents.apply([*configs.copies(target, documents), primary.promoted(canary, target, documents, old)])
