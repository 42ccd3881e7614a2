"""Linkerd: HTTPRoutes of policy.linkerd.io, the annotations of its retries, timeouts and failure accrual.

    kinds.py        which documents make a mesh a Linkerd mesh
    fields.py       the field table of policy.linkerd.io/HTTPRoute
    annotations.py  what the annotations of one object say
    traffic_split.py  SMI's TrafficSplit, and split_edits.py its weights
    services.py     Services with annotations: opaque ports, accrual, routes of their own
    edits.py        moving traffic: HTTPRoutes of either group
    faults.py       faults without a filter for them: a weighted backend that only fails
    compilation.py  all of it together, behind the dialects of Gateway API and Istio
    dialect.py      what imports that when there is need

What Linkerd cannot do is not done here either: it has no mirroring, no rewriting and no delays.
"""

from meshtest.manifests.linkerd.dialect import LINKERD as LINKERD

__all__ = ["LINKERD"]
