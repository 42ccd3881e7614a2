"""The field table of policy.linkerd.io/HTTPRoute (v1beta3): the shape of Gateway API's, without names and retries.

Filters that Linkerd lacks are read, so that it can be said that the route is not in force.
"""

from __future__ import annotations

from meshtest.manifests.fields import Fields, kind, leaves
from meshtest.manifests.gateway_api.fields import HTTP_BACKENDS, HTTP_FILTER, HTTP_MATCHES, PARENTS, TIMEOUTS

HTTP_ROUTE = kind(
    Fields(
        read={
            **PARENTS,
            **leaves("hostnames"),
            "rules": Fields(
                read={
                    "matches": HTTP_MATCHES,
                    "filters": HTTP_FILTER,
                    "backendRefs": HTTP_BACKENDS,
                    "timeouts": TIMEOUTS,
                },
            ),
        },
    )
)
