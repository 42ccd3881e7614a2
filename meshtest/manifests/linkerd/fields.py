"""The field table of policy.linkerd.io/HTTPRoute (v1beta3): the shape of Gateway API's, without names and retries.

Filters that Linkerd lacks are read, so that it can be said that the route is not in force.
"""

from __future__ import annotations

from meshtest.manifests.fields import Fields, kind, leaves
from meshtest.manifests.gateway_api.fields import HTTP_FILTER, PARENTS, TARGET, VALUE_MATCH

HTTP_ROUTE = kind(
    Fields(
        read={
            **PARENTS,
            **leaves("hostnames"),
            "rules": Fields(
                read={
                    "matches": Fields(
                        read={
                            **leaves("method"),
                            "path": Fields(read=leaves("type value")),
                            "headers": VALUE_MATCH,
                            "queryParams": VALUE_MATCH,
                        }
                    ),
                    "filters": HTTP_FILTER,
                    "backendRefs": Fields(read={**TARGET, **leaves("weight"), "filters": HTTP_FILTER}),
                    "timeouts": Fields(read=leaves("request backendRequest")),
                },
            ),
        },
    )
)
