"""The dialect of Gateway API: Gateways, ListenerSets, routes for gateways and for the mesh (GAMMA), backend TLS.

kinds.py, fields.py                  names of kinds; field tables
gateway.py, *_route*.py, policy.py   one document each, with the defaults of its CRD
references.py                        parentRefs, backendRefs, ReferenceGrants
matches.py, filters.py               parts of rules in neutral terms
listeners.py                         listeners in force: conflicts, certificates, ListenerSets
attachment.py                        parentRefs against listeners
backends.py                          backendRefs against Services and grants
tables.py                            all of that as route tables
statuses.py                          what a controller would write back
edits.py                             moving traffic
compilation.py, dialect.py           all of it together; what imports that when there is need
"""

from __future__ import annotations

from meshtest.manifests.gateway_api.dialect import GATEWAY_API, GatewayApi

__all__ = ["GATEWAY_API", "GatewayApi"]
