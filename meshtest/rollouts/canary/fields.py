"""The field table of a Canary, compared with Flagger's CRD by a test.

Below `service` the words of Istio and Gateway API are taken as written: they are checked where routes are made of them.
"""

from __future__ import annotations

from meshtest.manifests.fields import Fields, kind, leaves, words

INGRESS = "ingress controllers are not simulated"

REFERENCE = Fields(read=leaves("name namespace"))
TARGET = Fields(read=leaves("apiVersion kind name"))

SERVICE = Fields(
    read=leaves(
        "name port portName targetPort appProtocol hosts gateways gatewayRefs delegation "
        "portDiscovery headless timeout backendTimeout match retries rewrite mirror headers corsPolicy trafficPolicy "
        "apex primary canary unmanagedMetadata trafficDistribution"
    ),
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
        **leaves("mirror mirrorWeight primaryReadyThreshold canaryReadyThreshold match"),
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
            read=leaves("apiVersion kind name"),
            unused=words("primaryScalerQueries primaryScalerReplicas"),
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
