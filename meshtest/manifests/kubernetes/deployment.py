"""Deployment: one version of a service, as pods of one template."""

from __future__ import annotations

from meshtest.manifests.kubernetes.fields import DEPLOYMENT
from meshtest.manifests.kubernetes.template import Template
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document
from meshtest.model.service import Workload

NONE_OF = (0, "0%")


@per_document
def deployment(document: Document, notes: list[Diagnostic]) -> Workload | None:
    """None if the Deployment has no pod template."""
    template = Template.of(View.of(document, DEPLOYMENT, notes))
    if template is None:
        return None
    surge, unavailable, recreate = _strategy(template.spec)
    replicas = template.spec.integer("replicas", least=0)
    return template.workload(
        replicas=1 if replicas is None else replicas, max_surge=surge, max_unavailable=unavailable, recreate=recreate
    )


def _strategy(spec: View) -> tuple[int | str, int | str, bool]:
    """(maxSurge, maxUnavailable, Recreate)"""
    strategy = spec.child("strategy")
    if strategy is None:
        return "25%", "25%", False
    if strategy.choice("type", ("RollingUpdate", "Recreate"), "RollingUpdate") == "Recreate":
        return 0, "100%", True
    rolling = strategy.child("rollingUpdate")
    if rolling is None:
        return "25%", "25%", False
    surge, unavailable = (rolling.int_or_percent(key, "25%") for key in ("maxSurge", "maxUnavailable"))
    if surge in NONE_OF and unavailable in NONE_OF:
        rolling.error("bad-value", f"{rolling.name()}: maxSurge and maxUnavailable may not both be 0")
    return surge, unavailable, False
