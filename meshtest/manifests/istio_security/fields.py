"""Field tables of AuthorizationPolicy, RequestAuthentication and EnvoyFilter, compared with Istio's CRDs by a test."""

from __future__ import annotations

from meshtest.manifests.fields import Fields, kind, leaves

SELECTOR = Fields(read=leaves("matchLabels"))
TARGET = Fields(read=leaves("group kind name namespace"))
ATTACHMENT = {"selector": SELECTOR, "targetRef": TARGET, "targetRefs": TARGET}

SOURCE = Fields(
    read=leaves(
        "principals notPrincipals requestPrincipals notRequestPrincipals namespaces notNamespaces serviceAccounts "
        "notServiceAccounts trustDomains notTrustDomains ipBlocks notIpBlocks remoteIpBlocks notRemoteIpBlocks"
    )
)
OPERATION = Fields(read=leaves("hosts notHosts ports notPorts methods notMethods paths notPaths"))

RULE = Fields(
    read={
        "from": Fields(read={"source": SOURCE}),
        "to": Fields(read={"operation": OPERATION}),
        "when": Fields(read=leaves("key values notValues")),
    }
)

AUTHORIZATION_POLICY = kind(
    Fields(read={**leaves("action"), "provider": Fields(read=leaves("name")), "rules": RULE, **ATTACHMENT})
)

JWT_RULE = Fields(
    read={
        **leaves(
            "issuer audiences jwks jwksUri jwks_uri fromParams fromCookies outputPayloadToHeader forwardOriginalToken "
            "timeout presence spaceDelimitedClaims"
        ),
        "fromHeaders": Fields(read=leaves("name prefix")),
        "outputClaimToHeaders": Fields(read=leaves("header claim")),
    }
)

REQUEST_AUTHENTICATION = kind(Fields(read={"jwtRules": JWT_RULE, **ATTACHMENT}))

_WAYPOINT = "there are no waypoints: proxies are sidecars and gateways"

FILTER_CHAIN = Fields(
    read={
        **leaves("name sni transportProtocol applicationProtocols destinationPort"),
        "filter": Fields(read={**leaves("name"), "subFilter": Fields(read=leaves("name"))}),
    },
    unsupported={"transportSocket": "match the filter chain by transportProtocol or name"},
)

PATCH_MATCH = Fields(
    read={
        **leaves("context"),
        "listener": Fields(
            read={**leaves("name portNumber"), "filterChain": FILTER_CHAIN},
            unsupported={
                "portName": "Istio does not implement it either; use portNumber",
                "listenerFilter": "listener filters are not patched",
            },
        ),
        "routeConfiguration": Fields(
            read={
                **leaves("name portNumber gateway"),
                "vhost": Fields(read={**leaves("name domainName"), "route": Fields(read=leaves("name action"))}),
            },
            unsupported={"portName": "use portNumber"},
        ),
        "cluster": Fields(read=leaves("name portNumber service subset")),
        "waypoint": Fields(
            read=leaves("portNumber"),
            unsupported={"filter": _WAYPOINT, "route": _WAYPOINT},
        ),
    },
    unsupported={"proxy": "every proxy is the installed Envoy, without Istio's metadata: the patch counts for all"},
)

ENVOY_FILTER = kind(
    Fields(
        read={
            **leaves("priority"),
            "workloadSelector": Fields(read=leaves("labels")),
            "targetRefs": TARGET,
            "configPatches": Fields(
                read={
                    **leaves("applyTo"),
                    "match": PATCH_MATCH,
                    "patch": Fields(
                        read=leaves("operation value"),
                        unsupported={"filterClass": "say where by INSERT_BEFORE or INSERT_AFTER and a subFilter"},
                    ),
                }
            ),
        }
    )
)
