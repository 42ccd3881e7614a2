"""Field tables of Gateway API's kinds, compared with the CRDs by a test."""

from __future__ import annotations

from meshtest.manifests.fields import METADATA, Fields, kind, leaves, words

PARENT = Fields(read=leaves("group kind name namespace sectionName port"))
PARENTS = {"parentRefs": PARENT}
REFERENCE = Fields(read=leaves("group kind name namespace"))
TARGET = leaves("group kind name namespace port")

HEADER_VALUE = Fields(read=leaves("name value"))
VALUE_MATCH = Fields(read=leaves("name type value"))
HEADER_EDITS = Fields(read={"set": HEADER_VALUE, "add": HEADER_VALUE, **leaves("remove")})
PATH_EDIT = Fields(read=leaves("type replaceFullPath replacePrefixMatch"))
NOT_EXTENDED = "this filter is left out: it is a kind of its own implementation"

MIRROR = Fields(
    read={
        "backendRef": Fields(read=TARGET),
        **leaves("percent"),
        "fraction": Fields(read=leaves("numerator denominator")),
    }
)
GRPC_FILTER = Fields(
    read={
        **leaves("type"),
        "requestHeaderModifier": HEADER_EDITS,
        "responseHeaderModifier": HEADER_EDITS,
        "requestMirror": MIRROR,
    },
    unsupported={"extensionRef": NOT_EXTENDED},
)
HTTP_FILTER = Fields(
    read={
        **GRPC_FILTER.read,
        "requestRedirect": Fields(read={**leaves("scheme hostname port statusCode"), "path": PATH_EDIT}),
        "urlRewrite": Fields(read={**leaves("hostname"), "path": PATH_EDIT}),
        "cors": Fields(
            read=leaves("allowOrigins allowMethods allowHeaders exposeHeaders maxAge allowCredentials"),
        ),
    },
    unsupported={
        "extensionRef": NOT_EXTENDED,
        "externalAuth": "this filter is left out, and requests pass unasked",
    },
)

HTTP_MATCHES = Fields(
    read={
        **leaves("method"),
        "path": Fields(read=leaves("type value")),
        "headers": VALUE_MATCH,
        "queryParams": VALUE_MATCH,
    }
)
HTTP_BACKENDS = Fields(read={**TARGET, **leaves("weight"), "filters": HTTP_FILTER})
TIMEOUTS = Fields(read=leaves("request backendRequest"))

HTTP_ROUTE = kind(
    Fields(
        read={
            **PARENTS,
            **leaves("hostnames"),
            "rules": Fields(
                read={
                    **leaves("name"),
                    "matches": HTTP_MATCHES,
                    "filters": HTTP_FILTER,
                    "backendRefs": HTTP_BACKENDS,
                    "timeouts": TIMEOUTS,
                    "retry": Fields(read=leaves("codes attempts backoff")),
                },
                unsupported={
                    "sessionPersistence": "requests of one session go to any pod; use a DestinationRule's "
                    "consistentHash",
                },
            ),
        },
        unsupported={"useDefaultGateways": "name the Gateways in parentRefs"},
    )
)

GRPC_ROUTE = kind(
    Fields(
        read={
            **PARENTS,
            **leaves("hostnames"),
            "rules": Fields(
                read={
                    **leaves("name"),
                    "matches": Fields(
                        read={"method": Fields(read=leaves("type service method")), "headers": VALUE_MATCH}
                    ),
                    "filters": GRPC_FILTER,
                    "backendRefs": Fields(read={**TARGET, **leaves("weight"), "filters": GRPC_FILTER}),
                },
                unsupported={
                    "sessionPersistence": "requests of one session go to any pod; use a DestinationRule's "
                    "consistentHash",
                },
            ),
        },
        unsupported={"useDefaultGateways": "name the Gateways in parentRefs"},
    )
)

STREAM_RULE = Fields(read={**leaves("name"), "backendRefs": Fields(read={**TARGET, **leaves("weight")})})
NO_DEFAULTS = {"useDefaultGateways": "name the Gateways in parentRefs"}
TLS_ROUTE = kind(Fields(read={**PARENTS, **leaves("hostnames"), "rules": STREAM_RULE}, unsupported=NO_DEFAULTS))
TCP_ROUTE = kind(Fields(read={**PARENTS, "rules": STREAM_RULE}, unsupported=NO_DEFAULTS))

EXPRESSION = Fields(read=leaves("key operator values"))
NAMESPACES = Fields(
    read={**leaves("from"), "selector": Fields(read={**leaves("matchLabels"), "matchExpressions": EXPRESSION})}
)
LISTENER = Fields(
    read={
        **leaves("name hostname port protocol"),
        "tls": Fields(read={**leaves("mode"), "certificateRefs": REFERENCE}, unused=words("options")),
        "allowedRoutes": Fields(read={"namespaces": NAMESPACES, "kinds": Fields(read=leaves("group kind"))}),
    }
)
VALIDATION = Fields(read={**leaves("mode"), "caCertificateRefs": REFERENCE})
FRONTEND_TLS = Fields(read={"validation": VALIDATION})

GATEWAY = kind(
    Fields(
        read={
            **leaves("gatewayClassName"),
            "listeners": LISTENER,
            "allowedListeners": Fields(read={"namespaces": NAMESPACES}),
            "tls": Fields(
                read={
                    "frontend": Fields(
                        read={
                            "default": FRONTEND_TLS,
                            "perPort": Fields(read={**leaves("port"), "tls": FRONTEND_TLS}),
                        }
                    ),
                    "backend": Fields(read={"clientCertificateRef": REFERENCE}),
                }
            ),
        },
        unused=words("addresses infrastructure defaultScope"),
    )
)
LISTENER_SET = kind(Fields(read={"parentRef": REFERENCE, "listeners": LISTENER}))

GATEWAY_CLASS = kind(Fields(read=leaves("controllerName"), unused=words("description parametersRef")))

REFERENCE_GRANT = kind(
    Fields(
        read={
            "from": Fields(read=leaves("group kind namespace")),
            "to": Fields(read=leaves("group kind name")),
        }
    )
)

BACKEND_TLS_POLICY = kind(
    Fields(
        read={
            "targetRefs": Fields(read=leaves("group kind name sectionName")),
            "validation": Fields(
                read={
                    **leaves("hostname wellKnownCACertificates"),
                    "caCertificateRefs": Fields(read=leaves("group kind name")),
                    "subjectAltNames": Fields(read=leaves("type hostname uri")),
                }
            ),
        },
        unused=words("options"),
    )
)

NAMESPACE = Fields(read={**leaves("apiVersion kind"), "metadata": METADATA}, unused=words("spec status"))
