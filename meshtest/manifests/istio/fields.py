"""Field tables of VirtualService, DestinationRule and Gateway, compared with Istio's CRDs by a test."""

from __future__ import annotations

from meshtest.manifests.fields import Fields, kind, leaves, words

STRING_MATCH = Fields(read=leaves("exact prefix regex"))

MATCH = Fields(
    read={
        **dict.fromkeys(("uri", "scheme", "method", "authority"), STRING_MATCH),
        **dict.fromkeys(("headers", "withoutHeaders", "queryParams"), STRING_MATCH),
        **leaves("name port sourceLabels sourceNamespace gateways ignoreUriCase"),
    },
    unsupported={"statPrefix": "statistics of single routes are not kept"},
)

PORT = Fields(read=leaves("number"))
DESTINATION = Fields(read={**leaves("host subset"), "port": PORT})
HEADER_EDITS = Fields(read=leaves("set add remove"))
HEADERS = Fields(read={"request": HEADER_EDITS, "response": HEADER_EDITS})
PERCENT = Fields(read=leaves("value"))

ROUTE = Fields(read={"destination": DESTINATION, **leaves("weight"), "headers": HEADERS})

FAULT = Fields(
    read={
        "delay": Fields(
            read={**leaves("fixedDelay percent"), "percentage": PERCENT},
            unsupported={"exponentialDelay": "Istio does not implement it either"},
        ),
        "abort": Fields(
            read={**leaves("httpStatus grpcStatus"), "percentage": PERCENT},
            unsupported={"http2Error": "Istio does not implement it either"},
        ),
    },
)

CORS = Fields(
    read={
        **leaves("allowOrigin allowMethods allowHeaders exposeHeaders maxAge allowCredentials unmatchedPreflights"),
        "allowOrigins": STRING_MATCH,
    },
)

HTTP = Fields(
    read={
        **leaves("name timeout mirrorPercent mirror_percent"),
        "match": MATCH,
        "route": ROUTE,
        "redirect": Fields(read=leaves("uri prefixRewrite authority port derivePort scheme redirectCode")),
        "directResponse": Fields(
            read={**leaves("status"), "body": Fields(read=leaves("string bytes"))},
        ),
        "rewrite": Fields(
            read={**leaves("uri authority"), "uriRegexRewrite": Fields(read=leaves("match rewrite"))},
        ),
        "retries": Fields(
            read=leaves(
                "attempts perTryTimeout retryOn retryRemoteLocalities retryIgnorePreviousHosts backoff",
            ),
        ),
        "fault": FAULT,
        "mirror": DESTINATION,
        "mirrorPercentage": PERCENT,
        "mirrors": Fields(read={"destination": DESTINATION, "percentage": PERCENT}),
        "corsPolicy": CORS,
        "headers": HEADERS,
    },
    unsupported={"delegate": "this rule is left out; write its routes here"},
)

VIRTUAL_SERVICE = kind(
    Fields(
        read={**leaves("hosts gateways exportTo"), "http": HTTP},
        unsupported={
            "tcp": "requests are moved by `http` rules only",
            "tls": "requests are moved by `http` rules only",
        },
    )
)

CONNECTION_POOL = Fields(
    read={
        "tcp": Fields(
            read={
                **leaves("maxConnections connectTimeout idleTimeout maxConnectionDuration"),
                "tcpKeepalive": Fields(read=leaves("probes time interval")),
            },
        ),
        "http": Fields(
            read=leaves(
                "http1MaxPendingRequests http2MaxRequests maxRequestsPerConnection maxRetries idleTimeout "
                "h2UpgradePolicy useClientProtocol maxConcurrentStreams",
            ),
            unsupported={"http2KeepAlive": "connections are not pinged"},
        ),
    },
)

_LOCALITY = "all pods are in one locality"

LOAD_BALANCER = Fields(
    read={
        **leaves("simple warmupDurationSecs"),
        "warmup": Fields(read=leaves("duration minimumPercent aggression")),
        "consistentHash": Fields(
            read={
                **leaves("httpHeaderName useSourceIp httpQueryParameterName minimumRingSize"),
                "httpCookie": Fields(
                    read=leaves("name path ttl"),
                    unsupported={"attributes": "the cookie is set without them"},
                ),
                "ringHash": Fields(read=leaves("minimumRingSize")),
                "maglev": Fields(read=leaves("tableSize")),
            },
        ),
    },
    unsupported={
        "localityLbSetting": _LOCALITY,
        "zoneAwareLbSetting": _LOCALITY,
        "backendUtilization": "pods report no load",
    },
)

OUTLIER_DETECTION = Fields(
    read=leaves(
        "splitExternalLocalOriginErrors consecutiveLocalOriginFailures consecutiveGatewayErrors "
        "consecutive5xxErrors interval baseEjectionTime maxEjectionPercent minHealthPercent",
    ),
    unsupported={
        "consecutiveErrors": "Istio ignores it; use consecutive5xxErrors or consecutiveGatewayErrors",
        "outlierDetectionHttpErrorCodes": "Envoy's own idea of an error counts",
    },
)

_PLAIN = "connections inside the mesh are plain text here"

TLS = Fields(
    read=leaves("mode"),
    unsupported=dict.fromkeys(
        words(
            "caCertificates caCrl clientCertificate credentialName insecureSkipVerify privateKey sni subjectAltNames"
        ),
        _PLAIN,
    ),
)

BLOCKS: dict[str, Fields | None] = {
    "connectionPool": CONNECTION_POOL,
    "loadBalancer": LOAD_BALANCER,
    "outlierDetection": OUTLIER_DETECTION,
    "tls": TLS,
}

PORT_POLICY = Fields(read={"port": PORT, **BLOCKS})

TRAFFIC_POLICY = Fields(
    read={
        **BLOCKS,
        "retryBudget": Fields(
            read=leaves("percent minRetryConcurrency"),
            unsupported={"budgetInterval": "Envoy's own interval counts"},
        ),
        "portLevelSettings": PORT_POLICY,
    },
    unsupported={
        "tunnel": "requests are not tunnelled",
        "proxyProtocol": "no PROXY header is sent",
    },
)

DESTINATION_RULE = kind(
    Fields(
        read={
            **leaves("host exportTo"),
            "trafficPolicy": TRAFFIC_POLICY,
            "subsets": Fields(read={**leaves("name labels"), "trafficPolicy": TRAFFIC_POLICY}),
        },
        unsupported={"workloadSelector": "the rule counts for all callers"},
    )
)

GATEWAY = kind(
    Fields(
        read={
            **leaves("selector"),
            "servers": Fields(
                read={
                    **leaves("hosts name"),
                    "port": Fields(
                        read=leaves("number name protocol"),
                        unsupported={"targetPort": "Istio ignores it"},
                    ),
                },
                unsupported={
                    "tls": "gateways speak plain HTTP here",
                    "bind": "the address on this host is the provider's choice",
                    "defaultEndpoint": "Istio ignores it at gateways",
                },
            ),
        },
    )
)
