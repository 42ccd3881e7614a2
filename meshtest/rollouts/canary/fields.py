"""The field table of a Canary, compared with Flagger's CRD by a test.

Below `service` stand words of Istio and Gateway API, but only those that the CRD has: the API server does not take
`trafficPolicy.connectionPool.tcp`, nor a `uri` in `analysis.match`. Their values are checked where routes are made.
"""

from __future__ import annotations

from meshtest.manifests.fields import Fields, kind, leaves

INGRESS = "ingress controllers are not simulated"

REFERENCE = Fields(read=leaves("name namespace"))
TARGET = Fields(read=leaves("apiVersion kind name"))

STRING = Fields(read=leaves("exact prefix regex"))
MATCH = Fields(
    read={
        **leaves("name ignoreUriCase port gateways sourceLabels sourceNamespace"),
        **dict.fromkeys(("uri", "scheme", "method", "authority", "headers", "queryParams", "withoutHeaders"), STRING),
    }
)
HEADER = Fields(read=leaves("exact prefix regex suffix"))
CHOSEN = Fields(read={**leaves("sourceLabels"), "headers": HEADER, "queryParams": STRING})
"""Of `analysis.match`."""
EDITS = Fields(read=leaves("add remove set"))
CORS = Fields(
    read={
        **leaves("allowCredentials allowHeaders allowMethods allowOrigin exposeHeaders maxAge"),
        "allowOrigins": STRING,
    }
)
HTTP_POOL = Fields(
    read=leaves(
        "h2UpgradePolicy http1MaxPendingRequests http2MaxRequests idleTimeout maxRequestsPerConnection maxRetries"
    )
)
HASH = Fields(
    read={**leaves("httpHeaderName minimumRingSize useSourceIp"), "httpCookie": Fields(read=leaves("name path ttl"))},
    unsupported={"httpQueryParameterName": "Flagger drops it"},
)
LOCALITY = Fields(
    read={
        **leaves("enabled"),
        "distribute": Fields(read=leaves("from to")),
        "failover": Fields(read=leaves("from to")),
    }
)
OUTLIERS = Fields(
    read=leaves(
        "baseEjectionTime consecutive5xxErrors consecutiveErrors consecutiveGatewayErrors "
        "consecutiveLocalOriginFailures interval maxEjectionPercent minHealthPercent splitExternalLocalOriginErrors"
    )
)
TRAFFIC_POLICY = Fields(
    read={
        "connectionPool": Fields(read={"http": HTTP_POOL}),
        "loadBalancer": Fields(
            read={**leaves("simple warmupDurationSecs"), "consistentHash": HASH, "localityLbSetting": LOCALITY}
        ),
        "outlierDetection": OUTLIERS,
        "tls": Fields(read=leaves("caCertificates clientCertificate mode privateKey sni subjectAltNames")),
    }
)
OBJECT = Fields(read=leaves("group kind name namespace port"))
PARENT = Fields(read=leaves("group kind name namespace sectionName port"))
KEPT = Fields(read=leaves("labels annotations"))

SERVICE = Fields(
    read={
        **leaves("name port portName targetPort appProtocol hosts gateways delegation"),
        **leaves("portDiscovery headless timeout backendTimeout trafficDistribution"),
        "match": MATCH,
        "gatewayRefs": PARENT,
        "retries": Fields(read=leaves("attempts perTryTimeout retryOn")),
        "rewrite": Fields(read=leaves("uri authority type")),
        "mirror": Fields(read={"backendRef": OBJECT}),
        "headers": Fields(read={"request": EDITS, "response": EDITS}),
        "corsPolicy": CORS,
        "trafficPolicy": TRAFFIC_POLICY,
        **dict.fromkeys(("apex", "primary", "canary", "unmanagedMetadata"), KEPT),
    },
    unsupported={"meshName": "App Mesh is not simulated", "backends": "App Mesh is not simulated"},
)

METRIC = Fields(
    read={
        **leaves("name interval threshold query templateVariables"),
        "thresholdRange": Fields(read=leaves("min max")),
        "templateRef": REFERENCE,
    }
)

WEBHOOK = Fields(read=leaves("name type url timeout retries muteAlert disableTLS metadata"))

ALERT = Fields(read={**leaves("name severity"), "providerRef": REFERENCE})

AFFINITY = Fields(
    read=leaves("cookieName primaryCookieName domain httpOnly maxAge partitioned path sameSite secure"),
)

ANALYSIS = Fields(
    read={
        **leaves("interval threshold iterations maxWeight stepWeight stepWeights stepWeightPromotion"),
        **leaves("mirror mirrorWeight primaryReadyThreshold canaryReadyThreshold"),
        "match": CHOSEN,
        "metrics": METRIC,
        "webhooks": WEBHOOK,
        "alerts": ALERT,
        "sessionAffinity": AFFINITY,
    }
)

SPEC = Fields(
    read={
        **leaves("provider metricsServer progressDeadlineSeconds skipAnalysis revertOnDeletion suspend"),
        "targetRef": TARGET,
        "autoscalerRef": Fields(
            read={
                **leaves("apiVersion kind name primaryScalerQueries"),
                "primaryScalerReplicas": Fields(read=leaves("minReplicas maxReplicas")),
            }
        ),
        "service": SERVICE,
        "analysis": ANALYSIS,
    },
    unsupported={
        "canaryAnalysis": "it was renamed to `analysis`, and the CRD drops it",
        "ingressRef": INGRESS,
        "routeRef": INGRESS,
        "upstreamRef": INGRESS,
    },
)

CANARY = kind(SPEC)
