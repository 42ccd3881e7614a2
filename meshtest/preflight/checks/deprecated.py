"""Fields and kinds that Istio no longer reads, or will not for long.

Upstream: istio/istio pkg/config/analysis/analyzers/deprecation/deprecation.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.model.document import Document
from meshtest.preflight.dig import at, number, objects, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import SIDECAR, VIRTUAL_SERVICE
from meshtest.preflight.rules import each

ANALYZER = "deprecation.DeprecationAnalyzer"
CRD = "apiextensions.k8s.io/CustomResourceDefinition"
REMOVED = frozenset({"ClusterRbacConfig", "RbacConfig", "ServiceRole", "ServiceRoleBinding"})
"""Kinds of rbac.istio.io, removed in Istio 1.6."""


@each(VIRTUAL_SERVICE, analyzer=ANALYZER)
def percent(document: Document) -> Iterator[Hit]:
    """IST0002: `fault.delay.percent` gave way to `percentage`."""
    for index, rule in objects(document.data, "spec", "http"):
        if (number(rule, "fault", "delay", "percent") or 0) > 0:
            path = ("spec", "http", index, "fault", "delay", "percent")
            fix = "Write `percentage: {value: N}`."
            yield Hit("IST0002", document, path, "`fault.delay.percent` is deprecated", fix)


@each(SIDECAR, analyzer=ANALYZER)
def egress_proxy(document: Document) -> Iterator[Hit]:
    """IST0002: nobody reads `outboundTrafficPolicy.egressProxy`."""
    if at(document.data, "spec", "outboundTrafficPolicy", "egressProxy") is not None:
        path = ("spec", "outboundTrafficPolicy", "egressProxy")
        yield Hit("IST0002", document, path, "`outboundTrafficPolicy.egressProxy` is ignored", "Remove it.")


@each(CRD, analyzer=ANALYZER)
def removed_kinds(document: Document) -> Iterator[Hit]:
    """IST0002: definitions of kinds that are gone."""
    kind = text(document.data, "spec", "names", "kind")
    if text(document.data, "spec", "group") == "rbac.istio.io" and kind in REMOVED:
        path = ("spec", "names", "kind")
        fix = "Use AuthorizationPolicy."
        yield Hit("IST0002", document, path, f"the kind {kind} of rbac.istio.io is removed", fix)
