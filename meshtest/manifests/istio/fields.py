"""Field tables of VirtualService and DestinationRule, compared with Istio's CRDs by a test."""

from __future__ import annotations

from meshtest.manifests.fields import Fields, kind, leaves, words

NO_CRL = "revoked certificates are not looked up"

STRING_MATCH = Fields(read=leaves("exact prefix regex"))

MATCH = Fields(
    read={
        **dict.fromkeys(("uri", "scheme", "method", "authority"), STRING_MATCH),
        **dict.fromkeys(("headers", "withoutHeaders", "queryParams"), STRING_MATCH),
        **leaves("name port sourceLabels sourceNamespace gateways ignoreUriCase"),
    },
    # A name for statistics of single routes, which are not kept.
    unused=words("statPrefix"),
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
        "delegate": Fields(read=leaves("name namespace")),
    },
)

STREAM_ROUTE = Fields(read={"destination": DESTINATION, **leaves("weight")})
_STREAM_MATCH = leaves("destinationSubnets gateways port sourceLabels sourceNamespace")

TCP = Fields(
    read={
        "match": Fields(read=_STREAM_MATCH, unsupported={"sourceSubnet": "Istio ignores it"}),
        "route": STREAM_ROUTE,
    },
)
TLS_ROUTE = Fields(read={"match": Fields(read={**_STREAM_MATCH, **leaves("sniHosts")}), "route": STREAM_ROUTE})

VIRTUAL_SERVICE = kind(
    Fields(read={**leaves("hosts gateways exportTo"), "http": HTTP, "tcp": TCP, "tls": TLS_ROUTE}),
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
            read={
                **leaves("http1MaxPendingRequests http2MaxRequests maxRequestsPerConnection maxRetries idleTimeout"),
                **leaves("h2UpgradePolicy useClientProtocol maxConcurrentStreams"),
                "http2KeepAlive": Fields(read=leaves("interval timeout")),
            },
        ),
    },
)

LOAD_BALANCER = Fields(
    read={
        **leaves("simple warmupDurationSecs"),
        "warmup": Fields(read=leaves("duration minimumPercent aggression")),
        "consistentHash": Fields(
            read={
                **leaves("httpHeaderName useSourceIp httpQueryParameterName minimumRingSize"),
                "httpCookie": Fields(read={**leaves("name path ttl"), "attributes": Fields(read=leaves("name value"))}),
                "ringHash": Fields(read=leaves("minimumRingSize")),
                "maglev": Fields(read=leaves("tableSize")),
            },
        ),
        "localityLbSetting": Fields(
            read={
                **leaves("enabled failoverPriority"),
                "distribute": Fields(read=leaves("from to")),
                "failover": Fields(read=leaves("from to")),
            },
        ),
    },
    unsupported={
        "zoneAwareLbSetting": "localities are chosen by localityLbSetting",
        "backendUtilization": "pods report no load",
    },
)

OUTLIER_DETECTION = Fields(
    read=leaves(
        "splitExternalLocalOriginErrors consecutiveLocalOriginFailures consecutiveGatewayErrors "
        "consecutive5xxErrors interval baseEjectionTime maxEjectionPercent minHealthPercent "
        "outlierDetectionHttpErrorCodes",
    ),
    unsupported={"consecutiveErrors": "Istio ignores it; use consecutive5xxErrors or consecutiveGatewayErrors"},
)

TLS = Fields(
    read=leaves(
        "mode caCertificates clientCertificate credentialName insecureSkipVerify privateKey sni subjectAltNames",
    ),
    unsupported={"caCrl": NO_CRL},
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
        "proxyProtocol": Fields(read=leaves("version")),
    },
    unsupported={"tunnel": "requests are not tunnelled"},
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
