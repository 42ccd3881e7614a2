"""Moving traffic in a Linkerd mesh: HTTPRoutes of either group are edited as Gateway API's, and TrafficSplits. Pure.

Faults stand in the same backendRefs as the shares, so they are taken out for an edit, and put in again after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from meshtest.errors import UsageError
from meshtest.manifests.gateway_api import edits
from meshtest.manifests.linkerd import faults, split_edits
from meshtest.model.document import Documents
from meshtest.model.route import Fault, Match
from meshtest.model.topology import Topology


def set_weights(
    documents: Documents, topology: Topology, host: str, weights: Mapping[str, int], *, rule: str = ""
) -> Documents:
    if split_edits.of(documents, host):
        return split_edits.set_weights(documents, topology, host, weights)
    return _faults_apart(documents, topology, lambda d: edits.set_weights(d, topology, host, weights, rule=rule))


def set_match(documents: Documents, topology: Topology, host: str, match: Match, to: str) -> Documents:
    split_edits.refuse(documents, host, "conditions")
    return _faults_apart(documents, topology, lambda d: edits.set_match(d, topology, host, match, to))


def set_mirror(documents: Documents, host: str, *, percent: float) -> Documents:
    """There is nothing to add, and nothing to take away."""
    if not percent:
        return documents
    raise UsageError(
        f"Linkerd cannot mirror requests of {host}: it has no filter RequestMirror, and a route with one is not in "
        "force; mirror at a Gateway of another implementation, or in an Istio mesh"
    )


def set_fault(
    documents: Documents, topology: Topology, host: str, fault: Fault | None, *, match: Match | None = None
) -> Documents:
    if fault is None:
        return faults.without(documents, host)
    split_edits.refuse(documents, host, "faults")
    return faults.added(documents, topology, faults.Standing(host, fault, match))


def _faults_apart(documents: Documents, topology: Topology, edit: Callable[[Documents], Documents]) -> Documents:
    standing = faults.standing(documents)
    for one in standing:
        documents = faults.without(documents, one.host)
    documents = edit(documents)
    for one in standing:
        documents = faults.added(documents, topology, one)
    return documents
