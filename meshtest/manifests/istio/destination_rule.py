"""DestinationRule: subsets, and the policy of each with the host's policy below it.

Not here: several rules of one host (policies.py), whether host and subsets exist (links.py).
"""

from __future__ import annotations

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.istio import names
from meshtest.manifests.istio.fields import DESTINATION_RULE
from meshtest.manifests.istio.traffic_policy import NOTHING, Policies, traffic_policy
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import Diagnostic, Source
from meshtest.model.document import Document
from meshtest.model.service import Labels


@dataclass(frozen=True, kw_only=True)
class RawSubset:
    """A subset before the host's policy is laid under it."""

    name: str
    labels: Labels
    policies: Policies
    source: Source


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One DestinationRule by itself."""

    host: str
    """Fully qualified, or a wildcard."""
    namespace: str
    age: tuple[str, str, str]
    visible_to: tuple[str, ...]
    """Namespaces whose callers it is for; empty: all of them."""
    policies: Policies | None
    subsets: tuple[RawSubset, ...]
    source: Source


@per_document
def destination_rule(document: Document, notes: list[Diagnostic]) -> Rule | None:
    view = View.of(document, DESTINATION_RULE, notes)
    metadata(view)
    spec = view.child("spec")
    if spec is None or not spec.require("host"):
        view.require("spec")
        return None
    policy = spec.child("trafficPolicy")
    return Rule(
        host=names.fqdn(spec.string("host"), document.namespace),
        namespace=document.namespace,
        age=names.age(document),
        visible_to=names.visible_to(spec.strings("exportTo") or ("*",), document.namespace),
        policies=traffic_policy(policy) if policy else None,
        subsets=tuple(_subset(s) for s in spec.children("subsets")),
        source=document.where(),
    )


def _subset(view: View) -> RawSubset:
    view.require("name")
    policy = view.child("trafficPolicy")
    return RawSubset(
        name=view.string("name"),
        labels=view.string_map("labels"),
        policies=traffic_policy(policy) if policy else NOTHING,
        source=view.source(),
    )
